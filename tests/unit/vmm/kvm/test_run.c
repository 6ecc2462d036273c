/* SPDX-License-Identifier: MIT */
/* The thread of a vCPU, on a KVM that is played here: each KVM_RUN returns the next of a list of
 * exits. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "fake_kvm.h"
#include "kvm/exit.h"
#include "machine.h"
#include "status.h"
#include "suites.h"

#define VCPU_FD 1000
#define PAGE    4096u

/* One return of KVM_RUN; `fill` describes the exit, else it fails with `error`. */
struct step {
	void (*fill)(struct kvm_run *run);
	int error;
};

static union {
	struct kvm_run run;
	uint8_t bytes[2 * PAGE];
} area;

static struct machine machine;
static struct vcpu vcpu;
static const struct step *script;
static uint8_t seen[64]; /* what the device got */
static unsigned nr_seen, nr_written;
static bool given_up; /* the VM, after which KVM refuses all calls on it */

static int play_kvm(int fd, unsigned long request, void *arg)
{
	if (fd != VCPU_FD)
		return FAKE_PASS;
	if (given_up) {
		errno = EIO;
		return -1;
	}
	if (request == KVM_GET_REGS) {
		memset(arg, 0, sizeof(struct kvm_regs));
		return 0;
	}
	if (request == KVM_GET_SREGS) {
		memset(arg, 0, sizeof(struct kvm_sregs));
		return 0;
	}
	if (request != KVM_RUN) {
		errno = ENOTTY;
		return -1;
	}
	if (script->fill) {
		script++->fill(&area.run);
		return 0;
	}
	errno = script++->error;
	return -1;
}

static uint64_t device_read(void *dev, struct vcpu *by, uint64_t off, unsigned len)
{
	(void)dev, (void)len;
	ck_assert_ptr_eq(by, &vcpu);
	return 0x1122334455667700 + off;
}

static void device_write(void *dev, struct vcpu *by, uint64_t off, unsigned len, uint64_t value)
{
	(void)off, (void)len;
	ck_assert_ptr_eq(by, &vcpu);
	if (value == 0xff)
		stop_request(dev, 5);
	else
		seen[nr_seen++] = value;
}

static void device_written(void *dev)
{
	(void)dev;
	nr_written++;
}

static void set_up(void)
{
	static const struct bus_ops ops = {
		.read = device_read, .write = device_write, .written = device_written};
	struct bus_region port = {.base = 0x3f8, .size = 8, .ops = &ops, .dev = &machine.stop};
	struct bus_region mmio = {
		.base = 0xd0000000, .size = 16, .ops = &ops, .dev = &machine.stop};

	memset(&machine, 0, sizeof(machine));
	memset(&area, 0, sizeof(area));
	nr_seen = nr_written = 0;
	given_up = false;
	fake_kvm = play_kvm;
	machine.stop.status = -1;
	machine.stop.fd = eventfd(0, EFD_NONBLOCK);
	vcpu_pause_init(&machine.vm.pause);
	unassigned_init(&machine.io.unassigned, false);
	ck_assert_int_eq(bus_add(&machine.io.pio, &port), 0);
	ck_assert_int_eq(bus_add(&machine.io.mmio, &mmio), 0);
	machine.vm.stop = &machine.stop;
	machine.vm.io_ops = &io_space_ops;
	machine.vm.io = &machine.io;
	machine.vm.nr_vcpus = 1;
	machine.vm.vcpus = &vcpu;
	vcpu = (struct vcpu){
		.fd = VCPU_FD, .vm = &machine.vm, .run = &area.run, .run_size = sizeof(area)};
}

static void tear_down(void)
{
	vcpu_pause_destroy(&machine.vm.pause);
	close(machine.stop.fd);
}

/* The thread's function, on this thread; returns the status. */
static int run(const struct step *steps)
{
	uint64_t woken;

	script = steps;
	vcpu_thread(&vcpu);
	ck_assert_int_eq(read(machine.stop.fd, &woken, 8), 8);
	ck_assert(!vcpu.in_guest);
	return machine.stop.status;
}

