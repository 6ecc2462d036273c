/* SPDX-License-Identifier: MIT */
/*
 * The tracker, held against its oracle. The input is a program of a guest with a small memory: page
 * tables are edited on some processors, logged or not, frames are pinned, unpinned, ballooned, and
 * the tracker syncs now and then, sometimes without memory, sometimes while the guest goes on.
 * After a quiet sync every bit must be what a walk of all tables says.
 */
#include <string.h>
#include "../unit/tracker/fault.h"
#include "../unit/tracker/world.h"
#include "fuzz.h"

#define FRAMES     64u
#define HOLE_BEGIN 60u
#define HOLE_END   62u
#define OPS_MAX    200u
#define FOUND_MAX  8u

enum op {
	OP_SET,
	OP_LINK,
	OP_RAW,
	OP_FLIP,
	OP_PIN,
	OP_UNPIN,
	OP_SYNC,
	OP_SYNC_DISTURBED,
	OP_SYNC_FAULT,
	OP_CLOCK,
	OP_FLUSHED,
	OP_BECOME,
	OP_TAKE_BACK,
	OP_LOG,
	OP_MODE,
	OP_PIN_FAULT,
	NR_OPS,
	/* those of bytes from 0xf0 on */
	OP_FOLLOW = NR_OPS,
	OP_UNFOLLOW,
	OP_SURVEY,
	OP_SURVEY_FAULT,
};

struct guest {
	struct world w;
	struct bytes program;
	unsigned ops;
	bool lied;   /* the log, since the last audit */
	bool in_op;  /* of the guest, while the tracker syncs */
	bool counts; /* mappings of all kinds */
	bool direct; /* there is a direct map, or another window, of gpa 0 */
	uint64_t direct_base;
	unsigned levels;
	/* A frame that has lost its last alias is refused until this was flushed: by the guest's
	 * clock and by the owner's; 0: nothing. */
	uint64_t gone[FRAMES], gone_now[FRAMES];
	bool had[FRAMES]; /* an alias, by the last sync */
	uint64_t flushed; /* as the last sync found it */
};

static const uint16_t indices[] = {0,   1,   2,   3,   7,   8,   100, 255,
				   256, 272, 273, 274, 275, 400, 510, 511};
static const uint64_t flags[] = {
	0,
	E_P,
	E_P | E_RW,
	E_P | E_RW | E_US,
	E_P | E_US,
	E_P | E_RW | E_PS,
	E_P | E_PS,
	E_P | E_RW | E_NX,
	E_P | E_RW | E_A | E_D,
	E_P | E_RW | 8,
	E_P | 16,
	E_P | E_RW | E_US | E_PS | 16,
	E_P | E_RW | E_US | E_A,
	E_P | E_RW | E_PS | 1ull << 12,
	E_P | E_RW | E_PS | 2ull << 12,
	E_RW,
};

/* --- the guest -------------------------------------------------------------------------------- */

/* In tables that lie where there is memory; now and then frames and indices of any kind. */
static uint64_t table(struct guest *g)
{
	return take1(&g->program) % HOLE_BEGIN;
}

static unsigned entry(struct guest *g, uint8_t choice)
{
	return choice & 0x80 ? (unsigned)take(&g->program, 2) % 512 : indices[choice & 15];
}

/* All that the guest writes, it logs, if it keeps a log. */
static void edit(struct guest *g)
{
	enum op op = take1(&g->program) % 4;
	uint64_t pfn = table(g), pte;
	uint8_t how = take1(&g->program);
	unsigned index = entry(g, how);

	g->w.cpu = how >> 4 & 3;
	switch (op) {
	case OP_SET:
		pte = flags[take1(&g->program) % 16];
		pte += FRAME(take1(&g->program) % (FRAMES + 2));
		break;
	case OP_LINK:
		pte = FRAME(table(g)) | E_TABLE;
		break;
	case OP_RAW:
		pte = take(&g->program, 8);
		break;
	default:
		pte = world_get(&g->w, pfn, index) ^ flags[take1(&g->program) % 16];
		break;
	}
	world_set(&g->w, pfn, index, pte);
}

