/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU data. Code never moves from one CPU to another, so the pointer from this_cpu() stays
 * valid. A subsystem that needs more keeps an array of MAX_CPUS elements, aligned to cache lines
 * and indexed by this_cpu()->id.
 */
#ifndef PERCPU_H
#define PERCPU_H

#include <stddef.h>
#include <stdint.h>
#include <alias_abi.h>
#include <cpu.h>

/* The GS and FS bases of a CPU point to its struct percpu: compilers expect the stack protector's
 * canary at offset 0x28 of either (GS for the kernel's code, FS for libfdt, which was compiled for
 * user space). */
struct percpu {
	struct percpu *self;
	uint32_t id; /* 0 .. nr_cpus - 1, in the order of the device tree; 0 is the boot CPU */
	uint32_t apic_id;
	struct alias_guest_stats *stats;   /* written by this CPU only; never NULL */
	struct alias_vcpu_page *vcpu_page; /* shared with the host; NULL if has_host is false */
	uint64_t root_pfn;                 /* the root in CR3; written by load_root() */
	uint64_t canary;
	struct alias_log_record *log_records; /* its ring, if platform.log_gpa is not 0 */
	struct alias_guest_stats own_stats;   /* where `stats` points if has_host is false */
};

_Static_assert(offsetof(struct percpu, canary) == 0x28, "fixed by the compilers");

static inline struct percpu *this_cpu(void)
{
	struct percpu *self;

	__asm__("movq %%gs:0, %0" : "=r"(self));
	return self;
}

/* Adds `n` to a counter of struct alias_guest_stats. It is one instruction, so that no addition by
 * an interrupt handler on this CPU is lost. */
#define count_stat(field, n)                                                                       \
	__asm__ volatile("addq %1, %0"                                                             \
			 : "+m"(this_cpu()->stats->field)                                          \
			 : "er"((uint64_t)(n))                                                     \
			 : "cc")

/* The struct percpu of CPU `id`, 0 .. MAX_CPUS - 1, online or not. */
struct percpu *cpu_by_id(unsigned id);

#endif
