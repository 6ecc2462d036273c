/* SPDX-License-Identifier: MIT */
#include "fake_platform.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "console.h"
#include "panic.h"
#include "percpu.h"
#include "spinlock.h"

struct fake_platform fake;
uint8_t guest_memory[FAKE_MEMORY];

struct percpu *this_cpu(void)
{
	static struct percpu cpu;

	cpu.id = fake.cpu;
	return &cpu;
}

void console_set_port(uint16_t port)
{
	(void)port;
}

void kprintf(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(fake.console, sizeof(fake.console), fmt, args);
	va_end(args);
}

_Noreturn void machine_exit(unsigned status)
{
	if (!fake.catching) {
		printf("unexpected end with status %u: %s\n", status, fake.console);
		fflush(stdout);
		abort();
	}
	fake.status = status;
	longjmp(fake.end, 1);
}

_Noreturn void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(fake.console, sizeof(fake.console), fmt, args);
	va_end(args);
	machine_exit(EXIT_PANIC);
}

/* There is one thread: a lock that is held already would never come free. */
void spin_lock_slow(struct spinlock *lock)
{
	(void)lock;
	abort();
}
