/* SPDX-License-Identifier: MIT */
/*
 * Several CPUs. The boot CPU runs main() and the workload; the others halt in their idle loop until
 * they are given a function to run, with interrupts on and on a stack of 20 KiB.
 */
#ifndef SMP_H
#define SMP_H

#include <stdint.h>

/* CPUs that run, numbered 0 .. nr_cpus_online() - 1; constant once workloads run. */
unsigned nr_cpus_online(void);

/* Starts fn(arg) on the idle CPU `cpu`, not the caller's own, and returns at once; what the caller
 * wrote before is seen there. A CPU that is busy already is a bug of the caller's (panic). */
void smp_call(unsigned cpu, void (*fn)(void *arg), void *arg);
/* Waits, halted, until the function that the caller gave to this CPU has returned; what it wrote
 * is seen by the caller. Returns at once if none runs. */
void smp_wait(unsigned cpu);
/* How many of them work when all are to: those that `busy=` says, numbered from 0. */
unsigned nr_cpus_busy(void);
/* fn(arg) on all of these, the caller's among them; returns when all have returned. From the boot
 * CPU, while all others are idle. Counted in workload_ticks. */
void smp_run_on_all(void (*fn)(void *arg), void *arg);

/* Interrupts a CPU that may be halted in a loop over irq_enable_and_halt(), so that it looks at
 * its condition again. Not needed for the caller's own CPU, where it does nothing. */
void smp_wake(unsigned cpu);

/* How many CPUs `cpus=` asks for, all that there are if it doesn't. */
unsigned smp_cpus_wanted(void);

/* Boot, on the boot CPU. First of all, what this_cpu() and exceptions need; when the platform is
 * known, its identity and its page of those shared with the host; when the final tables are in use,
 * all other CPUs. */
void boot_cpu_init(void);
void boot_cpu_attach(void);
void smp_init(void);

#endif