static void io(struct kvm_run *run, bool out, uint16_t port, const char *data, uint32_t count)
{
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = out ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	run->io.size = 1;
	run->io.port = port;
	run->io.count = count;
	run->io.data_offset = PAGE;
	memcpy(area.bytes + PAGE, data, count);
}

static void stop(struct kvm_run *run)
{
	io(run, true, 0x3f8, "\xff", 1);
}

static void print(struct kvm_run *run)
{
	io(run, true, 0x3f8, "hello", 5);
}

static void ask_three(struct kvm_run *run)
{
	io(run, false, 0x3fb, "___", 3);
}

static void ask_nobody(struct kvm_run *run)
{
	ck_assert_mem_eq(area.bytes + PAGE, "\x03\x03\x03", 3);
	io(run, false, 0x80, "_", 1);
}

static void load(struct kvm_run *run)
{
	ck_assert_uint_eq(area.bytes[PAGE], 0xff);
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = 0xd0000008;
	run->mmio.is_write = 0;
	run->mmio.len = 4;
}

static void store(struct kvm_run *run)
{
	ck_assert_mem_eq(run->mmio.data, "\x08\x77\x66\x55", 4);
	run->mmio.is_write = 1;
	run->mmio.data[0] = 'm';
	run->mmio.len = 1;
}

START_TEST(accesses)
{
	static const struct step steps[] = {{print, 0},      {ask_three, 0}, {NULL, EINTR},
					    {ask_nobody, 0}, {load, 0},      {store, 0},
					    {NULL, EAGAIN},  {stop, 0}};

	ck_assert_int_eq(run(steps), 5);
	ck_assert_uint_eq(nr_seen, 6);
	ck_assert_mem_eq(seen, "hellom", 6);
	ck_assert_uint_eq(nr_written, 3); /* once for all of "hello" */
	ck_assert_uint_eq(vcpu.runs, 8);
	ck_assert_uint_eq(vcpu.stats.exits_pio, 4);
	ck_assert_uint_eq(vcpu.stats.exits_mmio, 2);
	ck_assert_uint_eq(vcpu.stats.exits_intr, 2);
	ck_assert_uint_eq(machine.io.unassigned.accesses, 1);
}
END_TEST

static void shut_down(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_SHUTDOWN;
}

static void internal_error(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
}

static void fail_entry(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_FAIL_ENTRY;
}

static void debug(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_DEBUG;
}

static void nonsense(struct kvm_run *run)
{
	io(run, true, 0x3f8, "x", 1);
	run->io.data_offset = sizeof(area);
}

static const struct {
	struct step step;
	int status;
} endings[] = {
	{{shut_down, 0}, VMM_EX_SHUTDOWN},  {{internal_error, 0}, VMM_EX_SHUTDOWN},
	{{fail_entry, 0}, VMM_EX_SHUTDOWN}, {{debug, 0}, VMM_EX_SOFTWARE},
	{{nonsense, 0}, VMM_EX_SOFTWARE},   {{NULL, EFAULT}, VMM_EX_OSERR},
	{{NULL, ENOSPC}, VMM_EX_SHUTDOWN},  {{NULL, ENOEXEC}, VMM_EX_OSERR},
	{{NULL, EIO}, VMM_EX_OSERR},
};

START_TEST(ends)
{
	ck_assert_int_eq(run(&endings[_i].step), endings[_i].status);
	ck_assert_uint_eq(nr_seen, 0);
	ck_assert_uint_eq(vcpu.runs, 1);
}
END_TEST

/* Such as for an SMI without memory where the handler's state goes. */
START_TEST(vm_is_given_up)
{
	given_up = true;
	ck_assert_int_eq(run(NULL), VMM_EX_SHUTDOWN);
	ck_assert_uint_eq(vcpu.runs, 1);
}
END_TEST

