/* SPDX-License-Identifier: MIT */
/*
 * The tracker against the model: random operations on random tables of a guest that obeys rules
 * now and then. Prints its seed; AT_SEED=... repeats a run, AT_OPS=... sets its length, and with
 * AT_FAULTS=0 no allocation fails.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fault.h"
#include "model_run.h"
#include "suites.h"

#ifndef MODEL_OPS
#define MODEL_OPS 600000
#endif
#define EPOCH 20000 /* operations with one tracker */

uint64_t rnd(struct run *r, uint64_t n)
{
	r->random_state ^= r->random_state << 13;
	r->random_state ^= r->random_state >> 7;
	r->random_state ^= r->random_state << 17;
	return (r->random_state >> 11) % n;
}

bool percent(struct run *r, unsigned p)
{
	return rnd(r, 100) < p;
}

void fault_maybe(struct run *r, unsigned nth, bool for_good)
{
	fault_set(r->no_faults ? 0 : nth, for_good);
}

uint64_t some_frame(struct run *r)
{
	unsigned what = rnd(r, 100);

	if (what < 40)
		return r->m.pool[rnd(r, M_POOL)];
	if (what < 60)
		return 600 + rnd(r, 4);
	if (what < 80)
		return rnd(r, 2) * 512 + m_index[rnd(r, M_ENTRIES)];
	return rnd(r, r->m.frames);
}

/* --- what is written -------------------------------------------------------------------------- */

/* The level for which a frame of the pool is usually taken. */
static unsigned usual_level(struct run *r, unsigned slot)
{
	return 1 + slot * r->m.levels / M_POOL;
}

static uint64_t pool_frame(struct run *r, unsigned level)
{
	unsigned nr = M_POOL / r->m.levels;

	return r->m.pool[(level - 1) * nr + rnd(r, nr)];
}

static uint64_t flags(struct run *r, unsigned rw)
{
	return E_P | (percent(r, rw) ? E_RW : 0) | (percent(r, 80) ? E_US : 0) |
	       (percent(r, 20) ? E_NX : 0) | (percent(r, 10) ? E_A | E_D : 0) | (rnd(r, 8) << 9) |
	       (percent(r, 10) ? rnd(r, 4) << 3 : 0); /* PWT, PCD */
}

static uint64_t some_leaf(struct run *r, unsigned slot)
{
	unsigned what = rnd(r, 100);
	uint64_t pfn = rnd(r, r->m.frames);

	if (what < 20)
		pfn = r->m.pool[rnd(r, M_POOL)];
	else if (what < 35) /* what the direct map has there */
		pfn = rnd(r, 3) * 512 + m_index[rnd(r, M_ENTRIES)];
	else if (what < 38)
		pfn = r->m.frames + rnd(r, 3);
	else if (what < 40)
		pfn = rnd(r, 1ull << 40);
	else if (what < 60) /* often the same few */
		pfn = 600 + slot % 4;
	return FRAME(pfn) | flags(r, what < 20 ? 30 : 70) | (percent(r, 10) ? E_PS : 0);
}

static uint64_t some_large_leaf(struct run *r, unsigned level)
{
	uint64_t pfn = level == 2 ? rnd(r, 5) * 512 : rnd(r, 2) << 18;

	pfn += percent(r, 20);                         /* PAT */
	pfn += percent(r, 15) ? 2ull << rnd(r, 8) : 0; /* reserved bits */
	return FRAME(pfn) | flags(r, 25) | E_PS;
}

static uint64_t some_entry(struct run *r, unsigned slot)
{
	unsigned level = usual_level(r, slot), what = rnd(r, 100);

	if (percent(r, 25))
		return 0;
	if (level == 1)
		return some_leaf(r, slot);
	if (what < 75)
		return FRAME(pool_frame(r, level - 1)) | flags(r, 75);
	if (what < 82)
		return FRAME(r->m.pool[rnd(r, M_POOL)]) | flags(r, 60);
	if (what < 87)
		return FRAME(rnd(r, r->m.frames + 5)) | flags(r, 75);
	if (what < 88)
		return rnd(r, UINT64_MAX);
	return some_large_leaf(r, level);
}

/* Would an honest guest write this into a table of this level? */
static bool is_decent(struct run *r, unsigned slot, uint64_t pte)
{
	unsigned level = usual_level(r, slot);
	uint64_t to = pte >> 12 & ((1ull << 40) - 1);

	if (!(pte & E_P))
		return true;
	if (level > 1)
		return !(pte & E_PS) && to < r->m.frames && r->m.pinned[to] == level - 1;
	if (to < r->m.frames && (r->m.ballooned[to] || r->m.type[to]))
		return false;
	return !(pte & E_RW) || to >= r->m.frames || r->m.in_pool[to] < 0;
}

