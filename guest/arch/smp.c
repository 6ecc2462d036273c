/* SPDX-License-Identifier: MIT */
#include "smp.h"

#include <string.h>

#include "apic.h"
#include "bootargs.h"
#include "cpu.h"
#include "frame.h"
#include "layout.h"
#include "panic.h"
#include "percpu.h"
#include "pgtable.h"
#include "platform.h"
#include "set_memory.h"
#include "trap.h"

BOOTARG(busy, "number of CPUs that work, the others being halted; default all");
BOOTARG(cpus, "number of CPUs to use; without a device tree: those that exist, APIC ids from 0");

#define CANARY         0xa11a5c0ffee4b100ul /* the zero byte stops string functions */
#define SIPI_RETRY_TSC 100000000ul          /* ticks without an answer, then the SIPI is repeated */
#define SIPI_GIVE_UP   100u                 /* times */

/* A CPU's data, besides what it allocates itself: 2^3 frames. */
struct cpu_stacks {
	uint8_t stack[STACK_SIZE];
	uint8_t ist[NR_IST][IST_SIZE];
};
#define STACKS_ORDER 3
_Static_assert(sizeof(struct cpu_stacks) <= PAGE_SIZE << STACKS_ORDER, "stacks");

/* What a CPU is to run; `fn` is NULL while it is idle. The caller writes the rest and then `fn`
 * (release); the CPU stores NULL (release) when fn() has returned. */
struct work {
	__cacheline void (*fn)(void *arg);
	void *arg;
	unsigned from;
};

/* start.S uses the boot CPU's, percpu[0], and this stack. */
struct percpu percpu[MAX_CPUS] = {[0] = {.self = &percpu[0], .canary = CANARY}};
__attribute__((aligned(16))) uint8_t boot_stack[STACK_SIZE];
static uint8_t boot_ist[NR_IST][IST_SIZE] __attribute__((aligned(16)));

/* For the CPU that is being started; written by the boot CPU before the SIPI. */
uint64_t ap_boot_cr3, ap_boot_stack;
struct percpu *ap_boot_percpu;

static struct work work[MAX_CPUS];
/* Number of CPUs that run. Written by the CPU that starts (release) while the boot CPU waits for
 * it; constant afterwards. */
static unsigned online = 1;

extern const char trampoline[], trampoline_end[]; /* start.S */
_Noreturn void ap_main(void);

struct percpu *cpu_by_id(unsigned id)
{
	BUG_ON(id >= MAX_CPUS);
	return &percpu[id];
}

unsigned nr_cpus_online(void)
{
	return __atomic_load_n(&online, __ATOMIC_ACQUIRE);
}

/* Sets all members but `self` and `canary`, which the first C function needs already. */
static void attach_percpu(struct percpu *cpu, unsigned id)
{
	cpu->id = id;
	cpu->apic_id = platform.apic_ids[id];
	cpu->stats = &cpu->own_stats;
	if (platform.has_host) {
		cpu->vcpu_page = phys_to_virt(platform.shared_gpa + (1 + id) * PAGE_SIZE);
		cpu->log_records = phys_to_virt(platform.log_gpa + id * (uint64_t)ALIAS_LOG_SIZE);
		cpu->stats = &cpu->vcpu_page->stats;
	}
}

void boot_cpu_init(void)
{
	percpu[0].stats = &percpu[0].own_stats;
	pat_init_cpu();
	traps_init_cpu(&percpu[0], boot_ist);
}

void boot_cpu_attach(void)
{
	attach_percpu(&percpu[0], 0);
}

static void check_apic_id(void)
{
	uint32_t id = apic_init_cpu();

	if (id != this_cpu()->apic_id)
		panic("CPU %u has APIC id %u, the device tree says %u", this_cpu()->id, id,
		      this_cpu()->apic_id);
}

static void run_work(struct work *w)
{
	void (*fn)(void *arg) = __atomic_load_n(&w->fn, __ATOMIC_ACQUIRE);
	unsigned from = w->from;

	if (!fn)
		return;
	irq_enable();
	fn(w->arg);
	__atomic_store_n(&w->fn, NULL, __ATOMIC_RELEASE);
	smp_wake(from);
	irq_disable();
}

/* Called by start.S on all CPUs but the first: with the kernel's root loaded, on the CPU's own
 * stack, interrupts off. */
