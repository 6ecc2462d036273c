/* SPDX-License-Identifier: MIT */
/*
 * Workloads: `workload=name` chooses what the guest does. A file of guest/workload/ or
 * guest/selftest/ declares
 *
 * 	WORKLOAD(demo, "a stale alias, found and flushed", run_demo);
 */
#ifndef WORKLOAD_H
#define WORKLOAD_H

struct workload {
	const char *name;
	const char *help;
	/* Runs on the boot CPU, with the machine set up and all other CPUs idle. Returns the exit
	 * status of the run (enum exit_status). */
	int (*run)(void);
};

#define WORKLOAD(name, help, run)                                                                  \
	static const struct workload workload_##name                                               \
		__attribute__((section("workloads"), used, aligned(8))) = {#name, help, run}

/*
 * The initialisation of guest/flush/ and of guest/mm/vmap.c, called by main() in this order. First
 * flush_strategy_init(), before there is memory to allocate and before anything is printed: reads
 * the strategy from the boot arguments, and ends the run by arg_bad() if there is none of that
 * name.
 */
void flush_strategy_init(void);
/* The name of the strategy, for the banner. */
const char *flush_strategy_name(void);
/* With all CPUs up and idle, before pin_init(). `common`: the page of the host's interface, NULL if
 * there is no host. */
struct alias_common_page;
void vmap_init(struct alias_common_page *common);
/* After that; from then on the strategy's hooks are called. Panics if memory is short. */
void flush_strategy_start(void);

#endif