static void op_write(struct run *r)
{
	unsigned slot = rnd(r, M_POOL), index = m_index[rnd(r, M_ENTRIES)];
	uint64_t pfn = r->m.pool[slot], pte = world_get(&r->w, pfn, index);

	switch (rnd(r, 10)) {
	case 0:
		pte ^= E_RW;
		break;
	case 1:
		pte ^= percent(r, 50) ? E_P : E_PS;
		break;
	case 2:
		pte ^= percent(r, 50) ? E_A : E_D;
		break;
	case 3:
		pte ^= percent(r, 50) ? E_US : percent(r, 50) ? E_NX : 1ull << (3 + rnd(r, 2));
		break;
	default:
		pte = some_entry(r, slot);
		break;
	}
	if (!percent(r, r->manners) || is_decent(r, slot, pte))
		world_set(&r->w, pfn, index, pte);
}

/* --- sync ------------------------------------------------------------------------------------- */

static void write_once_more(struct world *world, uint64_t pfn)
{
	struct run *r = world->hook_data;
	unsigned index = m_index[rnd(r, M_ENTRIES)];

	if (percent(r, 10))
		world_set(world, pfn, index, world_get(world, pfn, index) ^ E_RW);
}

static void stop_at_table(struct world *world)
{
	struct run *r = world->hook_data;

	r->stop |= r->stop_in && --r->stop_in == 0;
}

/* It failed, and some roots are followed before the next. */
static void between_syncs(struct run *r)
{
	must(at_check(r->w.at, r->m.pool[0], 1) != AT_OK);
	for (unsigned i = rnd(r, 4); i > 0; i--)
		follow_meanwhile(r);
	must(at_check(r->w.at, r->m.pool[0], 1) != AT_OK);
}

/* May fail, be stopped, and be raced by the guest where it matters most; then a quiet one follows.
 */
static void sync_disturbed(struct run *r, struct marks *marks)
{
	unsigned how = rnd(r, 5);
	bool ok, fired;

	if (how < 2)
		fault_maybe(r, 1 + rnd(r, percent(r, 50) ? 4 : 60), percent(r, 50));
	else if (how == 2)
		r->w.before_arm = write_once_more;
	else
		r->stop_in = 1 + rnd(r, 10);
	ok = at_sync(r->w.at);
	fired = fault_fired() || r->stop;
	fault_set(0, false);
	r->w.before_arm = NULL;
	r->stop = false;
	r->stop_in = 0;
	must(ok || fired);
	r->tally.faults += !ok;
	if (!ok)
		between_syncs(r);
	take_reports(r, marks, false);
}

/* Of a guest that keeps a log. What AT_LOGGED ends with is a sync, too. */
static void change_mode(struct run *r)
{
	static const enum at_mode modes[] = {AT_LOGGED, AT_LOGGED, AT_CHANGES, AT_SCAN};

	must(at_set_mode(r->w.at, modes[rnd(r, 4)]));
}

static void op_sync(struct run *r)
{
	static struct before before;
	static struct marks marks;
	bool disturbed = percent(r, 4);

	remember(r, &before);
	mark_before(r, &marks);
	if (disturbed) {
		sync_disturbed(r, &marks);
		model_maybe(&r->m, true, &before.maybe);
	} else if (r->w.logging && percent(r, 3)) {
		change_mode(r);
	}
	world_sync(&r->w);
	model_read_all(&r->m);
	take_reports(r, &marks, !disturbed);
	if (!disturbed)
		check_reports_complete(r, &marks);
	stamp(r, &before);
	compare_some(r);
	for (unsigned i = 0; i < 8; i++)
		compare_check(r, some_frame(r), some_transition(r));
	if (disturbed)
		ask_for_lost(r, &before);
	r->tally.roles += r->m.nr_roles;
	if (++r->tally.syncs % 64 == 0)
		compare_all(r);
	if (r->tally.syncs % 128 == 0)
		compare_oracle(r, some_frame(r), some_transition(r));
	if (percent(r, 3))
		op_survey(r);
}

/* --- pins ------------------------------------------------------------------------------------- */

