/* SPDX-License-Identifier: MIT */
#include "panic.h"

#include <stdarg.h>

#include "console.h"
#include "cpu.h"
#include "platform.h"

#define QEMU_DEBUG_EXIT 0xf4 /* QEMU's isa-debug-exit device, if there is one */

_Noreturn void machine_exit(unsigned status)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) no_idt;

	irq_disable();
	if (platform.poweroff_port)
		outl(platform.poweroff_port, status);
	else
		outb(QEMU_DEBUG_EXIT, status);
	/* No device has ended the run. A triple fault ends any machine, and is never mistaken for
	 * success. */
	__asm__ volatile("lidt %0\n\tint3" : : "m"(no_idt));
	for (;;)
		__asm__ volatile("hlt");
}

_Noreturn void panic(const char *fmt, ...)
{
	static uint32_t panicking; /* atomic; only the first CPU that panics prints */
	char text[KPRINTF_MAX] = "guest: panic: ";
	const size_t start = sizeof("guest: panic: ") - 1;
	va_list args;
	size_t len;

	irq_disable();
	if (__atomic_exchange_n(&panicking, 1, __ATOMIC_ACQ_REL))
		for (;;)
			__asm__ volatile("hlt");
	va_start(args, fmt);
	len = start + kvsnprintf(text + start, sizeof(text) - start - 1, fmt, args);
	va_end(args);
	if (len > sizeof(text) - 2)
		len = sizeof(text) - 2;
	text[len] = '\n';
	console_write_unlocked(text, len + 1);
	machine_exit(EXIT_PANIC);
}
