/* SPDX-License-Identifier: MIT */
/*
 * Multiprocessing. The boot CPU runs main() and the workload. Each of the others is idle, halted
 * with interrupts on, until it is given a function, which runs on a stack of 20 KiB.
 */
#ifndef SMP_H
#define SMP_H

#include <stdint.h>

/* Number of CPUs that run; their ids are 0 .. nr_cpus_online() - 1. Constant once workloads run. */
unsigned nr_cpus_online(void);

/* Starts fn(arg) on `cpu`, which is idle and not the caller's own, and returns at once. fn() sees
 * all that the caller wrote before. Panics if that CPU is busy. */
void smp_call(unsigned cpu, void (*fn)(void *arg), void *arg);
/* Waits, halted, until the function that the caller started on `cpu` has returned; the caller then
 * sees all that it wrote. Returns at once if none runs. */
void smp_wait(unsigned cpu);
/* Number of CPUs that smp_run_on_all() uses: `busy=` CPUs, from 0 on; by default all. */
unsigned nr_cpus_busy(void);
/* Runs fn(arg) on all of these CPUs, the caller's included, and returns when all have returned. On
 * the boot CPU, while the others are idle. Counted in workload_ticks. */
void smp_run_on_all(void (*fn)(void *arg), void *arg);

/* Wakes a CPU that waits in a loop over irq_enable_and_halt(), so that it checks its condition
 * again. Does nothing for the caller's own CPU. */
void smp_wake(unsigned cpu);

/* Number of CPUs to start: `cpus=`, by default all. */
unsigned smp_cpus_wanted(void);

/* At boot, on the boot CPU, in this order: boot_cpu_init() before anything else, for this_cpu() and
 * exceptions; boot_cpu_attach() once the platform is known, for its id and its shared page;
 * smp_init() once the final page tables are loaded, to start the other CPUs. */
void boot_cpu_init(void);
void boot_cpu_attach(void);
void smp_init(void);

#endif
