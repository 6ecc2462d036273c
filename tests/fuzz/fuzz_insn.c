/* SPDX-License-Identifier: MIT */
/* The decoder of instructions that store: first what is in the registers, then the code. */
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "pin/insn.h"

static const uint64_t values[] = {
	0,          1,          7,          0x80,
	0xfff,      0x1000,     0x7fffffff, 0x80000000,
	UINT32_MAX, 1ull << 47, INT64_MAX,  1ull << 63,
	UINT64_MAX, -8ull,      0x400,      0xffff8880ull << 32,
};

static void set_registers(struct bytes *in, struct kvm_regs *regs, struct insn_segments *segments)
{
	/* In the order of their numbers. */
	__u64 *const all[] = {&regs->rax, &regs->rcx, &regs->rdx, &regs->rbx, &regs->rsp,
			      &regs->rbp, &regs->rsi, &regs->rdi, &regs->r8,  &regs->r9,
			      &regs->r10, &regs->r11, &regs->r12, &regs->r13, &regs->r14,
			      &regs->r15, &regs->rip};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i += 2) {
		uint8_t choice = take1(in);

		*all[i] = values[choice & 15];
		if (i + 1 < sizeof(all) / sizeof(all[0]))
			*all[i + 1] = values[choice >> 4];
	}
	regs->rflags = take(in, 2);
	segments->fs = values[take1(in) & 15];
	segments->gs = values[take1(in) & 15];
}

static void check(const struct insn *insn, size_t nr)
{
	MUST(insn->len > 0 && insn->len <= nr && insn->len <= INSN_MAX_LEN);
	MUST(insn->op <= INSN_LARGE && insn->reg < 16);
	if (insn->op == INSN_LARGE)
		MUST(insn->size == 10 || insn->size == 512);
	else if (insn->op == INSN_MOV_XMM)
		MUST(insn->size == 16);
	else
		MUST(insn->size == 1 || insn->size == 2 || insn->size == 4 || insn->size == 8);
	if (insn->size < 8 && insn->op != INSN_MOVS)
		MUST(insn->operand >> insn->size * 8 == 0);
	if (insn->high)
		MUST(insn->size == 1);
}

/* RIP goes to the next instruction, or stays for one more round; a store fits its size. */
static void check_execution(const struct insn *insn, struct kvm_regs *regs, uint64_t old)
{
	const struct kvm_regs before = *regs;
	uint64_t value = 0;
	bool stores;

	if (insn->size < 8)
		old &= (1ull << insn->size * 8) - 1;
	stores = insn_execute(insn, old, regs, &value);
	if (stores && insn->size < 8)
		MUST(value >> insn->size * 8 == 0);
	MUST(regs->rip == before.rip + insn->len || (insn->rep && regs->rip == before.rip));
	MUST(regs->rsp == before.rsp || insn->op == INSN_XCHG || insn->op == INSN_XADD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = {data, size};
	struct kvm_regs regs = {0};
	struct insn_segments segments;
	struct insn insn, again;
	uint64_t old;
	uint8_t *code;
	size_t nr;

	set_registers(&in, &regs, &segments);
	old = values[take1(&in) & 15];
	nr = in.left;
	code = malloc(nr ? nr : 1); /* of that size, to see when more is read */
	if (nr)
		memcpy(code, in.at, nr);
	if (insn_decode(code, nr, &regs, &segments, &insn)) {
		check(&insn, nr);
		/* What follows an instruction makes no difference, and all of it is needed. */
		MUST(insn_decode(code, insn.len, &regs, &segments, &again));
		MUST(again.op == insn.op && again.len == insn.len && again.va == insn.va &&
		     again.operand == insn.operand && again.size == insn.size);
		MUST(!insn_decode(code, insn.len - 1, &regs, &segments, &again));
		check_execution(&insn, &regs, old);
	}
	free(code);
	return 0;
}
