/* SPDX-License-Identifier: MIT */
/* What instructions do, held against the processor: each is run on it, too, with the same
 * registers. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "pin/insn.h"
#include "suites.h"
#include "../../../hostile/runtime/store_insns.h"

#define NR_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct insn_segments no_segments;

/* Those that an instruction here may use; offsets are known to native_call. */
struct native {
	uint64_t rax, rcx, rdx, rbx, rsi, rdi, r8, r9, flags;
};

/* Calls the code at rsi with the registers at rdi, and leaves there what they are afterwards. */
void native_call(struct native *regs, const void *code);
__asm__(".text\n"
	".globl native_call\n" /* where the linker optimizes, its callers may be in another unit */
	"native_call:\n"
	"	push %rbx\n"
	"	push %r15\n"
	"	push %rdi\n"
	"	mov %rsi, %r15\n"
	"	mov 0(%rdi), %rax\n"
	"	mov 8(%rdi), %rcx\n"
	"	mov 16(%rdi), %rdx\n"
	"	mov 24(%rdi), %rbx\n"
	"	mov 32(%rdi), %rsi\n"
	"	mov 48(%rdi), %r8\n"
	"	mov 56(%rdi), %r9\n"
	"	push 64(%rdi)\n"
	"	mov 40(%rdi), %rdi\n"
	"	popfq\n"
	"	call *%r15\n"
	"	pushfq\n"
	"	pop %r15\n"
	"	cld\n"
	"	push %rax\n"
	"	mov 8(%rsp), %rax\n"
	"	mov %r15, 64(%rax)\n"
	"	pop %r15\n"
	"	mov %r15, 0(%rax)\n"
	"	mov %rcx, 8(%rax)\n"
	"	mov %rdx, 16(%rax)\n"
	"	mov %rbx, 24(%rax)\n"
	"	mov %rsi, 32(%rax)\n"
	"	mov %rdi, 40(%rax)\n"
	"	mov %r8, 48(%rax)\n"
	"	mov %r9, 56(%rax)\n"
	"	pop %rdi\n"
	"	pop %r15\n"
	"	pop %rbx\n"
	"	ret\n");

static uint64_t memory[4];

/* Values at the edges, now and then the same twice. */
static uint64_t value(void)
{
	static const uint64_t edges[] = {
		0,      1,          0x7f,        0x80,       0xff,       0x7fff,
		0x8000, 0x7fffffff, 0x80000000u, UINT32_MAX, UINT64_MAX, 1ull << 63,
	};
	uint64_t random = (uint64_t)rand() << 40 ^ (uint64_t)rand() << 20 ^ (uint64_t)rand();

	return rand() % 2 ? edges[(size_t)rand() % NR_OF(edges)] : random;
}

static struct native random_regs(void)
{
	struct native n = {
		.rax = value(),
		.rcx = value(),
		.rdx = value(),
		.rbx = value(),
		.rsi = value(),
		.rdi = (uintptr_t)&memory[1],
		.r8 = value(),
		.r9 = value(),
		.flags = 0x202 | ((unsigned)rand() & ARITHMETIC),
	};

	return n;
}

static void compare(const struct native *n, const struct kvm_regs *regs, unsigned flags)
{
	ck_assert_uint_eq(regs->rax, n->rax);
	ck_assert_uint_eq(regs->rcx, n->rcx);
	ck_assert_uint_eq(regs->rdx, n->rdx);
	ck_assert_uint_eq(regs->rbx, n->rbx);
	ck_assert_uint_eq(regs->rsi, n->rsi);
	ck_assert_uint_eq(regs->rdi, n->rdi);
	ck_assert_uint_eq(regs->r8, n->r8);
	ck_assert_uint_eq(regs->r9, n->r9);
	ck_assert_uint_eq(regs->rflags & flags, n->flags & flags);
}

/* What the processor has left tells that this instruction has done the store; of one that loads
 * where it stores, no other value. (KVM has one that repeats itself stop at it.) */
static void expect_explained(const uint8_t *code, size_t len, const struct native *n, uint64_t old)
{
	bool round = code[0] == 0xf3;
	struct kvm_regs after = {.rax = n->rax,
				 .rcx = n->rcx,
				 .rdx = n->rdx,
				 .rbx = n->rbx,
				 .rsi = n->rsi,
				 .rdi = n->rdi,
				 .r8 = n->r8,
				 .r9 = n->r9,
				 .rip = 0x1000 + (round ? 0 : len),
				 .rflags = n->flags};
	uint64_t value = 0;
	struct insn insn;

	ck_assert(insn_decode_done(code, len, round, &after, &no_segments, &insn));
	ck_assert(!insn_decode_done(code, len, !round, &after, &no_segments, &insn));
	ck_assert(insn_decode_done(code, len, round, &after, &no_segments, &insn));
	ck_assert_uint_eq(insn.va, (uintptr_t)&memory[1]);
	memcpy(&value, &memory[1], insn.size);
	ck_assert(insn_has_stored(&insn, old, &after, value));
	if (insn.op != INSN_XCHG && insn.op != INSN_XADD)
		ck_assert(!insn_has_stored(&insn, old, &after, value ^ 1));
	else
		ck_assert(!insn_has_stored(&insn, old ^ 1, &after, value));
}

