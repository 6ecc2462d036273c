/* SPDX-License-Identifier: MIT */
/*
 * The hypercall in the modes that audit. The input is a program of a guest: it writes page tables,
 * requests, the log and whatever it likes, and rings. Each frame that a call has pinned must have
 * no writable alias by the oracle, answers must be answers, and what was not asked is not answered.
 */
#include <string.h>
#include "alias_abi.h"
#include "alias_tracker.h"
#include "fuzz_machine.h"
#include "machine_map.h"
#include "pin/pin.h"

#define OPS_MAX 300u

enum op {
	OP_ENTRY,   /* of a page table */
	OP_LINK,    /* a table into a table */
	OP_POKE,    /* any 8 bytes */
	OP_REQUEST, /* an operation of the batch */
	OP_BATCH,   /* its size, and flags */
	OP_RING,
	OP_RING_ODD,
	OP_REGISTER,
	OP_CLOCK,
	OP_FLUSH, /* a vCPU does what it was asked to */
	OP_LOG,
	OP_TRACK,
	OP_WANT,
	OP_FRAME,
	NR_OPS,
};

struct guest {
	struct fuzz_machine fm;
	struct bytes program;
	bool poked; /* the log may be wrong */
	uint8_t pinned[MACHINE_FRAMES];
};

static bool keeps_log(struct guest *g)
{
	const struct alias_common_page *common = fuzz_machine_common(&g->fm);

	return common->log_wanted && common->logging == common->log_wanted;
}

/* As alias_abi.h tells a guest to. */
static void logged_store(struct guest *g, unsigned vcpu, uint64_t gpa, uint64_t pte)
{
	struct alias_log *log = &fuzz_machine_page(&g->fm, vcpu)->log;
	uint64_t ring = MACHINE_LOG + vcpu * (uint64_t)ALIAS_LOG_SIZE;
	struct alias_log_record *records = memory_ptr(&g->fm.machine.vm.mem, ring, ALIAS_LOG_SIZE);
	uint64_t from = fuzz_machine_load(&g->fm, gpa);

	fuzz_machine_store(&g->fm, gpa, pte);
	if (!keeps_log(g))
		return;
	if (log->head - log->tail < ALIAS_LOG_RECORDS)
		records[log->head++ % ALIAS_LOG_RECORDS] =
			(struct alias_log_record){.pte_gpa = gpa, .from = from, .to = pte};
	else
		log->lost++;
}

/* Tables lie below the shared pages. */
static void edit(struct guest *g, bool link)
{
	uint64_t pfn = take1(&g->program) % (SHARED_GPA / ALIAS_PAGE_SIZE);
	uint8_t how = take1(&g->program);
	uint64_t gpa = pfn * ALIAS_PAGE_SIZE + fuzz_machine_index(how) * 8;
	uint64_t pte = link ? take1(&g->program) % 64 * 4096ull + 7 : fuzz_machine_pte(&g->program);

	logged_store(g, how >> 4 & 1, gpa, pte);
}

static void poke(struct guest *g)
{
	uint64_t gpa = take(&g->program, 3) % MACHINE_MEM & ~7ull;

	g->poked = true;
	fuzz_machine_store(&g->fm, gpa, take(&g->program, 8));
}

static struct alias_vcpu_page *page_of(struct guest *g, unsigned vcpu)
{
	return fuzz_machine_page(&g->fm, vcpu % MACHINE_VCPUS);
}

static void request(struct guest *g)
{
	uint8_t which = take1(&g->program), what = take1(&g->program);
	struct alias_op *entry = &page_of(g, which >> 7)->ops[which % ALIAS_BATCH_MAX];

	entry->pfn = take1(&g->program);
	entry->op = what & 3;
	entry->level = what >> 2 & 7;
	entry->status = what >> 5 == 7 ? ALIAS_OK : ALIAS_PENDING;
}

/* --- calls ------------------------------------------------------------------------------------ */