static void guest_goes_on(struct world *w)
{
	struct guest *g = w->hook_data;

	if (g->in_op || g->program.left == 0 || take1(&g->program) & 3)
		return;
	g->in_op = true;
	edit(g);
	g->in_op = false;
}

/* --- checks ----------------------------------------------------------------------------------- */

static bool has_memory(uint64_t pfn)
{
	return pfn < FRAMES && (pfn < HOLE_BEGIN || pfn >= HOLE_END);
}

/* Two opinions on a frame. Each path counts for the one, each leaf for the other. */
static void check_frame(struct guest *g, uint64_t pfn)
{
	struct at_alias found[FOUND_MAX];
	size_t writable = at_oracle(g->w.at, pfn, NULL, 0);
	size_t listed = at_aliases(g->w.at, pfn, found, FOUND_MAX);

	MUST(at_has_alias(g->w.at, pfn) == (writable > 0));
	MUST((at_alias_count(g->w.at, pfn) > 0) == (writable > 0));
	MUST((listed > 0) == (writable > 0));
	for (size_t i = 0; i < listed; i++) {
		MUST(has_memory(found[i].pte_gpa >> 12));
		MUST(world_get(&g->w, found[i].pte_gpa >> 12, found[i].pte_gpa / 8 % 512) ==
		     found[i].pte);
	}
	if (!g->counts)
		return;
	MUST(at_is_mapped(g->w.at, pfn) == (at_oracle_of(g->w.at, pfn, TO_HOST, NULL, 0) > 0));
	for (unsigned type = 0; type < 2; type++)
		MUST((at_in_the_way(g->w.at, pfn, TO_TYPE(type), found, 1) > 0) ==
		     (at_oracle_of(g->w.at, pfn, TO_TYPE(type), NULL, 0) > 0));
}

/* A third opinion, on all frames at once: which are mapped outside the direct map. */
struct walk {
	const struct guest *g;
	bool writable[FRAMES], mapped[FRAMES];
	struct at_uses uses[FRAMES];
	bool seen[FRAMES][6][8]; /* at that level, with these rights, outside of it */
};

enum { WRITE = 1, USER = 2, EXEC = 4 };

/* Is any of that in the direct map, as far as there is memory? */
static bool in_direct_map(const struct walk *walk, uint64_t va, uint64_t size)
{
	uint64_t base = walk->g->direct_base;

	return walk->g->direct && (va - base < FRAMES * 4096ull || base - va < size);
}

static void walk_leaf(struct walk *walk, uint64_t va, unsigned level, uint64_t pte, unsigned rights)
{
	uint64_t span = 1ull << 9 * (level - 1);
	uint64_t first = pte >> 12 & 0xffffffffffull & (level > 1 ? ~1ull : ~0ull);
	bool exempt = in_direct_map(walk, va, 1) && va - walk->g->direct_base == FRAME(first);
	unsigned type = (pte >> 3 & 3) | (pte >> (level > 1 ? 12 : 7) & 1) << 2;

	if (first % span)
		return;
	for (uint64_t pfn = first; pfn < FRAMES && pfn < first + span; pfn++) {
		struct at_uses *uses = &walk->uses[pfn];

		uses->memtypes |= 1u << type;
		uses->kernel_exec |= (rights & (EXEC | USER)) == EXEC;
		uses->user_exec |= (rights & (EXEC | USER)) == (EXEC | USER);
		uses->exempt_writable |= exempt && (rights & WRITE);
		uses->writable |= !exempt && (rights & WRITE);
		walk->mapped[pfn] |= !exempt;
		walk->writable[pfn] |= !exempt && (rights & WRITE);
	}
}

