/* SPDX-License-Identifier: MIT */
/*
 * What the guest's platform code stands on, made of host memory: one CPU that is a number, a
 * console that is a string, and ends (panic, bad arguments) that come back to the test.
 */
#ifndef TESTS_PLATFORM_FAKE_PLATFORM_H
#define TESTS_PLATFORM_FAKE_PLATFORM_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#define FAKE_MEMORY (1u << 20)

struct fake_platform {
	unsigned cpu;       /* on which the test is */
	char console[1024]; /* what was printed last, or the words of the panic */
	unsigned status;    /* of the end */
	bool catching;
	jmp_buf end;
};

extern struct fake_platform fake;
extern uint8_t guest_memory[FAKE_MEMORY];

/* Does `statement`; the value is whether it came to an end by panic() or machine_exit(). */
#define ENDS(statement)                                                                            \
	({                                                                                         \
		fake.catching = true;                                                              \
		bool ended = setjmp(fake.end);                                                     \
		if (!ended) {                                                                      \
			statement;                                                                 \
		}                                                                                  \
		fake.catching = false;                                                             \
		ended;                                                                             \
	})

#endif