/* Was a log kept that may be wrong, or is every pin granted without a check? */
static bool may_be_wrong(const struct guest *g)
{
	return g->fm.opt.track == TRACK_OFF || g->fm.opt.flush == ALIAS_FLUSH_NONE ||
	       (g->poked && fuzz_machine_figure(&g->fm, "tracker", "logging"));
}

static void look_at_pins(struct guest *g, bool judge)
{
	const struct alias_tracker *at = g->fm.tracker;

	for (uint64_t pfn = 0; pfn < MACHINE_FRAMES; pfn++) {
		unsigned level = at_pinned_level(at, pfn);

		if (level && !g->pinned[pfn] && judge)
			MUST(at_oracle(at, pfn, NULL, 0) == 0);
		g->pinned[pfn] = (uint8_t)level;
	}
	for (unsigned i = 0; i <= MACHINE_VCPUS; i++)
		MUST(!g->pinned[SHARED_GPA / ALIAS_PAGE_SIZE + i]);
	MUST(!g->pinned[MACHINE_LOG / ALIAS_PAGE_SIZE]);
}

static void check_answers(const struct alias_vcpu_page *before, const struct alias_vcpu_page *after)
{
	const struct alias_fault *fault = &after->fault;

	MUST(after->call_status == ALIAS_OK || after->call_status == ALIAS_BAD_CALL);
	for (unsigned i = 0; i < ALIAS_BATCH_MAX; i++) {
		uint32_t was = before->ops[i].status, is = after->ops[i].status;

		MUST(is == was || (was == ALIAS_PENDING && i < before->count));
		MUST(is == was || is < ALIAS_NR_STATUS);
		MUST(after->ops[i].pfn == before->ops[i].pfn &&
		     after->ops[i].op == before->ops[i].op);
	}
	if (!memcmp(fault, &before->fault, sizeof(*fault)))
		return;
	MUST(fault->nr <= ALIAS_FAULT_VAS && fault->op < ALIAS_BATCH_MAX && fault->more <= 1);
	for (unsigned i = 0; i < fault->nr; i++)
		MUST(fault->va[i] % ALIAS_PAGE_SIZE == 0);
}

/* Times that the guest was: to purge, or to wait. */
static uint64_t sent_back(struct guest *g)
{
	return fuzz_machine_figure(&g->fm, "pins", "waits") +
	       fuzz_machine_figure(&g->fm, "pins", "upcalls");
}

static void ring(struct guest *g, unsigned vcpu, uint64_t off, unsigned len, uint64_t value)
{
	struct alias_vcpu_page *page = page_of(g, vcpu);
	struct alias_vcpu_page before = *page;
	uint64_t sent = sent_back(g);
	unsigned raised = g->fm.raised;
	bool judge;

	g->fm.runs[vcpu % MACHINE_VCPUS].s.regs.regs = g->fm.regs;
	g->fm.runs[vcpu % MACHINE_VCPUS].s.regs.regs.rax = value;
	MUST(bus_write(&g->fm.machine.io.pio, &g->fm.vcpus[vcpu % MACHINE_VCPUS],
		       HYPERCALL_PORT + off, len, value));
	judge = !may_be_wrong(g);
	check_answers(&before, page);
	look_at_pins(g, judge);
	MUST(g->fm.raised - raised == sent_back(g) - sent);
}

static void ring_odd(struct guest *g)
{
	uint8_t how = take1(&g->program);
	unsigned len = how & 8 ? 4 : 1u << (how >> 2 & 1), off = how & 3;

	ring(g, how >> 7, off + len > 4 ? 0 : off, len, take(&g->program, 4));
}

static void do_register(struct guest *g)
{
	static const uint64_t bases[] = {0xffff888000000000, 0xffff888000001000, 0,
					 0xffffff8000000000};
	uint8_t how = take1(&g->program);
	struct alias_vcpu_page *page = page_of(g, 0);

	page->direct_base = bases[how & 3];
	page->direct_size = (how >> 2 & 3ull) << 39;
	ring(g, 0, 0, 4, ALIAS_CALL_REGISTER);
}