START_TEST(as_the_processor)
{
	uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(page, MAP_FAILED);
	memcpy(page, store_insns[_i].code, store_insns[_i].len);
	page[store_insns[_i].len] = 0xc3; /* ret */
	srand(7);
	for (unsigned round = 0; round < 1000; round++) {
		struct native n = random_regs();
		uint64_t old, stored;
		struct insn insn;
		struct kvm_regs regs;
		bool stores;

		memory[1] = old = rand() % 2 ? value() : n.rax;
		if (store_insns[_i].code[0] == 0xf3)
			n.rcx = 1;
		regs = (struct kvm_regs){.rax = n.rax,
					 .rcx = n.rcx,
					 .rdx = n.rdx,
					 .rbx = n.rbx,
					 .rsi = n.rsi,
					 .rdi = n.rdi,
					 .r8 = n.r8,
					 .r9 = n.r9,
					 .rip = 0x1000,
					 .rflags = n.flags};
		ck_assert(insn_decode(page, 4096, &regs, &no_segments, &insn));
		ck_assert_uint_eq(insn.len, store_insns[_i].len);
		ck_assert_uint_eq(insn.va, (uintptr_t)&memory[1]);
		native_call(&n, page);
		if (insn.size < 8)
			old &= (1ull << insn.size * 8) - 1;
		stores = insn_execute(&insn, old, &regs, &stored);
		expect_explained(&store_insns[_i].code[0], store_insns[_i].len, &n, old);
		compare(&n, &regs, store_insns[_i].flags);
		ck_assert_uint_eq(regs.rip, 0x1000 + insn.len);
		if (!stores)
			stored = old;
		ck_assert_msg(!memcmp(&memory[1], &stored, insn.size), "%s: %llx stored, not %llx",
			      store_insns[_i].name, (unsigned long long)memory[1],
			      (unsigned long long)stored);
	}
	munmap(page, 4096);
}
END_TEST

/* Where it stores: rax 0x1000, rcx 0x20, rdi 0x7000, rbp 0x300, rsp 0x500, r12 0x90, r13 0xa0, fs
 * 0x10000, gs 0x20000, RIP 0x400000. */
static const struct {
	const char *name;
	uint64_t va;
	uint8_t len;
	uint8_t code[12];
} places[] = {
	{"mov [rax], rdx", 0x1000, 3, {0x48, 0x89, 0x10}},
	{"mov [rax+rcx*8], rdx", 0x1100, 4, {0x48, 0x89, 0x14, 0xc8}},
	{"mov [rax+rcx*8-8], rdx", 0x10f8, 5, {0x48, 0x89, 0x54, 0xc8, 0xf8}},
	{"mov [rax+0x12345], rdx", 0x13345, 7, {0x48, 0x89, 0x90, 0x45, 0x23, 0x01, 0x00}},
	{"mov [rbp-4], rdx", 0x2fc, 4, {0x48, 0x89, 0x55, 0xfc}},
	{"mov [rsp], rdx", 0x500, 4, {0x48, 0x89, 0x14, 0x24}},
	{"mov [rsp+r12*2], rdx", 0x620, 4, {0x4a, 0x89, 0x14, 0x64}},
	{"mov [r12], rdx", 0x90, 4, {0x49, 0x89, 0x14, 0x24}},
	{"mov [r13+0], rdx", 0xa0, 4, {0x49, 0x89, 0x55, 0x00}},
	{"mov [rip+0x10], rdx", 0x400017, 7, {0x48, 0x89, 0x15, 0x10, 0, 0, 0}},
	{"mov dword [rip+0x10], 5", 0x40001a, 10, {0xc7, 0x05, 0x10, 0, 0, 0, 5, 0, 0, 0}},
	{"mov [0x2000], rax", 0x2000, 8, {0x48, 0x89, 0x04, 0x25, 0x00, 0x20, 0, 0}},
	{"mov [-0x1000], rax", -0x1000ull, 8, {0x48, 0x89, 0x04, 0x25, 0x00, 0xf0, 0xff, 0xff}},
	{"mov fs:[rax], rdx", 0x11000, 4, {0x64, 0x48, 0x89, 0x10}},
	{"mov gs:[rax], rdx", 0x21000, 4, {0x65, 0x48, 0x89, 0x10}},
	{"bts [rdi], rcx", 0x7000, 4, {0x48, 0x0f, 0xab, 0x0f}},
	{"bts [rdi], rax", 0x7200, 4, {0x48, 0x0f, 0xab, 0x07}},
	{"sgdt [rdi]", 0x7000, 3, {0x0f, 0x01, 0x07}},
	{"sidt [rdi]", 0x7000, 3, {0x0f, 0x01, 0x0f}},
	{"fxsave64 [rdi]", 0x7000, 4, {0x48, 0x0f, 0xae, 0x07}},
	{"mov [edi + 4], rax", 0x7004, 5, {0x67, 0x48, 0x89, 0x47, 0x04}},
	{"mov [ebp - 0x400], rax", 0xffffff00, 8, {0x67, 0x48, 0x89, 0x85, 0x00, 0xfc, 0xff, 0xff}},
	{"mov gs:[ebp - 0x400], eax",
	 0x10001ff00,
	 8,
	 {0x65, 0x67, 0x89, 0x85, 0x00, 0xfc, 0xff, 0xff}},
	{"movups [rdi], xmm1", 0x7000, 3, {0x0f, 0x11, 0x0f}},
	{"movdqu [rdi], xmm9", 0x7000, 5, {0xf3, 0x44, 0x0f, 0x7f, 0x0f}},
};

