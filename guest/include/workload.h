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
 * Called by main() before the workload and before pin_init(), with all CPUs up and idle: the other
 * half of the kernel sets itself up (the vmap layer and the strategy, which it takes from the boot
 * arguments). In guest/mm/vmap*.c and guest/flush/.
 */
void vmap_init(void);
void flush_strategy_init(void);
/* The name of the chosen strategy, for the banner; after flush_strategy_init(). */
const char *flush_strategy_name(void);

#endif
