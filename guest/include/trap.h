/* SPDX-License-Identifier: MIT */
/* Exceptions and interrupts. */
#ifndef TRAP_H
#define TRAP_H

#include <stdbool.h>
#include <stdint.h>

/* What the entry code saves on the stack of the interrupted code. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector;
	uint64_t error; /* 0 if the exception has none */
	uint64_t rip, cs, rflags, rsp, ss;
};

enum vector {
	VECTOR_NMI = 2,
	VECTOR_DF = 8,
	VECTOR_GP = 13,
	VECTOR_PF = 14,
	VECTOR_MC = 18,
	VECTOR_GSI = 0x30, /* first vector for GSIs */
	VECTOR_WAKE = 0xf0,
	VECTOR_FLUSH = 0xf1,
	VECTOR_SPURIOUS = 0xff,
};

/*
 * Registers the handler of exception `vector` (0..31), for all CPUs, before it can occur. When the
 * handler returns, the interrupted code goes on with the registers of the frame. The handler runs
 * on the interrupted stack, so handlers may nest, and with interrupts off; with `keep_irqs`,
 * interrupts are on if they were on in the interrupted code. An exception without a handler panics.
 * NMI, #DF and #MC can't be registered.
 */
typedef void trap_handler(struct trap_frame *frame);
void register_trap(unsigned vector, trap_handler *handler, bool keep_irqs);

/*
 * Routes the edge-triggered GSI to the boot CPU, where handler(arg) is called with interrupts off.
 * Handlers must not allocate or free frames, nor wait for anything. Returns false if the GSI is out
 * of range or all vectors are in use.
 */
typedef void irq_handler(void *arg);
bool register_irq(unsigned gsi, irq_handler *handler, void *arg);

/* Registers the handler of an IPI, for all CPUs. For smp.c and tlb.c. */
void register_ipi(unsigned vector, irq_handler *handler, void *arg);

/* Loads GDT, TSS and IDT of this CPU. All CPUs share the table of handlers. */
struct percpu;
void traps_init_cpu(struct percpu *cpu, void *ist_stacks);

#endif