static void walk_table(struct walk *walk, uint64_t pfn, uint64_t va, unsigned level,
		       unsigned rights)
{
	unsigned levels = walk->g->levels, unused = levels == 5 ? 7 : 16;

	if (!in_direct_map(walk, va, 1ull << (12 + 9 * level))) {
		if (walk->seen[pfn][level][rights])
			return;
		walk->seen[pfn][level][rights] = true;
	}
	for (unsigned i = 0; i < 512; i++) {
		uint64_t pte = world_get(&walk->g->w, pfn, i), to = pte >> 12 & 0xffffffffffull;
		uint64_t at = va + ((uint64_t)i << (12 + 9 * (level - 1)));
		unsigned all = rights & ((pte & E_RW ? WRITE : 0) | (pte & E_US ? USER : 0) |
					 (pte & E_NX ? 0 : EXEC));

		if (!(pte & E_P) || (level >= 4 && (pte & E_PS)))
			continue;
		if (level == levels)
			at = (uint64_t)((int64_t)(at << unused) >> unused);
		if (level == 1 || (pte & E_PS))
			walk_leaf(walk, at, level, pte, all);
		else if (has_memory(to))
			walk_table(walk, to, at, level - 1, all);
	}
}

static void check_uses(struct guest *g, uint64_t pfn, struct at_uses expected)
{
	struct at_uses uses = at_uses(g->w.at, pfn);

	expected.exempt_writable = expected.exempt_writable && !expected.writable;
	MUST(memcmp(&uses, &expected, sizeof(uses)) == 0);
	MUST(at_executable(g->w.at, pfn, 1) == (expected.kernel_exec || expected.user_exec));
}

static void check_all(struct guest *g)
{
	struct walk walk = {.g = g};

	for (uint64_t pfn = 0; pfn < FRAMES; pfn++)
		if (at_pinned_level(g->w.at, pfn) == g->levels || at_is_followed(g->w.at, pfn))
			walk_table(&walk, pfn, 0, g->levels, WRITE | USER | EXEC);
	MUST(at_survey(g->w.at));
	for (uint64_t pfn = 0; pfn < FRAMES; pfn++) {
		MUST(at_has_alias(g->w.at, pfn) == walk.writable[pfn]);
		MUST(at_is_mapped(g->w.at, pfn) == (g->counts && walk.mapped[pfn]));
		check_uses(g, pfn, walk.uses[pfn]);
	}
}

/* What each frame has lost since the last sync, and may still be in a TLB. */
static void note_gone(struct guest *g)
{
	const struct at_clock *clock = &g->w.clock;

	g->flushed = clock->flushed;
	for (uint64_t pfn = 0; pfn < FRAMES; pfn++) {
		bool has = at_has_alias(g->w.at, pfn);

		if (g->had[pfn] && !has && clock->flushed < clock->cleared) {
			g->gone[pfn] = clock->cleared;
			g->gone_now[pfn] = clock->now;
		}
		g->had[pfn] = has;
	}
}

static void take_violations(struct guest *g)
{
	struct at_violation v;

	while (at_next_violation(g->w.at, &v)) {
		MUST(has_memory(v.pte_gpa >> 12) && v.level >= 1 && v.level <= g->levels);
		MUST(at_violation_name(v.kind));
		if (v.kind == AT_V_UNLOGGED || v.kind == AT_V_MISLOGGED)
			MUST(g->w.logging && g->lied);
	}
}

static bool names_any(const struct guest *g)
{
	bool any = false;

	for (unsigned cpu = 0; cpu < WORLD_CPUS; cpu++)
		any |= g->w.logs[cpu].changing != 0;
	return any;
}

/* A sync while nothing else happens. A log that was false is no help before the next audit; of an
 * entry that is named then, before one that finds it named no more. */
static void quiet_sync(struct guest *g)
{
	if (g->lied) {
		MUST(at_audit(g->w.at));
		take_violations(g);
		g->lied = names_any(g);
	} else {
		world_sync(&g->w);
		take_violations(g);
	}
	note_gone(g);
}

/* --- pins ------------------------------------------------------------------------------------- */

