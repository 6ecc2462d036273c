/* SPDX-License-Identifier: MIT */
#include "apic.h"
#include "cpu.h"
#include "layout.h"
#include "percpu.h"
#include "selftest.h"
#include "trap.h"

/* Goes on within irq_enable_and_halt(), as if between its two instructions the host had been there,
 * and the interrupt that is pending were taken at once. */
static void halt_with_irqs_on(void)
{
	__asm__ volatile("lea	1f(%%rip), %%rax\n\t"
			 "push	%%rax\n\t"
			 "mov	%%rsp, %%rax\n\t"
			 "mov	%%ss, %%ecx\n\t"
			 "push	%%rcx\n\t"
			 "push	%%rax\n\t"
			 "pushfq\n\t"
			 "orq	%[irqs_on], (%%rsp)\n\t"
			 "push	%[code]\n\t"
			 "push	$about_to_halt\n\t"
			 "iretq\n"
			 "1:"
			 :
			 : [irqs_on] "i"(RFLAGS_IF), [code] "i"(SELECTOR_CODE)
			 : "rax", "rcx", "cc", "memory");
}

/* Nothing to see but that it ends: with nothing else to wake it this CPU would sleep for ever. */
static void no_interrupt_is_slept_through(struct selftest_result *r)
{
	(void)r;
	irq_disable();
	apic_send_ipi(this_cpu()->apic_id, VECTOR_WAKE);
	irq_enable_and_halt();
	irq_disable();
	apic_send_ipi(this_cpu()->apic_id, VECTOR_WAKE);
	halt_with_irqs_on();
}
SELFTEST(no_interrupt_is_slept_through, no_interrupt_is_slept_through);