static const struct kvm_regs place_regs = {
	.rax = 0x1000,
	.rcx = 0x20,
	.rdi = 0x7000,
	.rbp = 0x300,
	.rsp = 0x500,
	.r12 = 0x90,
	.r13 = 0xa0,
	.rip = 0x400000,
	.rflags = 2,
};

START_TEST(address_forms)
{
	static const struct insn_segments segments = {.fs = 0x10000, .gs = 0x20000};
	struct insn insn;

	ck_assert_msg(insn_decode(places[_i].code, places[_i].len, &place_regs, &segments, &insn) &&
			      insn.len == places[_i].len && insn.va == places[_i].va,
		      "%s: length %u, at %llx", places[_i].name, insn.len,
		      (unsigned long long)insn.va);
	/* Of bytes that are not there nothing is read. */
	for (size_t nr = 0; nr < places[_i].len; nr++)
		ck_assert(!insn_decode(places[_i].code, nr, &place_regs, &segments, &insn));
}
END_TEST

START_TEST(sse_registers)
{
	static const uint8_t movdqu_xmm9[] = {0xf3, 0x44, 0x0f, 0x7f, 0x0f};
	struct insn insn;

	ck_assert(insn_decode(movdqu_xmm9, sizeof(movdqu_xmm9), &place_regs, &no_segments, &insn));
	ck_assert_int_eq(insn.op, INSN_MOV_XMM);
	ck_assert_uint_eq(insn.reg, 9);
	ck_assert_uint_eq(insn.size, 16);
}
END_TEST

START_TEST(strings_go_round_by_round)
{
	static const uint8_t rep_movsq[] = {0xf3, 0x48, 0xa5};
	struct kvm_regs regs = {.rsi = 0x100, .rdi = 0x200, .rcx = 2, .rip = 0x1000, .rflags = 2};
	struct insn insn;
	uint64_t stored;

	ck_assert(insn_decode(rep_movsq, sizeof(rep_movsq), &regs, &no_segments, &insn));
	ck_assert_uint_eq(insn.va, 0x200);
	ck_assert_uint_eq(insn.operand, 0x100);
	ck_assert(insn_execute(&insn, 77, &regs, &stored));
	ck_assert_uint_eq(stored, 77);
	ck_assert_uint_eq(regs.rip, 0x1000);
	ck_assert_uint_eq(regs.rcx, 1);
	ck_assert(insn_execute(&insn, 78, &regs, &stored));
	ck_assert_uint_eq(regs.rip, 0x1003);
	ck_assert_uint_eq(regs.rcx, 0);
	ck_assert_uint_eq(regs.rdi, 0x210);
	ck_assert_uint_eq(regs.rsi, 0x110);
	/* Backwards, and with nothing to do. */
	regs.rflags |= 0x400;
	regs.rip = 0x1000;
	ck_assert(!insn_execute(&insn, 79, &regs, &stored));
	ck_assert_uint_eq(regs.rip, 0x1003);
	regs.rcx = 1;
	ck_assert(insn_execute(&insn, 79, &regs, &stored));
	ck_assert_uint_eq(regs.rdi, 0x208);
}
END_TEST