_Noreturn void ap_main(void)
{
	struct percpu *cpu = this_cpu();
	struct work *w = &work[cpu->id];

	traps_init_cpu(cpu, (void *)(ap_boot_stack));
	pat_init_cpu();
	check_apic_id();
	__atomic_store_n(&online, cpu->id + 1, __ATOMIC_RELEASE);
	for (;;) {
		run_work(w);
		if (__atomic_load_n(&w->fn, __ATOMIC_ACQUIRE))
			continue;
		irq_enable_and_halt();
		irq_disable();
	}
}

static void start_cpu(unsigned id)
{
	uint64_t frames = alloc_frames(STACKS_ORDER);
	struct cpu_stacks *stacks = pfn_to_virt(frames);
	struct percpu *cpu = &percpu[id];

	if (frames == NO_FRAME)
		panic("no memory for the stacks of CPU %u", id);
	cpu->self = cpu;
	cpu->canary = CANARY;
	attach_percpu(cpu, id);
	cpu->root_pfn = kernel_root_pfn();
	ap_boot_cr3 = kernel_root_pfn() << PAGE_SHIFT;
	ap_boot_stack = (uint64_t)stacks->ist; /* the stack ends where the IST stacks begin */
	ap_boot_percpu = cpu;
	apic_send_init(cpu->apic_id);
	for (unsigned tries = 0; tries < SIPI_GIVE_UP; tries++) {
		uint64_t since = rdtsc();

		apic_send_sipi(cpu->apic_id, TRAMPOLINE_GPA >> PAGE_SHIFT);
		while (rdtsc() - since < SIPI_RETRY_TSC) {
			if (nr_cpus_online() > id)
				return;
			cpu_relax();
		}
	}
	panic("CPU %u (APIC id %u) does not start", id, cpu->apic_id);
}

static void ipi_wake(void *arg)
{
	(void)arg; /* the interrupt itself ends the halt; the loop checks its condition */
}

unsigned smp_cpus_wanted(void)
{
	uint64_t n = arg_u64("cpus", platform.nr_cpus);

	if (n < 1 || n > (platform.has_fdt ? platform.nr_cpus : MAX_CPUS))
		arg_bad("cpus", "a number of CPUs that the machine has");
	return n;
}

void smp_init(void)
{
	unsigned n = smp_cpus_wanted();

	for (unsigned id = platform.nr_cpus; id < n; id++)
		platform.apic_ids[id] = id;
	register_ipi(VECTOR_WAKE, ipi_wake, NULL);
	check_apic_id();
	memcpy(phys_to_virt(TRAMPOLINE_GPA), trampoline, trampoline_end - trampoline);
	for (unsigned id = 1; id < n; id++)
		start_cpu(id);
}

void smp_wake(unsigned cpu)
{
	if (cpu != this_cpu()->id)
		apic_send_ipi(percpu[cpu].apic_id, VECTOR_WAKE);
}

void smp_call(unsigned cpu, void (*fn)(void *arg), void *arg)
{
	struct work *w = &work[cpu];

	BUG_ON(cpu == 0 || cpu >= nr_cpus_online() || cpu == this_cpu()->id);
	BUG_ON(__atomic_load_n(&w->fn, __ATOMIC_ACQUIRE));
	w->arg = arg;
	w->from = this_cpu()->id;
	__atomic_store_n(&w->fn, fn, __ATOMIC_RELEASE);
	smp_wake(cpu);
}

void smp_wait(unsigned cpu)
{
	uint64_t flags = irq_save();

	while (__atomic_load_n(&work[cpu].fn, __ATOMIC_ACQUIRE)) {
		irq_enable_and_halt();
		irq_disable();
	}
	irq_restore(flags);
}

unsigned nr_cpus_busy(void)
{
	uint64_t busy = arg_u64("busy", nr_cpus_online());

	if (busy < 1 || busy > nr_cpus_online())
		arg_bad("busy", "a number of CPUs that are in use");
	return (unsigned)busy;
}

void smp_run_on_all(void (*fn)(void *arg), void *arg)
{
	unsigned busy = nr_cpus_busy();
	uint64_t since = rdtsc();

	BUG_ON(this_cpu()->id != 0);
	for (unsigned cpu = 1; cpu < busy; cpu++)
		smp_call(cpu, fn, arg);
	fn(arg);
	for (unsigned cpu = 1; cpu < busy; cpu++)
		smp_wait(cpu);
	count_stat(workload_ticks, rdtsc() - since);
}
