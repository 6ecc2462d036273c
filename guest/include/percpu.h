/* SPDX-License-Identifier: MIT */
/*
 * What each CPU has for itself. Code never moves from one CPU to another, so a pointer from
 * this_cpu() stays valid for as long as the code runs. A subsystem with per-CPU data of its own
 * keeps an array of MAX_CPUS cache-line aligned elements, indexed by this_cpu()->id.
 */
#ifndef PERCPU_H
#define PERCPU_H

#include <stddef.h>
#include <stdint.h>
#include <alias_abi.h>
#include <cpu.h>

/* GS and FS base point here: compilers look for the stack protector's canary at 0x28 of either
 * (GS in the kernel's own code, FS in libfdt, which was compiled for user space). */
struct percpu {
	struct percpu *self;
	uint32_t id; /* 0 .. nr_cpus - 1, in the order of the device tree; 0 boots */
	uint32_t apic_id;
	struct alias_guest_stats *stats;   /* written by this CPU only; never NULL */
	struct alias_vcpu_page *vcpu_page; /* shared with the host, NULL without one */
	uint64_t root_pfn;                 /* the L4 table in CR3; written by load_root() */
	uint64_t canary;
	struct alias_guest_stats own_stats; /* where `stats` points without a host */
};

_Static_assert(offsetof(struct percpu, canary) == 0x28, "fixed by the compilers");

static inline struct percpu *this_cpu(void)
{
	struct percpu *self;

	__asm__("movq %%gs:0, %0" : "=r"(self));
	return self;
}

/* Adds to a counter of struct alias_guest_stats, with one instruction: what an interrupt handler
 * adds on this CPU meanwhile is not lost. */
#define count_stat(field, n)                                                                       \
	__asm__ volatile("addq %1, %0"                                                             \
			 : "+m"(this_cpu()->stats->field)                                          \
			 : "er"((uint64_t)(n))                                                     \
			 : "cc")

/* The structure of CPU `id`, 0 .. MAX_CPUS - 1, online or not. */
struct percpu *cpu_by_id(unsigned id);

#endif
