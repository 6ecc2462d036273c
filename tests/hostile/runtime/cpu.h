/* SPDX-License-Identifier: MIT */
/* The instructions that a hostile guest needs beside C. */
#ifndef HOSTILE_CPU_H
#define HOSTILE_CPU_H

#include <stdbool.h>
#include <stdint.h>

static inline void outl(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void load_cr3(uint64_t value)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}

static inline void invlpg(uint64_t va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline void relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/* Is a store, or any instruction, done? If it faults (#PF, #GP), `done` is false. `code` may use
 * rax, rcx and rdx, and names its operands from %1 on. */
#define TRY(done, code, ...)                                                                       \
	__asm__ volatile("lea 1f(%%rip), %%r11\n\t"                                                \
			 "movabs $0x7472795f73746f72, %%r10\n\t" code "\n\t"                       \
			 "movb $1, %0\n\t"                                                         \
			 "jmp 2f\n"                                                                \
			 "1:\tmovb $0, %0\n"                                                       \
			 "2:\txor %%r10d, %%r10d"                                                  \
			 : "=&q"(done)                                                             \
			 : __VA_ARGS__                                                             \
			 : "r10", "r11", "rax", "rcx", "rdx", "cc", "memory")

/* Stores through that address if it is mapped writable and the host allows it; says whether it did.
 */
static inline bool try_store(uint64_t va, uint64_t value)
{
	bool done;

	TRY(done, "movq %2, (%1)", "r"(va), "r"(value));
	return done;
}

#endif
