/* SPDX-License-Identifier: MIT */
/*
 * What the guest can be told to do, by `workload=name`. A file of guest/workload/ or
 * guest/selftest/ declares it:
 *
 *	WORKLOAD(demo, "a stale alias, found and flushed", run_demo);
 */
#ifndef WORKLOAD_H
#define WORKLOAD_H

struct workload {
	const char *name;
	const char *help;
	/* Runs on the boot CPU with the machine complete and all other CPUs idle; returns the exit
	 * status (enum exit_status) of the whole run. */
	int (*run)(void);
};

#define WORKLOAD(name, help, run)                                                                  \
	static const struct workload workload_##name                                               \
		__attribute__((section("workloads"), used, aligned(8))) = {#name, help, run}

/*
 * What main() calls of the other half of the kernel (guest/mm/vmap*.c, guest/flush/), in this
 * order. First, before there is memory to allocate and before anything is printed: takes the
 * strategy from the boot arguments (arg_bad() if there is none of that name).
 */
void flush_strategy_init(void);
/* The name of the chosen strategy, for the banner. */
const char *flush_strategy_name(void);
/* With all CPUs up and idle, before pin_init(). */
void vmap_init(void);
/* Then: from now on the strategy sees what is mapped. Panics if it finds no memory. */
void flush_strategy_start(void);

#endif