/* The exits of KVM that nothing turned on here asks for: only then can they come. */
static const uint32_t never_asked_for[] = {
	KVM_EXIT_HYPERCALL,  KVM_EXIT_DEBUG,           KVM_EXIT_HLT,
	KVM_EXIT_SET_TPR,    KVM_EXIT_TPR_ACCESS,      KVM_EXIT_NMI,
	KVM_EXIT_IOAPIC_EOI, KVM_EXIT_HYPERV,          KVM_EXIT_X86_RDMSR,
	KVM_EXIT_X86_WRMSR,  KVM_EXIT_X86_BUS_LOCK,    KVM_EXIT_XEN,
	KVM_EXIT_NOTIFY,     KVM_EXIT_DIRTY_RING_FULL,
};

static const uint32_t of_other_processors[] = {
	KVM_EXIT_S390_SIEIC, KVM_EXIT_S390_RESET,    KVM_EXIT_DCR,      KVM_EXIT_OSI,
	KVM_EXIT_PAPR_HCALL, KVM_EXIT_S390_UCONTROL, KVM_EXIT_WATCHDOG, KVM_EXIT_S390_TSCH,
	KVM_EXIT_RISCV_SBI,  KVM_EXIT_RISCV_CSR,     KVM_EXIT_EPR,      KVM_EXIT_S390_STSI,
	KVM_EXIT_ARM_NISV,   KVM_EXIT_AP_RESET_HOLD,
};

static bool is_among(uint32_t reason, const uint32_t *list, size_t nr)
{
	while (nr-- > 0)
		if (list[nr] == reason)
			return true;
	return false;
}

#define IS_AMONG(reason, list) is_among(reason, list, sizeof(list) / sizeof((list)[0]))

static uint32_t the_reason, the_suberror;

static void any_exit(struct kvm_run *run)
{
	run->exit_reason = the_reason;
	run->internal.suberror = the_suberror;
}

/* Status 70 says that the program is broken: no exit that a guest can bring about ends it so. */
START_TEST(guests_do_not_break_us)
{
	static const struct step steps[] = {{any_exit, 0}};

	the_reason = (uint32_t)_i;
	if (IS_AMONG(the_reason, never_asked_for) || IS_AMONG(the_reason, of_other_processors))
		return;
	switch (exit_decode(&(struct kvm_run){.exit_reason = the_reason}, sizeof(struct kvm_run))
			.kind) {
	case EXIT_PIO: /* without a place of its data; the guest goes on after the others */
	case EXIT_MMIO:
	case EXIT_AGAIN:
	case EXIT_MALFORMED:
		ck_assert(the_reason == KVM_EXIT_IO || the_reason == KVM_EXIT_MMIO ||
			  the_reason == KVM_EXIT_INTR || the_reason == KVM_EXIT_IRQ_WINDOW_OPEN);
		return;
	default:
		for (the_suberror = 0; the_suberror < 8; the_suberror++) {
			tear_down();
			set_up();
			ck_assert_int_eq(run(steps), VMM_EX_SHUTDOWN);
		}
	}
}
END_TEST

/* The first who stops the machine says how it ended. */
START_TEST(first_status_counts)
{
	static const struct step steps[] = {{stop, 0}};

	ck_assert_int_eq(run(steps), 5);
	stop_request(&machine.stop, 70);
	ck_assert_int_eq(machine.stop.status, 5);
}
END_TEST

TCase *run_tests(void)
{
	TCase *tc = tcase_create("run");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, accesses);
	tcase_add_loop_test(tc, ends, 0, sizeof(endings) / sizeof(endings[0]));
	tcase_add_test(tc, vm_is_given_up);
	tcase_add_loop_test(tc, guests_do_not_break_us, 0, KVM_EXIT_NOTIFY + 1);
	tcase_add_test(tc, first_status_counts);
	return tc;
}