static bool clean(struct guest *g)
{
	for (uint64_t pfn = 0; pfn < FRAMES; pfn++)
		if (at_pinned_level(g->w.at, pfn) && at_has_alias(g->w.at, pfn))
			return false;
	return true;
}

/* Nothing was written since the last sync. */
static void check_pinned(struct guest *g, uint64_t pfn, unsigned level, bool was_clean)
{
	MUST(has_memory(pfn) && level >= 1 && level <= g->levels);
	MUST(at_pinned_level(g->w.at, pfn) == level);
	MUST(at_oracle(g->w.at, pfn, NULL, 0) == 0);
	MUST(g->flushed >= g->gone[pfn]);
	if (level == g->levels && was_clean)
		MUST(clean(g));
}

static void check_refused(struct guest *g, uint64_t pfn, enum at_verdict verdict, unsigned before)
{
	if (pfn < FRAMES)
		MUST(at_pinned_level(g->w.at, pfn) == before);
	if (verdict == AT_ALIAS)
		MUST(at_oracle(g->w.at, pfn, NULL, 0) > 0);
	if (verdict == AT_STALE_TLB)
		MUST(at_oracle(g->w.at, pfn, NULL, 0) == 0 && g->flushed < g->w.clock.cleared);
}

static void pin(struct guest *g, bool fault)
{
	uint64_t pfn = take1(&g->program) % (FRAMES + 2);
	unsigned level = take1(&g->program) % 6, before;
	enum at_verdict verdict;
	bool was_clean;

	quiet_sync(g);
	was_clean = clean(g);
	before = at_pinned_level(g->w.at, pfn);
	if (fault)
		fault_set(1 + take1(&g->program) % 32, take1(&g->program) & 1);
	verdict = at_pin(g->w.at, pfn, level);
	if (verdict == AT_NO_MEMORY)
		MUST(fault_fired());
	fault_set(0, false);
	MUST(at_verdict_name(verdict));
	if (verdict == AT_OK)
		check_pinned(g, pfn, level, was_clean);
	else
		check_refused(g, pfn, verdict, before);
	take_violations(g);
	if (level == g->levels)
		note_gone(g);
}

static void become(struct guest *g)
{
	uint8_t choice = take1(&g->program);
	struct at_transition to = choice & 1 ? TO_HOST : TO_TYPE(choice >> 1 & 7);
	uint64_t pfn = take1(&g->program) % (FRAMES + 2);
	enum at_verdict verdict;

	if (choice & 0x80)
		g->counts = at_count_all(g->w.at);
	quiet_sync(g);
	verdict = at_become(g->w.at, pfn, to);
	if (verdict == AT_OK)
		MUST(at_oracle_of(g->w.at, pfn, to, NULL, 0) == 0);
	else
		MUST(verdict != AT_NO_MEMORY || !g->counts);
	take_violations(g);
}

/* --- following and surveys -------------------------------------------------------------------- */

static void follow(struct guest *g, uint8_t how)
{
	uint64_t pfn = take1(&g->program) % (FRAMES + 2);
	enum at_verdict verdict;

	if (how & 4)
		fault_set(1 + take1(&g->program) % 32, how & 8);
	verdict = at_follow(g->w.at, pfn);
	if (verdict == AT_NO_MEMORY)
		MUST(fault_fired());
	fault_set(0, false);
	MUST(verdict == AT_OK || verdict == AT_NO_MEMORY || verdict == AT_BAD_FRAME ||
	     verdict == AT_BAD_STATE);
	MUST(verdict != AT_OK || at_is_followed(g->w.at, pfn));
	take_violations(g);
	note_gone(g);
}

static bool check_finding(void *ctx, const struct at_finding *f)
{
	struct guest *g = ctx;
	const struct at_alias *two[] = {&f->one, f->kind == AT_F_ALIAS ? &f->one : &f->other};

	MUST(at_finding_name(f->kind) && f->frames >= 1 && f->pfn + f->frames <= FRAMES);
	for (unsigned i = 0; i < 2; i++) {
		MUST(has_memory(two[i]->pte_gpa >> 12));
		MUST(!((world_get(&g->w, two[i]->pte_gpa >> 12, two[i]->pte_gpa / 8 % 512) ^
			two[i]->pte) &
		       ~(E_A | E_D)));
	}
	return true;
}

