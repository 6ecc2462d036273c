/* SPDX-License-Identifier: MIT */
/* The ends of a run. */
#ifndef PANIC_H
#define PANIC_H

/* Exit statuses of the guest; the host passes them on as its own. */
enum exit_status {
	EXIT_OK = 0,
	EXIT_CHECK_FAILED = 1, /* a self-test, or what a workload checks, failed */
	EXIT_BAD_ARGS = 62,    /* boot arguments make no sense */
	EXIT_PANIC = 63,
};

/* Ends the machine at once, all CPUs, with a status of 0..63. */
_Noreturn void machine_exit(unsigned status);

/* Prints the one line "guest: panic: ..." (no newline in `fmt`) and exits with EXIT_PANIC. Formats
 * as kprintf(). May be called anywhere, with any lock held. */
_Noreturn void panic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* For what cannot be unless the guest itself is wrong; never for what comes from outside. */
#define BUG_ON(condition)                                                                          \
	do {                                                                                       \
		if (__builtin_expect(!!(condition), 0))                                            \
			panic("%s:%d: %s", __FILE__, __LINE__, #condition);                        \
	} while (0)

#endif
