/* SPDX-License-Identifier: MIT */
/* Exceptions and interrupts. */
#ifndef TRAP_H
#define TRAP_H

#include <stdbool.h>
#include <stdint.h>

/* What the entry code leaves on the stack of the interrupted code. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector;
	uint64_t error; /* 0 where the processor gives none */
	uint64_t rip, cs, rflags, rsp, ss;
};

enum vector {
	VECTOR_NMI = 2,
	VECTOR_DF = 8,
	VECTOR_PF = 14,
	VECTOR_MC = 18,
	VECTOR_GSI = 0x30, /* first of those given to GSIs */
	VECTOR_WAKE = 0xf0,
	VECTOR_FLUSH = 0xf1,
	VECTOR_SPURIOUS = 0xff,
};

/*
 * Handles the exception `vector` (0..31) on every CPU. A handler that returns resumes the
 * interrupted code with the registers as they are in the frame. It runs with interrupts off, or,
 * with `keep_irqs`, with interrupts on if they were on in the interrupted code; it runs on the
 * interrupted stack, so handlers may nest. An exception without a handler is a panic. Register
 * before it can occur; NMI, #DF and #MC can't be registered.
 */
typedef void trap_handler(struct trap_frame *frame);
void register_trap(unsigned vector, trap_handler *handler, bool keep_irqs);

/*
 * Routes the edge-triggered GSI to the boot CPU and calls handler(arg) there with interrupts off.
 * Handlers neither allocate nor free frames, and wait for nobody. Returns false if the GSI is out
 * of range or all vectors are taken.
 */
typedef void irq_handler(void *arg);
bool register_irq(unsigned gsi, irq_handler *handler, void *arg);

/* For smp.c and tlb.c: the handler of an IPI's vector, on every CPU. */
void register_ipi(unsigned vector, irq_handler *handler, void *arg);

/* Loads GDT, TSS and IDT of this CPU; the table of handlers is common. */
struct percpu;
void traps_init_cpu(struct percpu *cpu, void *ist_stacks);

#endif