static void survey(struct guest *g, bool fault)
{
	uint64_t pfn = take1(&g->program) % FRAMES;
	struct at_finding f;

	quiet_sync(g);
	if (fault)
		fault_set(1 + take1(&g->program) % 32, true);
	MUST(at_survey(g->w.at) || fault_fired());
	fault_set(0, false);
	MUST(at_survey(g->w.at));
	check_uses(g, pfn, at_oracle_uses(g->w.at, pfn));
	at_for_each_finding(g->w.at, check_finding, g);
	while (at_next_finding(g->w.at, &f))
		MUST(f.pfn < FRAMES);
}

/* --- the rest --------------------------------------------------------------------------------- */

static void move_clock(struct guest *g)
{
	uint8_t how = take1(&g->program);
	struct at_clock *clock = &g->w.clock;

	clock->now += how & 1;
	if (how & 2)
		clock->cleared += how >> 4 & 3;
	if (how & 4)
		clock->flushed += (how >> 4) % (clock->cleared - clock->flushed + 1);
}

static void flushed(struct guest *g)
{
	uint64_t since = take1(&g->program);

	if (since > g->w.clock.now)
		since = UINT64_MAX;
	at_flushed(g->w.at, since);
	for (uint64_t pfn = 0; pfn < FRAMES; pfn++)
		if (g->gone_now[pfn] < since)
			g->gone[pfn] = 0;
}

/* The log is wrong: something is left out, or invented. Or a change is begun, and not ended. */
static void falsify_log(struct guest *g)
{
	uint8_t how = take1(&g->program);
	unsigned cpu = how >> 4 & 3, index = indices[take1(&g->program) & 15];
	uint64_t pfn = table(g);

	if (!g->w.logging)
		return;
	if (how & 1) {
		world_name(&g->w, cpu, pfn, index);
	} else if (how & 2) {
		world_unname(&g->w, cpu);
	} else {
		uint64_t pte = how & 8 ? take(&g->program, 8) : FRAME(how) | E_TABLE;

		g->lied = true;
		if (how & 4)
			world_store(&g->w, pfn, index, pte);
		else
			world_record(&g->w, cpu, pfn, index, 0, pte);
	}
}

static void disturbed_sync(struct guest *g)
{
	g->w.meanwhile = guest_goes_on;
	at_sync(g->w.at);
	g->w.meanwhile = NULL;
	take_violations(g);
	note_gone(g);
}

/* Without memory it may know less, but it knows that. */
static void faulty_sync(struct guest *g)
{
	uint8_t how = take1(&g->program);
	bool ok;

	fault_set(1 + (how >> 1), how & 1);
	ok = at_sync(g->w.at);
	MUST(ok || fault_fired());
	fault_set(0, false);
	if (!ok)
		MUST(at_check(g->w.at, table(g), 1) != AT_OK);
	take_violations(g);
	note_gone(g);
}

/* Those that come and go while a log is kept leave it and begin a new one. */
static void set_mode(struct guest *g)
{
	static const enum at_mode modes[] = {AT_CHANGES, AT_SCAN, AT_LOGGED, AT_BLIND};
	enum at_mode mode = modes[take1(&g->program) & 3];

	quiet_sync(g);
	if (at_set_mode(g->w.at, mode))
		g->w.logging = mode == AT_LOGGED;
	else
		MUST(mode == AT_BLIND);
	for (unsigned cpu = 0; cpu < WORLD_CPUS && !g->w.logging; cpu++)
		world_unname(&g->w, cpu);
}

