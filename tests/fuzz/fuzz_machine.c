/* SPDX-License-Identifier: MIT */
#include "fuzz_machine.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "../unit/vmm/fake_kvm.h"
#include "alias_abi.h"
#include "alias_tracker.h"
#include "kvm/write_protect.h"
#include "machine_map.h"
#include "pin/pin.h"
#include "pin/tracking/uffd.h"

#define VCPU_FD 1000 /* vCPU i has fd VCPU_FD + i */

static struct fuzz_machine *current;

/* --- the tracker ------------------------------------------------------------------------------ */

static struct alias_tracker *newest;

struct alias_tracker *__real_at_new(const struct at_config *config);
struct alias_tracker *__wrap_at_new(const struct at_config *config);

struct alias_tracker *__wrap_at_new(const struct at_config *config)
{
	newest = __real_at_new(config);
	return newest;
}

/* --- KVM -------------------------------------------------------------------------------------- */

/* Addresses are translated to memory over and over, and of each eighth page there is none. */
static int translate(struct kvm_translation *translation)
{
	translation->physical_address = translation->linear_address % MACHINE_MEM;
	translation->valid = translation->linear_address >> 20 < 8;
	return 0;
}

static void get_events(const struct fuzz_machine *fm, struct kvm_vcpu_events *events)
{
	memset(events, 0, sizeof(*events));
	events->exception.injected = fm->delivering > 0;
	events->exception.nr = fm->delivering;
}

static int complete(struct fuzz_machine *fm, struct kvm_run *run)
{
	if (fm->nr_parts == 0) {
		run->s.regs.regs.rip = ++fm->regs.rip; /* past an `out` */
		get_events(fm, &run->s.regs.events);
		errno = EINTR;
		return -1;
	}
	fm->nr_parts--;
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.is_write = 1;
	run->mmio.phys_addr = fm->next_part ? fm->next_part : run->mmio.phys_addr + run->mmio.len;
	return 0;
}

/* The tables that vCPUs walk map the first GiB as it is. They lie where the logs are, of which no
 * frame can be pinned, and are made anew, whatever the program has written there. */
#define WALKED MACHINE_LOG

static int get_sregs(struct fuzz_machine *fm, struct kvm_sregs *sregs)
{
	fuzz_machine_store(fm, WALKED, (WALKED + ALIAS_PAGE_SIZE) | 7);
	fuzz_machine_store(fm, WALKED + ALIAS_PAGE_SIZE, 0x87);
	memset(sregs, 0, sizeof(*sregs));
	sregs->efer = 1 << 10; /* LMA */
	sregs->cs.l = 1;
	sregs->cr3 = WALKED;
	return 0;
}

/* XMM0 is rbx:rsi. */
static int get_fpu(const struct fuzz_machine *fm, struct kvm_fpu *fpu)
{
	memset(fpu, 0x5a, sizeof(*fpu));
	memcpy(fpu->xmm[0], &fm->regs.rsi, 8);
	memcpy(fpu->xmm[0] + 8, &fm->regs.rbx, 8);
	return 0;
}

static int play_kvm(int fd, unsigned long request, void *arg)
{
	struct fuzz_machine *fm = current;

	switch (request) {
	case KVM_RUN:
		return complete(fm, &fm->runs[fd - VCPU_FD]);
	case KVM_GET_REGS:
		*(struct kvm_regs *)arg = fm->regs;
		return 0;
	case KVM_SET_REGS:
		fm->regs = *(struct kvm_regs *)arg;
		return 0;
	case KVM_GET_SREGS:
		return get_sregs(fm, arg);
	case KVM_SET_SREGS: /* for a page fault, where nothing is */
		MUST(((const struct kvm_sregs *)arg)->cr2 >> 20 >= 8);
		return 0;
	case KVM_GET_VCPU_EVENTS:
		get_events(fm, arg);
		return 0;
	case KVM_SET_VCPU_EVENTS:
		fm->raised += ((struct kvm_vcpu_events *)arg)->exception.injected;
		fm->delivering = 0;
		return 0;
	case KVM_GET_FPU:
		return get_fpu(fm, arg);
	case KVM_TRANSLATE:
		return translate(arg);
	case KVM_GET_DEBUGREGS:
		memset(arg, 0, sizeof(struct kvm_debugregs));
		return 0;
	case KVM_SET_DEBUGREGS:
	case KVM_SET_USER_MEMORY_REGION:
		return 0;
	default:
		fuzz_fail("no such request is known of KVM: %#lx", request);
	}
}

/* --- write tracking, in the place of userfaultfd ---------------------------------------------- */

struct uffd_wp {
	bool armed[MACHINE_FRAMES];
	size_t nr_noted;
	uint64_t noted[MACHINE_FRAMES];
};

static struct uffd_wp the_watch;

int uffd_open(const char **why)
{
	*why = "played";
	return -1;
}

struct uffd_wp *uffd_wp_start(const struct vm *vm, const char **why)
{
	(void)vm, (void)why;
	memset(&the_watch, 0, sizeof(the_watch));
	return &the_watch;
}

void uffd_wp_stop(struct uffd_wp *uffd)
{
	(void)uffd;
}

bool uffd_wp_arm(struct uffd_wp *uffd, uint64_t pfn)
{
	MUST(!uffd->armed[pfn]);
	uffd->armed[pfn] = true;
	return true;
}

void uffd_wp_disarm(struct uffd_wp *uffd, uint64_t pfn)
{
	uffd->armed[pfn] = false;
	for (size_t i = 0; i < uffd->nr_noted; i++)
		if (uffd->noted[i] == pfn)
			uffd->noted[i--] = uffd->noted[--uffd->nr_noted];
}