/* Verdicts by what an L2 or L3 table holds: the first entry decides. */
static unsigned children_allow(struct run *r, uint64_t pfn, unsigned level)
{
	for (unsigned i = 0; i < 512; i++) {
		uint64_t pte = world_get(&r->w, pfn, i), child = pte >> 12 & ((1ull << 40) - 1);

		if (!(pte & E_P))
			continue;
		if (pte & E_PS) {
			if (level > 3 || (child & ~1ull) % (level == 2 ? 512 : 512 * 512))
				return 1 << AT_BAD_TABLE;
			continue;
		}
		if (!model_has_memory(&r->m, child))
			return 1 << AT_BAD_TABLE;
		if (r->m.pinned[child] != level - 1)
			return 1 << AT_CHILD_UNPINNED;
	}
	return 1 << AT_OK;
}

static unsigned tree_allows(struct run *r)
{
	static const unsigned verdicts[] = {
		[AT_V_WRITABLE] = 1 << AT_MAPS_TABLE,
		[AT_V_UNPINNED] = 1 << AT_CHILD_UNPINNED,
		[AT_V_BAD_TABLE] = 1 << AT_BAD_TABLE,
		[AT_V_BALLOONED] = 1 << AT_MAPS_BALLOONED,
		[AT_V_MEMTYPE] = 1 << AT_MEMTYPE_CONFLICT,
	};
	unsigned allowed = 0;

	for (unsigned i = 0; i < r->m.nr_violations; i++)
		if (r->m.violations[i].of_root)
			allowed |= verdicts[r->m.violations[i].kind];
	return allowed ? allowed : 1 << AT_OK;
}

/* The model takes the pin of a root; takes it back when the tracker refused. */
static void root_pinned(struct run *r, uint64_t pfn, enum at_verdict verdict)
{
	bool followed[M_POOL];
	uint64_t seen[M_POOL][M_ENTRIES];
	struct at_violation v;

	memcpy(followed, r->m.followed, sizeof(followed));
	memcpy(seen, r->m.seen, sizeof(seen));
	model_pin(&r->m, pfn, r->m.levels);
	model_compute(&r->m);
	model_mark_root(&r->m, pfn);
	must_be(tree_allows(r) >> verdict & 1, at_verdict_name(verdict));
	if (verdict == AT_OK)
		return;
	if (verdict == AT_MAPS_TABLE || verdict == AT_MAPS_BALLOONED ||
	    verdict == AT_MEMTYPE_CONFLICT) {
		must(at_next_violation(r->w.at, &v));
		check_report(r, &v, true);
		r->tally.maps++;
	}
	model_unpin(&r->m, pfn);
	memcpy(r->m.followed, followed, sizeof(followed));
	memcpy(r->m.seen, seen, sizeof(seen));
	model_compute(&r->m);
}

enum at_verdict pin(struct run *r, uint64_t pfn, unsigned level)
{
	unsigned allowed = check_allows(r, pfn, (struct at_transition){AT_TO_TABLE, level});
	enum at_verdict verdict;
	bool fired;

	fault_maybe(r, percent(r, 3) ? 1 + rnd(r, 40) : 0, percent(r, 50));
	verdict = at_pin(r->w.at, pfn, level);
	fired = fault_fired();
	fault_set(0, false);
	r->tally.pins++;
	if (fired && verdict == AT_NO_MEMORY) {
		r->tally.faults++;
		compare_some(r);
		return verdict;
	}
	if (!(allowed >> AT_OK & 1) || verdict == AT_STALE_TLB) {
		must_be(allowed >> verdict & 1, at_verdict_name(verdict));
		return verdict;
	}
	if (level == r->m.levels) {
		root_pinned(r, pfn, verdict);
		r->tally.roots_ok += verdict == AT_OK;
	} else {
		if (level > 1)
			must_be(children_allow(r, pfn, level) >> verdict & 1,
				at_verdict_name(verdict));
		else
			must(verdict == AT_OK);
		if (verdict == AT_OK) {
			model_pin(&r->m, pfn, level);
			model_compute(&r->m);
		}
	}
	must(world_violations(&r->w, NULL) == 0);
	r->tally.pins_ok += verdict == AT_OK;
	compare_some(r);
	return verdict;
}

static void op_pin(struct run *r)
{
	unsigned slot = rnd(r, M_POOL);

	if (percent(r, 85))
		pin(r, r->m.pool[slot], usual_level(r, slot));
	else if (percent(r, 50))
		pin(r, r->m.pool[slot], rnd(r, 6));
	else
		pin(r, rnd(r, r->m.frames + 2), 1 + rnd(r, 3));
}

