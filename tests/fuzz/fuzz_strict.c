/* SPDX-License-Identifier: MIT */
/*
 * The hypercall and stores to page tables with --track strict. The input is a program of a guest:
 * it writes memory, asks for pins and updates, and runs instructions that store. Whatever it does,
 * a pinned table breaks no rule, ever: a walk of all tables finds no violation.
 */
#include <string.h>
#include "alias_abi.h"
#include "alias_tracker.h"
#include "kvm/exit.h"
#include "fuzz_machine.h"
#include "kvm/write_protect.h"
#include "pin/strict_pte.h"
#include "machine_map.h"
#include "pin/pin.h"
#include "status.h"
#include "stop.h"

#define OPS_MAX 200u
#define CODE    0x3f000ull /* gpa of what the guest runs */

enum op {
	OP_ENTRY,
	OP_LINK,
	OP_DEVICE, /* a device stores */
	OP_REQUEST,
	OP_PIN_CALL,
	OP_UPDATE,
	OP_UPDATE_CALL,
	OP_STORE,    /* a plain one, that KVM_RUN stops at */
	OP_INSN,     /* any instruction */
	OP_EMULATED, /* a store that KVM has emulated */
	OP_REGISTERS,
	OP_CHECK,
	NR_OPS,
};

struct guest {
	struct fuzz_machine fm;
	struct bytes program;
	unsigned nr_entries, nr_updates; /* since the last call */
};

static struct alias_vcpu_page *page_of(struct guest *g)
{
	return fuzz_machine_page(&g->fm, 0);
}

/* Tables lie below the code. */
static uint64_t some_entry(struct guest *g)
{
	uint64_t pfn = take1(&g->program) % (CODE / ALIAS_PAGE_SIZE);

	return pfn * ALIAS_PAGE_SIZE + fuzz_machine_index(take1(&g->program)) * 8;
}

static uint64_t some_pte(struct guest *g, bool link)
{
	return link ? take1(&g->program) % 64 * 4096ull + 7 : fuzz_machine_pte(&g->program);
}

/* --- what must hold --------------------------------------------------------------------------- */

static void check_frame(struct guest *g, uint64_t pfn)
{
	const struct alias_tracker *at = g->fm.tracker;
	unsigned level = at_pinned_level(at, pfn);

	MUST(gfn_is_write_protected(&g->fm.machine.vm.mem, pfn) == (level > 0));
	if (!level)
		return;
	MUST(at_oracle(at, pfn, NULL, 0) == 0);
	for (unsigned i = 0; i < 512; i++) {
		uint64_t pte = fuzz_machine_load(&g->fm, pfn * ALIAS_PAGE_SIZE + i * 8);

		MUST(pte == pte_preset_accessed(pte, level));
	}
}

static void check_all(struct guest *g)
{
	struct at_violation v;

	for (uint64_t pfn = 0; pfn < MACHINE_FRAMES; pfn++)
		check_frame(g, pfn);
	MUST(at_set_mode(g->fm.tracker, AT_SCAN)); /* all are looked at, whatever was told */
	MUST(at_sync(g->fm.tracker));
	if (at_next_violation(g->fm.tracker, &v))
		fuzz_fail("in strict: %s", at_violation_name(v.kind));
	MUST(at_set_mode(g->fm.tracker, AT_CHANGES));
}

/* --- calls ------------------------------------------------------------------------------------ */

static void call(struct guest *g, uint32_t code)
{
	unsigned raised = g->fm.raised;

	g->fm.runs[0].s.regs.regs = g->fm.regs;
	g->fm.runs[0].s.regs.regs.rax = code;
	MUST(bus_write(&g->fm.machine.io.pio, &g->fm.vcpus[0], HYPERCALL_PORT, 4, code));
	MUST(page_of(g)->call_status <= ALIAS_BAD_CALL);
	if (g->fm.raised != raised)
		return; /* it comes again after the handler */
	g->nr_entries = g->nr_updates = 0;
}

static void request(struct guest *g)
{
	uint8_t what = take1(&g->program);

	page_of(g)->ops[g->nr_entries++ % ALIAS_BATCH_MAX] =
		(struct alias_op){.pfn = take1(&g->program),
				  .op = what & 1 ? ALIAS_OP_UNPIN : ALIAS_OP_PIN,
				  .level = what >> 1 & 7};
}

static void pin_call(struct guest *g)
{
	page_of(g)->count = g->nr_entries;
	page_of(g)->flags = take1(&g->program) & 1;
	call(g, ALIAS_CALL_PIN);
}

/* The frame that holds the list; it may be pinned as any other. */
#define UPDATES       0xe0u
#define UPDATE_GPA(i) (UPDATES * ALIAS_PAGE_SIZE + (i) * sizeof(struct alias_update))