static const struct {
	const char *name;
	uint8_t len;
	uint8_t code[8];
} unknown[] = {
	{"mov rax, [rdi]", 3, {0x48, 0x8b, 0x07}},
	{"mov rdi, rax", 3, {0x48, 0x89, 0xc7}},
	{"cmp [rdi], rax", 3, {0x48, 0x39, 0x07}},
	{"cmp qword [rdi], 1", 4, {0x48, 0x83, 0x3f, 0x01}},
	{"adc [rdi], rax", 3, {0x48, 0x11, 0x07}},
	{"push [rdi]", 2, {0xff, 0x37}},
	{"bt qword [rdi], 1", 5, {0x48, 0x0f, 0xba, 0x27, 0x01}},
	{"cmpxchg16b [rdi]", 4, {0x48, 0x0f, 0xc7, 0x0f}},
	{"movss [rdi], xmm0", 4, {0xf3, 0x0f, 0x11, 0x07}},
	{"movq [rdi], mm0", 3, {0x0f, 0x7f, 0x07}},
	{"vmovdqu [rdi], ymm0", 4, {0xc5, 0xfe, 0x7f, 0x07}},
	{"lgdt [rdi]", 3, {0x0f, 0x01, 0x17}},
	{"sgdt, of a register", 3, {0x0f, 0x01, 0xc0}},
	{"fxrstor [rdi]", 3, {0x0f, 0xae, 0x0f}},
	{"stosq, to [edi]", 3, {0x67, 0x48, 0xab}},
	{"bts [edi], rax", 5, {0x67, 0x48, 0x0f, 0xab, 0x07}},
	{"lock mov [rdi], rax", 4, {0xf0, 0x48, 0x89, 0x07}},
	{"lock mov byte [rdi], 1", 4, {0xf0, 0xc6, 0x07, 0x01}},
	{"lock movnti [rdi], rax", 5, {0xf0, 0x48, 0x0f, 0xc3, 0x07}},
	{"lock stosq", 3, {0xf0, 0x48, 0xab}},
	{"lock movsq", 3, {0xf0, 0x48, 0xa5}},
	{"lock movups [rdi], xmm0", 4, {0xf0, 0x0f, 0x11, 0x07}},
	{"lock sgdt [rdi]", 4, {0xf0, 0x0f, 0x01, 0x07}},
	{"movnti, with 66", 5, {0x66, 0x48, 0x0f, 0xc3, 0x07}},
	{"movnti, with f2", 5, {0xf2, 0x48, 0x0f, 0xc3, 0x07}},
	{"movnti, with f3", 5, {0xf3, 0x48, 0x0f, 0xc3, 0x07}},
	{"movdqa, with f2", 5, {0xf2, 0x66, 0x0f, 0x7f, 0x07}},
	{"movntdq, with f3", 5, {0xf3, 0x66, 0x0f, 0xe7, 0x07}},
	{"two REX prefixes", 4, {0x48, 0x48, 0x89, 0x07}},
	{"only prefixes", 8, {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66}},
	{"nothing", 0, {0}},
};

START_TEST(what_it_does_not_know)
{
	struct insn insn;

	for (size_t i = 0; i < NR_OF(unknown); i++)
		ck_assert_msg(!insn_decode(unknown[i].code, unknown[i].len, &place_regs,
					   &no_segments, &insn),
			      "%s", unknown[i].name);
}
END_TEST

/* Noise: it reads no byte too many (sanitizers watch), and what it claims fits together. */
START_TEST(noise)
{
	srand(11);
	for (unsigned round = 0; round < 50000; round++) {
		size_t nr = (size_t)rand() % 17;
		uint8_t *code = malloc(nr ? nr : 1);
		struct kvm_regs regs = place_regs;
		struct insn insn;
		uint64_t stored;

		for (size_t i = 0; i < nr; i++)
			code[i] = (uint8_t)rand();
		if (insn_decode(code, nr, &regs, &no_segments, &insn)) {
			ck_assert_uint_le(insn.len, nr < INSN_MAX_LEN ? nr : INSN_MAX_LEN);
			ck_assert_uint_gt(insn.len, 0);
			if (insn.op == INSN_LARGE)
				ck_assert(insn.size == 10 || insn.size == 512);
			else
				ck_assert(insn.size == 16
						  ? insn.op == INSN_MOV_XMM
						  : insn.size == 1 || insn.size == 2 ||
							    insn.size == 4 || insn.size == 8);
			insn_execute(&insn, value(), &regs, &stored);
		}
		free(code);
	}
}
END_TEST

TCase *insn_tests(void)
{
	TCase *tc = tcase_create("insn");

	tcase_add_loop_test(tc, as_the_processor, 0, NR_OF(store_insns));
	tcase_add_loop_test(tc, address_forms, 0, NR_OF(places));
	tcase_add_test(tc, sse_registers);
	tcase_add_test(tc, strings_go_round_by_round);
	tcase_add_test(tc, what_it_does_not_know);
	tcase_add_test(tc, noise);
	return tc;
}