/* --- the rest --------------------------------------------------------------------------------- */

static void move_clock(struct guest *g)
{
	struct alias_common_page *common = fuzz_machine_common(&g->fm);
	uint8_t how = take1(&g->program);

	if (how & 1)
		common->cleared += how >> 2 & 3;
	else
		common->flushed += how >> 2 & 3;
}

static void flush(struct guest *g)
{
	struct vcpu *vcpu = &g->fm.vcpus[take1(&g->program) % MACHINE_VCPUS];
	uint64_t tick = flush_clock_tick(&g->fm.machine.vm.flush_clock);

	if (atomic_exchange(&vcpu->todo, 0) & VCPU_FLUSH_TLB)
		flush_stamp_set(&vcpu->flushed, tick);
}

/* Begins to log if the host wants it, or writes the start of a change. */
static void log_something(struct guest *g)
{
	struct alias_common_page *common = fuzz_machine_common(&g->fm);
	uint8_t how = take1(&g->program);

	if (how & 1)
		common->logging = common->log_wanted;
	else
		page_of(g, how >> 1)->log.changing = take(&g->program, 2) * 8;
}

static void ask(struct guest *g, enum op op)
{
	uint8_t what = take1(&g->program);
	json_t *answer = json_object();

	if (op == OP_TRACK)
		pin_set_track_mode(g->fm.pin, what % (TRACK_OFF + 1), answer);
	else if (op == OP_WANT)
		pin_want_strategy(g->fm.pin, what % ALIAS_NR_FLUSH, answer);
	else
		pin_describe_frame(g->fm.pin, what, answer);
	json_decref(answer);
}

static void step(struct guest *g)
{
	enum op op = take1(&g->program) % NR_OPS;
	uint8_t how;

	switch (op) {
	case OP_ENTRY:
	case OP_LINK:
		edit(g, op == OP_LINK);
		break;
	case OP_POKE:
		poke(g);
		break;
	case OP_REQUEST:
		request(g);
		break;
	case OP_BATCH:
		how = take1(&g->program);
		page_of(g, how >> 7)->count = how & 0x7f;
		page_of(g, how >> 7)->flags = take1(&g->program);
		break;
	case OP_RING:
		ring(g, take1(&g->program), 0, 4, ALIAS_CALL_PIN);
		break;
	case OP_RING_ODD:
		ring_odd(g);
		break;
	case OP_REGISTER:
		do_register(g);
		break;
	case OP_CLOCK:
		move_clock(g);
		break;
	case OP_FLUSH:
		flush(g);
		break;
	case OP_LOG:
		log_something(g);
		break;
	default:
		ask(g, op);
		break;
	}
}

static void start(struct guest *g)
{
	static const enum track_mode track_modes[] = {TRACK_DIRTY, TRACK_LOG, TRACK_SCAN,
						      TRACK_OFF};
	uint8_t how = take1(&g->program);

	g->fm.opt = (struct options){
		.track = track_modes[how & 3],
		.flush = how >> 2 & 3 ? ALIAS_FLUSH_TRAP : ALIAS_FLUSH_NONE,
		.flush_proof = how & 16 ? PROOF_HOST : PROOF_GUEST,
		.verify = how & 32,
		.on_violation = how & 64 ? VIOLATION_STOP : VIOLATION_REPORT,
		.verbose = how & 128,
		.control = how & 128 ? "socket" : NULL,
		.audit = 4,
	};
	fuzz_machine_start(&g->fm);
	do_register(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guest g;
	unsigned ops = 0;

	g.program = (struct bytes){data, size};
	g.poked = false;
	memset(g.pinned, 0, sizeof(g.pinned));
	start(&g);
	while (g.program.left > 0 && ops++ < OPS_MAX)
		step(&g);
	pin_final_audit(g.fm.pin);
	MUST(fuzz_machine_figure(&g.fm, "pins", "disagreed") == 0 || g.poked);
	fuzz_machine_end(&g.fm);
	return 0;
}