static void update(struct guest *g)
{
	unsigned i = g->nr_updates++ % ALIAS_UPDATE_MAX;
	uint64_t gpa = some_entry(g);
	uint8_t how = take1(&g->program);

	if (how & 0x80)
		gpa = take(&g->program, 3);
	fuzz_machine_store(&g->fm, UPDATE_GPA(i), gpa);
	fuzz_machine_store(&g->fm, UPDATE_GPA(i) + 8, some_pte(g, how & 1));
	page_of(g)->update_status[i] = how & 0x40 ? ALIAS_OK : ALIAS_PENDING;
}

/* What an update has just linked is pinned, whether a root reaches it or not. */
static void check_link(struct guest *g, uint64_t pte_gpa)
{
	struct alias_tracker *at = g->fm.tracker;
	unsigned level = at_pinned_level(at, pte_gpa / ALIAS_PAGE_SIZE);
	uint64_t pte = fuzz_machine_load(&g->fm, pte_gpa);

	if (level > 1 && (pte & 1) && !(pte & 0x80))
		MUST(at_pinned_level(at, pte >> 12 & 0xffffffffff) == level - 1);
}

static void update_call(struct guest *g)
{
	const struct alias_vcpu_page *page = page_of(g);
	uint8_t before[ALIAS_UPDATE_MAX], how = take1(&g->program);
	uint64_t listed[ALIAS_UPDATE_MAX];

	for (unsigned i = 0; i < ALIAS_UPDATE_MAX; i++)
		listed[i] = fuzz_machine_load(&g->fm, UPDATE_GPA(i));
	page_of(g)->updates_pfn = how < 0xfc ? UPDATES : how < 0xfe ? MACHINE_FRAMES : UINT64_MAX;
	page_of(g)->nr_updates = g->nr_updates;
	page_of(g)->flags = how & 1;
	memcpy(before, page->update_status, sizeof(before));
	call(g, ALIAS_CALL_UPDATE);
	for (unsigned i = 0; i < ALIAS_UPDATE_MAX; i++)
		if (before[i] == ALIAS_PENDING && page->update_status[i] == ALIAS_OK)
			check_link(g, listed[i]);
}

/* --- stores ----------------------------------------------------------------------------------- */

static void place_code(struct guest *g, const void *code, size_t len)
{
	uint8_t bytes[16] = {0};

	memcpy(bytes, code, len);
	memory_store(&g->fm.machine.vm.mem, memory_ptr(&g->fm.machine.vm.mem, CODE, 16), bytes, 16);
	g->fm.regs.rip = CODE;
}

/* A guest may have ended itself. */
static void expect_no_fault_of_ours(struct guest *g)
{
	int status = g->fm.machine.stop.status;

	MUST(status < 0 || status == VMM_EX_VIOLATION || status == VMM_EX_SHUTDOWN);
	g->fm.machine.stop.status = -1;
	stop_is_over(&g->fm.machine.stop);
}

/* KVM_RUN has failed, or has met what it can't emulate. */
static void stop_at(struct guest *g, uint8_t how)
{
	if (how & 1)
		g->fm.machine.vm.store_ops->failed(g->fm.machine.vm.stores, &g->fm.vcpus[0]);
	else
		g->fm.machine.vm.store_ops->stopped(g->fm.machine.vm.stores, &g->fm.vcpus[0]);
	expect_no_fault_of_ours(g);
}

static void store(struct guest *g)
{
	static const uint8_t codes[][5] = {
		{0x48, 0x89, 0x07},             /* mov [rdi], rax */
		{0xf0, 0x48, 0x0f, 0xb1, 0x17}, /* lock cmpxchg [rdi], rdx */
		{0x48, 0xab},                   /* stosq */
		{0x89, 0x07},                   /* mov [rdi], eax */
		{0x48, 0x87, 0x07},             /* xchg [rdi], rax */
		{0xf3, 0x48, 0xa5},             /* rep movsq */
		{0x0f, 0x11, 0x07},             /* movups [rdi], xmm0 */
		{0xf0, 0x48, 0x01, 0x07},       /* lock add [rdi], rax */
	};
	uint8_t how = take1(&g->program);

	place_code(g, codes[how & 7], 5);
	g->fm.regs.rdi = some_entry(g) + (how >> 3 & 7);
	g->fm.regs.rax = g->fm.regs.rdx = some_pte(g, how & 0x40);
	g->fm.regs.rcx = 2;
	stop_at(g, how >> 7);
}

static void insn(struct guest *g)
{
	uint8_t how = take1(&g->program), code[16] = {0};

	for (unsigned i = 0; i < (how & 15u); i++)
		code[i] = take1(&g->program);
	place_code(g, code, how & 15);
	stop_at(g, how >> 7);
}

/* May the store that began with this exit be half of one? Then the guest does not go on if it is
 * refused, nor is it sent to a handler. If it is done, a guest that steps has its #DB. */
