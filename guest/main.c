/* SPDX-License-Identifier: MIT */
/* The kernel's main function: initialises everything, and runs the workload. */
#include <string.h>

#include "apic.h"
#include "blk.h"
#include "bootargs.h"
#include "console.h"
#include "cpu.h"
#include "frame.h"
#include "memory.h"
#include "origin.h"
#include "panic.h"
#include "pgtable.h"
#include "pin.h"
#include "platform.h"
#include "smp.h"
#include "tlb.h"
#include "vmap.h"
#include "workload.h"

BOOTARG(workload, "what to do: demo (default), process, nfs, selftest, ...");

extern const struct workload __start_workloads[], __stop_workloads[];
_Noreturn void guest_main(uint64_t start_info_gpa);

static const struct workload *choose_workload(void)
{
	const char *name = arg_str("workload");
	char names[KPRINTF_MAX] = "one of:";
	size_t len = strlen(names);

	if (!name)
		name = platform.has_host ? "demo" : "selftest";
	for (const struct workload *w = __start_workloads; w < __stop_workloads; w++) {
		if (!strcmp(w->name, name))
			return w;
		if (len < sizeof(names))
			len += ksnprintf(names + len, sizeof(names) - len, " %s", w->name);
	}
	arg_bad("workload", names);
}

/* The first line of output. Little has been done before it, and no device has been touched. */
static void print_banner(const struct workload *workload)
{
	unsigned cpus = smp_cpus_wanted();
	uint64_t bytes = 0;

	for (unsigned i = 0; i < platform.nr_memory; i++)
		bytes += platform.memory[i].end - platform.memory[i].start;
	kprintf("guest: %u CPU%s, %lu MiB, strategy %s, workload %s\n", cpus, cpus == 1 ? "" : "s",
		(bytes + (1ul << 20) - 1) >> 20, flush_strategy_name(), workload->name);
}

static void print_history(void)
{
	const struct vmap_history *history = kernel_vmap.history;

	for (unsigned i = 0; history && i < history->nr; i++)
		kprintf("history: %lu %lu\n", history->samples[i].tsc - history->samples[0].tsc,
			history->samples[i].pages);
}

_Noreturn void guest_main(uint64_t start_info_gpa)
{
	const struct workload *workload;
	int status;

	boot_cpu_init();
	platform_init(start_info_gpa);
	boot_cpu_attach();
	bootargs_init(platform.bootargs);
	flush_strategy_init();
	workload = choose_workload();
	print_banner(workload);

	memory_init();
	tlb_init();
	apic_init();
	smp_init();
	irq_enable();
	blk_init();
	vmap_init(platform.has_host ? phys_to_virt(platform.shared_gpa) : NULL);
	origins_init();
	flush_strategy_start();
	if (pin_init())
		panic("the host refuses the kernel's page tables");
	status = workload->run();
	print_history();
	machine_exit(status);
}