size_t uffd_wp_dirtied(struct uffd_wp *uffd, uint64_t *pfns, size_t max)
{
	size_t n = 0;

	while (n < max && uffd->nr_noted > 0)
		pfns[n++] = uffd->noted[--uffd->nr_noted];
	return n;
}

void uffd_wp_mark_dirtied(struct uffd_wp *uffd, uint64_t pfn)
{
	if (!uffd->armed[pfn])
		return;
	uffd->armed[pfn] = false;
	uffd->noted[uffd->nr_noted++] = pfn;
}

/* --- the machine ------------------------------------------------------------------------------ */

/* Mapped once for all machines, as often as they want it mapped. */
static struct memory *empty_memory(bool twice)
{
	static struct memory mapped[2];
	struct memory *mem = &mapped[twice];

	if (mem->nr == 0) {
		MUST((twice ? memory_init_twice : memory_init)(mem, MACHINE_MEM) == 0);
	} else if (twice) { /* what some tests left write-protected is so no more */
		MUST(mprotect(mem->slot[0].hva, MACHINE_MEM, PROT_READ | PROT_WRITE) == 0 &&
		     madvise(mem->slot[0].back, MACHINE_MEM, MADV_REMOVE) == 0);
		memset(mem->wp->protected, 0, (MACHINE_FRAMES / 64 + 1) * sizeof(uint64_t));
	} else {
		MUST(madvise(mem->slot[0].hva, MACHINE_MEM, MADV_DONTNEED) == 0);
	}
	return mem;
}

void fuzz_machine_start(struct fuzz_machine *fm)
{
	struct machine *machine = &fm->machine;

	current = fm;
	fake_kvm = play_kvm;
	memset(&the_watch, 0, sizeof(the_watch));
	memset(machine, 0, sizeof(*machine));
	memset(fm->vcpus, 0, sizeof(fm->vcpus));
	memset(fm->runs, 0, sizeof(fm->runs));
	memset(&fm->regs, 0, sizeof(fm->regs));
	fm->raised = fm->delivering = fm->nr_parts = 0;
	fm->next_part = 0;
	fm->opt.guest = "guest";
	fm->opt.bootargs = (char *)"";
	machine->opt = &fm->opt;
	machine->vm.fd = machine->kvm_fd = machine->stop.fd = -1;
	machine->stop.status = -1;
	vcpu_pause_init(&machine->vm.pause);
	flush_clock_init(&machine->vm.flush_clock);
	machine->vm.mem = *empty_memory(fm->opt.track == TRACK_STRICT);
	machine->vm.stop = &machine->stop;
	machine->vm.nr_vcpus = MACHINE_VCPUS;
	machine->vm.vcpus = fm->vcpus;
	machine->log_gpa = MACHINE_LOG;
	machine->log_size = MACHINE_VCPUS * (uint64_t)ALIAS_LOG_SIZE;
	for (unsigned i = 0; i < MACHINE_VCPUS; i++)
		fm->vcpus[i] = (struct vcpu){.index = i,
					     .fd = VCPU_FD + (int)i,
					     .run = &fm->runs[i],
					     .vm = &machine->vm};
	fm->pin = pin_create(machine);
	MUST(fm->pin);
	fm->tracker = newest;
}

void fuzz_machine_end(struct fuzz_machine *fm)
{
	pin_free(fm->pin);
	vcpu_pause_destroy(&fm->machine.vm.pause);
}

struct alias_common_page *fuzz_machine_common(const struct fuzz_machine *fm)
{
	return memory_ptr(&fm->machine.vm.mem, SHARED_GPA, ALIAS_PAGE_SIZE);
}

struct alias_vcpu_page *fuzz_machine_page(const struct fuzz_machine *fm, unsigned vcpu)
{
	return memory_ptr(&fm->machine.vm.mem, SHARED_GPA + (vcpu + 1ull) * ALIAS_PAGE_SIZE,
			  ALIAS_PAGE_SIZE);
}

uint64_t fuzz_machine_figure(const struct fuzz_machine *fm, const char *part, const char *name)
{
	json_t *stats = json_object(), *figure;
	uint64_t value;

	pin_stats(fm->pin, stats);
	figure = json_object_get(json_object_get(stats, part), name);
	MUST(json_is_integer(figure) || json_is_boolean(figure));
	value = json_is_true(figure) + (uint64_t)json_integer_value(figure);
	json_decref(stats);
	return value;
}

void fuzz_machine_store(struct fuzz_machine *fm, uint64_t gpa, uint64_t value)
{
	void *to = memory_ptr(&fm->machine.vm.mem, gpa, sizeof(value));

	MUST(to && gpa % sizeof(value) == 0);
	uffd_wp_mark_dirtied(&the_watch, gpa / ALIAS_PAGE_SIZE);
	memory_store(&fm->machine.vm.mem, to, &value, sizeof(value));
}

uint64_t fuzz_machine_load(const struct fuzz_machine *fm, uint64_t gpa)
{
	uint64_t value;

	memcpy(&value, memory_ptr(&fm->machine.vm.mem, gpa, sizeof(value)), sizeof(value));
	return value;
}

uint64_t fuzz_machine_pte(struct bytes *in)
{
	static const uint64_t flags[] = {
		0,      1,      3,    7,     0x63, 0x67,
		0x61,   0x83,   0x81, 0xe3,  0x2,  1ull << 63 | 3,
		0x1083, 0x2083, 0x1b, 0x203,
	};
	uint64_t pte = flags[take1(in) % 16];

	return pte + take1(in) * (uint64_t)ALIAS_PAGE_SIZE;
}

unsigned fuzz_machine_index(uint8_t choice)
{
	static const uint16_t indices[] = {0,   1,   2,   3,   7,   8,   100, 255,
					   256, 272, 273, 274, 275, 400, 510, 511};

	return indices[choice & 15];
}