static void op_unpin(struct run *r)
{
	static struct before before;
	uint64_t pfn = percent(r, 95) ? r->m.pool[rnd(r, M_POOL)] : rnd(r, r->m.frames + 2);
	enum at_verdict verdict, expected = AT_OK;
	bool root = pfn < r->m.frames && r->m.pinned[pfn] == r->m.levels;

	if (pfn >= r->m.frames)
		expected = AT_BAD_FRAME;
	else if (!r->m.pinned[pfn] || model_linked(&r->m, pfn))
		expected = AT_BAD_STATE;
	if (expected == AT_OK && percent(r, root ? 80 : 10))
		return; /* let trees grow */
	if (expected == AT_OK && root)
		remember(r, &before);
	verdict = at_unpin(r->w.at, pfn);
	must(verdict == expected);
	if (verdict != AT_OK)
		return;
	r->tally.unpins_ok++;
	model_unpin(&r->m, pfn);
	model_compute(&r->m);
	if (root)
		stamp(r, &before);
	compare_some(r);
	if (root)
		ask_for_lost(r, &before);
}

/* A well-meaning moment of the guest: puts a tree in order and pins it, from the bottom up. */
static void tidy(struct run *r, uint64_t pfn, unsigned level)
{
	if (r->m.pinned[pfn])
		return;
	for (unsigned k = 0; k < M_ENTRIES; k++) {
		uint64_t pte = world_get(&r->w, pfn, m_index[k]), to = pte >> 12 & 0xffffffffffull;
		bool leaf = level == 1 || (pte & E_PS);

		if (!(pte & E_P))
			continue;
		if (!leaf && to < r->m.frames && r->m.in_pool[to] >= 0 &&
		    usual_level(r, r->m.in_pool[to]) == level - 1 &&
		    (!r->m.pinned[to] || r->m.pinned[to] == level - 1))
			tidy(r, to, level - 1);
		if (leaf && level == 1 && (to >= r->m.frames || r->m.in_pool[to] < 0))
			continue;
		if (leaf)
			world_set(&r->w, pfn, m_index[k], 0);
		else if (to >= r->m.frames || r->m.pinned[to] != level - 1)
			world_set(&r->w, pfn, m_index[k], 0);
	}
	pin(r, pfn, level);
}

static void op_tidy(struct run *r)
{
	op_sync(r);
	tidy(r, pool_frame(r, r->m.levels), r->m.levels);
}

/* --- the rest --------------------------------------------------------------------------------- */

static void op_clock(struct run *r)
{
	r->w.clock.now += rnd(r, 2);
	if (percent(r, 85))
		r->w.clock.cleared += rnd(r, 2);
	else
		r->w.clock.flushed += rnd(r, r->w.clock.cleared - r->w.clock.flushed + 1);
}

static void op_flushed(struct run *r)
{
	uint64_t since = percent(r, 50) ? UINT64_MAX : rnd(r, r->w.clock.now + 2);

	at_flushed(r->w.at, since);
	for (uint64_t pfn = 0; pfn < r->m.frames; pfn++) {
		if (r->m.must_now[pfn] < since)
			r->m.must[pfn] = 0;
		if (r->m.may_now[pfn] < since)
			r->m.may[pfn] = 0;
	}
	forget_stamps(r, since);
}

static void op_any(struct run *r)
{
	unsigned what = rnd(r, 1000);

	if (what < 635)
		op_write(r);
	else if (what < 735)
		op_sync(r);
	else if (what < 815)
		op_pin(r);
	else if (what < 867)
		op_unpin(r);
	else if (what < 880)
		op_tidy(r);
	else if (what < 920)
		op_clock(r);
	else if (what < 923)
		op_flushed(r);
	else if (what < 936)
		op_become(r);
	else if (what < 939)
		op_take_back(r);
	else if (what < 940)
		op_count_all(r);
	else if (what < 944)
		op_follow(r);
	else if (what < 946)
		op_unfollow(r);
	else if (what < 958)
		world_walk(&r->w, r->m.pool[rnd(r, M_POOL)]);
	else if (what < 975)
		compare_check(r, percent(r, 5) ? rnd(r, r->m.frames + 2) : some_frame(r),
			      some_transition(r));
	else
		compare_aliases(r, percent(r, 70) ? r->m.pool[rnd(r, M_POOL)] : rnd(r, r->m.frames),
				some_transition(r));
}

