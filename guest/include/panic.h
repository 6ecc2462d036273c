/* SPDX-License-Identifier: MIT */
/* Ways to end the run. */
#ifndef PANIC_H
#define PANIC_H

/* Exit statuses of the guest. vmm exits with the same status. */
enum exit_status {
	EXIT_OK = 0,
	EXIT_CHECK_FAILED = 1, /* a self-test or a check of a workload failed */
	EXIT_BAD_ARGS = 62,    /* bad boot arguments */
	EXIT_PANIC = 63,
};

/* Ends the machine at once, with a status of 0..63. */
_Noreturn void machine_exit(unsigned status);

/* Prints one line, "guest: panic: ...", and exits with EXIT_PANIC. `fmt` is as for kprintf(),
 * without a newline. Callable from anywhere, with any lock held. */
_Noreturn void panic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Panics if a condition holds that only a bug of the guest's can cause. Not for input from
 * outside. */
#define BUG_ON(condition)                                                                          \
	do {                                                                                       \
		if (__builtin_expect(!!(condition), 0))                                            \
			panic("%s:%d: %s", __FILE__, __LINE__, #condition);                        \
	} while (0)

#endif