static void check_half(const struct guest *g, const struct exit_io *io, uint64_t value,
		       unsigned raised)
{
	uint64_t offset = io->addr % ALIAS_PAGE_SIZE;
	bool first = offset == 0, last = offset + io->len == ALIAS_PAGE_SIZE;
	unsigned steps = g->fm.regs.rflags >> 8 & 1;

	if ((first || last) && (io->len < 8 || value == (first ? g->fm.regs.rbx : g->fm.regs.rsi)))
		MUST(g->fm.raised - raised <= steps);
}

/* Its parts come one by one, and those after the first may lie anywhere; the instruction before RIP
 * may or may not be the one. */
static void emulated(struct guest *g)
{
	static const uint8_t code[] = {0x48, 0x89, 0x07};
	struct kvm_run *run = &g->fm.runs[0];
	uint8_t how = take1(&g->program);
	struct exit_io io = {.write = true};
	unsigned raised = g->fm.raised;
	uint64_t pte;

	g->fm.regs.rdi = some_entry(g) + (how >> 4 & 7);
	pte = some_pte(g, how & 8);
	place_code(g, code, how & 4 ? 3 : 0);
	g->fm.regs.rip = CODE + 3;
	g->fm.regs.rax = pte;
	g->fm.nr_parts = how & 3;
	g->fm.next_part = g->fm.regs.r8 & ((1ull << 52) - 1);
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.is_write = 1;
	run->mmio.phys_addr = g->fm.regs.rdi % MACHINE_MEM;
	run->mmio.len = how & 0x80 ? take1(&g->program) : 8;
	memcpy(run->mmio.data, &pte, sizeof(pte));
	io.addr = run->mmio.phys_addr;
	io.len = run->mmio.len;
	g->fm.machine.vm.store_ops->emulated(g->fm.machine.vm.stores, &g->fm.vcpus[0], &io);
	if (!(how & 3))
		check_half(g, &io, pte, raised);
	g->fm.nr_parts = 0;
	expect_no_fault_of_ours(g);
}

/* Or an exception is on its way to its handler. */
static void set_register(struct guest *g)
{
	__u64 *const regs[] = {&g->fm.regs.rax, &g->fm.regs.rcx,   &g->fm.regs.rdx,
			       &g->fm.regs.rbx, &g->fm.regs.rsi,   &g->fm.regs.rdi,
			       &g->fm.regs.r8,  &g->fm.regs.rflags};

	uint8_t which = take1(&g->program);

	if (which & 0x80)
		g->fm.delivering = which & 31;
	else
		*regs[which % 8] = take(&g->program, 8);
}

static void device(struct guest *g)
{
	uint64_t gpa = some_entry(g), bytes[3];
	uint8_t len = take1(&g->program) % sizeof(bytes) + 1;
	void *to = memory_ptr(&g->fm.machine.vm.mem, gpa, len);

	for (unsigned i = 0; i < 3; i++)
		bytes[i] = some_pte(g, i & 1);
	memory_store(&g->fm.machine.vm.mem, to, bytes, len);
}

static void step(struct guest *g)
{
	enum op op = take1(&g->program) % NR_OPS;
	uint64_t gpa;

	switch (op) {
	case OP_ENTRY:
	case OP_LINK:
		gpa = some_entry(g);
		fuzz_machine_store(&g->fm, gpa, some_pte(g, op == OP_LINK));
		break;
	case OP_DEVICE:
		device(g);
		break;
	case OP_REQUEST:
		request(g);
		break;
	case OP_PIN_CALL:
		pin_call(g);
		break;
	case OP_UPDATE:
		update(g);
		break;
	case OP_UPDATE_CALL:
		update_call(g);
		break;
	case OP_STORE:
		store(g);
		break;
	case OP_INSN:
		insn(g);
		break;
	case OP_EMULATED:
		emulated(g);
		break;
	case OP_REGISTERS:
		set_register(g);
		break;
	default:
		check_frame(g, take1(&g->program));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guest g;
	unsigned ops = 0;
	uint8_t how;

	g.program = (struct bytes){data, size};
	g.nr_entries = g.nr_updates = 0;
	how = take1(&g.program);
	g.fm.opt = (struct options){.track = TRACK_STRICT,
				    .flush = ALIAS_FLUSH_TRAP,
				    .flush_proof = how & 1 ? PROOF_HOST : PROOF_GUEST,
				    .verify = how & 2,
				    .verbose = how & 4};
	fuzz_machine_start(&g.fm);
	page_of(&g)->direct_base = 0xffff888000000000;
	page_of(&g)->direct_size = (1 + (how >> 3 & 1ull)) << 39;
	call(&g, ALIAS_CALL_REGISTER);
	MUST(page_of(&g)->call_status == ALIAS_OK);
	while (g.program.left > 0 && ops++ < OPS_MAX)
		step(&g);
	check_all(&g);
	MUST(fuzz_machine_figure(&g.fm, "pins", "disagreed") == 0);
	fuzz_machine_end(&g.fm);
	return 0;
}
