/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "console.h"
#include "panic.h"
#include "percpu.h"
#include "spinlock.h"

struct world world;
uint8_t guest_memory[WORLD_MEMORY];

struct percpu *this_cpu(void)
{
	static struct percpu cpu;

	cpu.id = world.cpu;
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
	vsnprintf(world.console, sizeof(world.console), fmt, args);
	va_end(args);
}

_Noreturn void machine_exit(unsigned status)
{
	if (!world.catching) {
		printf("unexpected end with status %u: %s\n", status, world.console);
		fflush(stdout);
		abort();
	}
	world.status = status;
	longjmp(world.end, 1);
}

_Noreturn void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(world.console, sizeof(world.console), fmt, args);
	va_end(args);
	machine_exit(EXIT_PANIC);
}

/* There is one thread: a lock that is held already would never come free. */
void spin_lock_slow(struct spinlock *lock)
{
	(void)lock;
	abort();
}
