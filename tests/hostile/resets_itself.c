/* SPDX-License-Identifier: MIT */
/*
 * INIT or SMI, by the word of the command line, to the processor that runs: it starts where the
 * firmware would be, and there is none.
 *
 * The guest ends, as one that has shut down.
 */
#include "hostile.h"

#define MSR_APIC_BASE 0x1bu
#define APIC_X2       0xc00u
#define MSR_ICR       0x830u
#define ICR_INIT      0x4500u
#define ICR_SMI       0x4200u

static void hostile_main(void)
{
	require(word_is("init") || word_is("smi"));
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_X2);
	wrmsr(MSR_ICR, word_is("init") ? ICR_INIT : ICR_SMI);
	for (unsigned i = 0; i < 1000000; i++)
		relax();
	check(false);
}
