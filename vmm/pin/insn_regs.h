/* SPDX-License-Identifier: MIT */
/* Registers and flags by their numbers: shared by the two halves of insn.h. */
#ifndef VMM_PIN_INSN_REGS_H
#define VMM_PIN_INSN_REGS_H

#include <stdint.h>
#include <linux/kvm.h>

#define FLAG_CF (1ull << 0)
#define FLAG_PF (1ull << 2)
#define FLAG_AF (1ull << 4)
#define FLAG_ZF (1ull << 6)
#define FLAG_SF (1ull << 7)
#define FLAG_DF (1ull << 10)
#define FLAG_OF (1ull << 11)

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

static inline uint64_t *reg_of(struct kvm_regs *regs, unsigned number)
{
	__u64 *const order[] = {
		&regs->rax, &regs->rcx, &regs->rdx, &regs->rbx, &regs->rsp, &regs->rbp,
		&regs->rsi, &regs->rdi, &regs->r8,  &regs->r9,  &regs->r10, &regs->r11,
		&regs->r12, &regs->r13, &regs->r14, &regs->r15,
	};

	return (uint64_t *)order[number];
}

static inline uint64_t reg_read(const struct kvm_regs *regs, unsigned number)
{
	return *reg_of((struct kvm_regs *)regs, number);
}

static inline uint64_t size_mask(unsigned size)
{
	return size >= 8 ? UINT64_MAX : (1ull << size * 8) - 1;
}

#endif