static void step(struct guest *g)
{
	static const unsigned unpinned = 1 << AT_OK | 1 << AT_BAD_FRAME | 1 << AT_BAD_STATE;
	const uint8_t *at = g->program.at;
	uint8_t op = take1(&g->program);

	switch (op >= 0xf0 ? NR_OPS + op % 4 : op % NR_OPS) {
	case OP_FOLLOW:
		follow(g, op);
		break;
	case OP_UNFOLLOW:
		MUST(unpinned >> at_unfollow(g->w.at, take1(&g->program) % (FRAMES + 2)) & 1);
		note_gone(g);
		break;
	case OP_SURVEY:
	case OP_SURVEY_FAULT:
		survey(g, op & 1);
		break;
	case OP_PIN:
		pin(g, false);
		break;
	case OP_PIN_FAULT:
		pin(g, true);
		break;
	case OP_UNPIN:
		MUST(unpinned >> at_unpin(g->w.at, take1(&g->program) % (FRAMES + 2)) & 1);
		note_gone(g);
		break;
	case OP_SYNC:
		quiet_sync(g);
		check_frame(g, take1(&g->program) % FRAMES);
		break;
	case OP_SYNC_DISTURBED:
		disturbed_sync(g);
		break;
	case OP_SYNC_FAULT:
		faulty_sync(g);
		break;
	case OP_CLOCK:
		move_clock(g);
		break;
	case OP_FLUSHED:
		flushed(g);
		break;
	case OP_BECOME:
		become(g);
		break;
	case OP_TAKE_BACK:
		at_deflate(g->w.at, take1(&g->program) % (FRAMES + 2));
		break;
	case OP_LOG:
		falsify_log(g);
		break;
	case OP_MODE:
		set_mode(g);
		break;
	default:
		g->program.left += g->program.at - at;
		g->program.at = at;
		edit(g);
		break;
	}
}

/* If `other`, with five levels perhaps, and with a window that begins where tables of all levels do
 * not. */
static void start_tracker(struct guest *g, bool other)
{
	uint8_t how = other ? take1(&g->program) : 0;
	struct at_window window = {"window", DIRECT_BASE, 1ull << 21, 0, true};

	g->levels = how & 1 ? 5 : 4;
	g->w.config.levels = g->levels;
	g->w.at = at_new(&g->w.config);
	MUST(g->w.at != NULL);
	if (g->levels == 5)
		window.base = how & 2 ? 0 : 0xff11000000000000;
	window.base +=
		((how >> 2 & 3ull) << 21) + ((how >> 4 & 3ull) << 30) + ((how >> 6 & 3ull) << 39);
	g->direct_base = window.base;
	if (g->direct && !other)
		MUST(at_set_direct_map(g->w.at, DIRECT_BASE, SLOT));
	else if (g->direct)
		MUST(at_add_window(g->w.at, &window));
}

static void start(struct guest *g)
{
	uint8_t how = take1(&g->program), first = how;

	world_init(&g->w, FRAMES);
	g->w.hook_data = g;
	g->w.hole_begin = HOLE_BEGIN;
	g->w.hole_end = HOLE_END;
	g->w.config.quiet_syncs = 1 + (how & 3);
	g->w.config.mode = how >> 2 & 3;
	g->w.config.audit_syncs = 1 + (how >> 4 & 7);
	if (g->w.config.mode == AT_BLIND)
		g->w.config.mode = AT_LOGGED;
	g->w.logging = g->w.config.mode == AT_LOGGED;
	how = take1(&g->program);
	g->w.log_room = 1 + (how & 63);
	if (how & 64) {
		g->w.ops.arm = NULL;
		g->w.ops.disarm = NULL;
		g->w.ops.dirtied = NULL;
	}
	g->direct = how & 128;
	start_tracker(g, first & 128);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guest g;

	memset(&g, 0, sizeof(g));
	g.program = (struct bytes){data, size};
	start(&g);
	while (g.program.left > 0 && g.ops++ < OPS_MAX)
		step(&g);
	quiet_sync(&g);
	check_all(&g);
	world_close(&g.w);
	MUST(fault_live() == 0);
	return 0;
}