static void start_epoch(struct run *r)
{
	memset(&r->m, 0, sizeof(r->m));
	r->held = 0;
	world_init(&r->w, 1100 + rnd(r, M_FRAMES_MAX - 1100));
	r->w.hook_data = r;
	r->manners = rnd(r, 3) * 49;
	r->w.hole_begin = r->w.frames - 100;
	r->w.hole_end = r->w.frames - 90;
	r->m.levels = percent(r, 20) ? 5 : 4;
	r->w.config.levels = r->m.levels == 5 ? 5 : rnd(r, 2) * 4;
	r->w.config.quiet_syncs = 1 + rnd(r, 6);
	r->w.config.keep_places = rnd(r, 2);
	r->w.config.mode = percent(r, 20) ? AT_SCAN : AT_CHANGES;
	if (percent(r, 40)) {
		r->w.config.mode = AT_LOGGED;
		r->w.config.audit_syncs = 1 + rnd(r, 40);
		r->w.logging = true;
		r->w.log_room = 1 + rnd(r, 100);
	}
	r->w.config.seed = rnd(r, UINT64_MAX);
	r->w.config.stop = &r->stop;
	r->w.meanwhile = stop_at_table;
	if (percent(r, 20)) {
		r->w.ops.arm = NULL;
		r->w.ops.disarm = NULL;
		r->w.ops.dirtied = NULL;
	}
	r->w.at = at_new(&r->w.config);
	must(r->w.at != NULL);
	if (!r->no_faults && percent(r, 80))
		spare_nothing(&r->w);
	r->m.frames = r->w.frames;
	r->m.hole_begin = r->w.hole_begin;
	r->m.hole_end = r->w.hole_end;
	r->m.live = r->w.memory;
	start_windows(r);
	memset(r->m.in_pool, -1, sizeof(r->m.in_pool));
	for (unsigned slot = 0; slot < M_POOL;) {
		uint64_t pfn =
			percent(r, 50) ? rnd(r, r->m.frames) : rnd(r, 2) * 512 + m_index[rnd(r, 9)];

		if (r->m.in_pool[pfn] >= 0 || !model_has_memory(&r->m, pfn))
			continue;
		r->m.in_pool[pfn] = slot;
		r->m.pool[slot++] = pfn;
	}
}

static void run(struct run *r, uint64_t ops)
{
	for (r->op_number = 0; r->op_number < ops; r->op_number++) {
		if (r->op_number % EPOCH == 0)
			start_epoch(r);
		op_any(r);
		if (r->op_number % EPOCH == EPOCH - 1 || r->op_number == ops - 1) {
			op_sync(r);
			compare_all(r);
			world_close(&r->w);
		}
	}
}

START_TEST(agrees_with_the_model)
{
	const char *seed = getenv("AT_SEED"), *length = getenv("AT_OPS");
	const char *faults = getenv("AT_FAULTS");
	uint64_t ops = length ? strtoull(length, NULL, 0) : MODEL_OPS;
	static struct run r;

	r.random_state = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) * 0x9e3779b97f4a7c15;
	if (!r.random_state) /* which is all that would ever come */
		r.random_state = 1;
	r.no_faults = faults && atoi(faults) == 0;
	printf("model: AT_SEED=%" PRIu64 " AT_OPS=%" PRIu64 "\n", r.random_state, ops);
	fflush(stdout);
	run(&r, ops);
	printf("model: %" PRIu64 " syncs of %" PRIu64 " roles on average, %" PRIu64
	       " pins, %" PRIu64 " granted, of them %" PRIu64 " roots; %" PRIu64
	       " roots refused for what they map, %" PRIu64 " unpins; %" PRIu64
	       " violations, %" PRIu64 " aliases named, %" PRIu64 " stale, %" PRIu64
	       " failures for memory; %" PRIu64 " ballooned, %" PRIu64 " of a memory type; %" PRIu64
	       " roots followed, %" PRIu64 " findings\n",
	       r.tally.syncs, r.tally.roles / r.tally.syncs, r.tally.pins, r.tally.pins_ok,
	       r.tally.roots_ok, r.tally.maps, r.tally.unpins_ok, r.tally.reports, r.tally.aliases,
	       r.tally.stale, r.tally.faults, r.tally.ballooned, r.tally.memtyped, r.tally.follows,
	       r.tally.findings);
}
END_TEST

Suite *model_suite(void)
{
	Suite *suite = suite_create("model");
	TCase *tcase = tcase_create("model");

	tcase_set_timeout(tcase, 600);
	tcase_add_test(tcase, agrees_with_the_model);
	suite_add_tcase(suite, tcase);
	return suite;
}
