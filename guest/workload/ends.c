/* SPDX-License-Identifier: MIT */
/* Ways for a guest to end, or not to, so that the host's side of each can be tried. */
#include "bootargs.h"
#include "cpu.h"
#include "panic.h"
#include "workload.h"
#include "alias_abi.h"

BOOTARG(status, "workload exit: 0..63, default 0");

static int run_exit(void)
{
	uint64_t status = arg_u64("status", 0);

	if (status > ALIAS_EXIT_MAX)
		arg_bad("status", "0..63");
	return (int)status;
}

static _Noreturn void hang(void)
{
	for (;;)
		cpu_relax();
}

static int run_hang(void)
{
	hang();
}

/* No exception can be delivered without an interrupt descriptor table. */
static int run_triplefault(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) no_idt = {0, 0};

	__asm__ volatile("lidt %0\n\tint3" : : "m"(no_idt));
	__builtin_unreachable();
}

static int run_panic(void)
{
	panic("as was asked for");
}

WORKLOAD(exit, "exit with status=", run_exit);
WORKLOAD(hang, "never end", run_hang);
WORKLOAD(triplefault, "cause a triple fault", run_triplefault);
WORKLOAD(panic, "panic", run_panic);
