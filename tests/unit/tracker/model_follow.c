/* SPDX-License-Identifier: MIT */
/* The model's random stream: roots that are followed, windows, and surveys. */
#include <string.h>

#include "fault.h"
#include "model_run.h"

/* --- following -------------------------------------------------------------------------------- */

static enum at_verdict follow_allowed(struct run *r, uint64_t pfn)
{
	if (!model_has_memory(&r->m, pfn))
		return AT_BAD_FRAME;
	return model_is_followed(&r->m, pfn) ? AT_BAD_STATE : AT_OK;
}

/* Whatever it holds; what it maps against the rules is reported at once. */
void op_follow(struct run *r)
{
	static struct marks marks;
	uint64_t pfn = percent(r, 95) ? r->m.pool[rnd(r, M_POOL)] : rnd(r, r->m.frames + 2);
	enum at_verdict allowed = follow_allowed(r, pfn), verdict;
	bool fired;

	mark_before(r, &marks);
	marks.linked = true;
	fault_maybe(r, percent(r, 10) ? 1 + rnd(r, 20) : 0, percent(r, 50));
	verdict = at_follow(r->w.at, pfn);
	fired = fault_fired();
	fault_set(0, false);
	if (fired && verdict == AT_NO_MEMORY) {
		take_reports(r, &marks, false);
		r->tally.faults++;
		compare_some(r);
		return;
	}
	must_be(verdict == allowed, at_verdict_name(verdict));
	if (verdict != AT_OK)
		return;
	r->tally.follows++;
	model_follow(&r->m, pfn);
	model_compute(&r->m);
	take_reports(r, &marks, true);
	check_reports_complete(r, &marks);
	compare_some(r);
}

void op_unfollow(struct run *r)
{
	static struct before before;
	uint64_t pfn = rnd(r, r->m.frames + 2);
	enum at_verdict expected = AT_OK;

	if (r->m.nr_follows && percent(r, 80))
		pfn = r->m.follows[rnd(r, r->m.nr_follows)];
	if (pfn >= r->m.frames)
		expected = AT_BAD_FRAME;
	else if (!model_is_followed(&r->m, pfn))
		expected = AT_BAD_STATE;
	if (expected == AT_OK)
		remember(r, &before);
	must(at_unfollow(r->w.at, pfn) == expected);
	if (expected != AT_OK)
		return;
	model_unfollow(&r->m, pfn);
	model_compute(&r->m);
	stamp(r, &before);
	compare_some(r);
	ask_for_lost(r, &before);
}

/* After a sync that failed: what the next one finds decides, but not whether they are followed. */
void follow_meanwhile(struct run *r)
{
	uint64_t pfn = r->m.pool[rnd(r, M_POOL)];

	if (r->m.nr_follows && percent(r, 50)) {
		pfn = r->m.follows[rnd(r, r->m.nr_follows)];
		must(at_unfollow(r->w.at, pfn) == AT_OK);
		model_unfollow(&r->m, pfn);
		return;
	}
	fault_maybe(r, 1 + rnd(r, 12), percent(r, 50));
	if (at_follow(r->w.at, pfn) == AT_OK)
		model_follow(&r->m, pfn);
	fault_set(0, false);
}

/* --- windows ---------------------------------------------------------------------------------- */

#define UNIT 0x200000ull

/* A base that tables of the pool can lead to. */
static uint64_t some_base(struct run *r)
{
	static const uint16_t top[] = {0, 1, 273, 274, 511};
	uint64_t va =
		m_index[rnd(r, 4)] * UNIT + m_index[rnd(r, 4)] * 512 * UNIT + top[rnd(r, 5)] * SLOT;
	unsigned unused = 16;

	if (r->m.levels == 5) {
		va += (uint64_t)top[rnd(r, 5)] << 48;
		unused = 7;
	}
	return (uint64_t)((int64_t)(va << unused) >> unused);
}

static bool overlaps(uint64_t a, uint64_t b, uint64_t size)
{
	return b - a < size || a - b < size;
}

static void some_window(struct run *r)
{
	struct at_window w = {
		.name = "w",
		.base = some_base(r),
		.size = (1 + rnd(r, 3)) * UNIT,
		.gpa = rnd(r, 4) * UNIT,
		.exempt = percent(r, 90),
	};
	unsigned before = r->m.nr_windows;

	if (!at_add_window(r->w.at, &w) || !w.exempt)
		return;
	model_add_window(&r->m, w.base, w.size, w.gpa >> 12);
	for (unsigned i = 0; i < before && r->m.nr_windows > before; i++)
		must(!overlaps(r->m.windows[i].base, w.base, 1) &&
		     r->m.windows[i].first != w.gpa >> 12);
}

void start_windows(struct run *r)
{
	uint64_t slots = rnd(r, 3);

	if (percent(r, 60) && r->m.levels == 4) {
		if (slots)
			must(at_set_direct_map(r->w.at, DIRECT_BASE, slots * SLOT));
		model_add_window(&r->m, DIRECT_BASE, slots * SLOT, 0);
		return;
	}
	for (unsigned i = 0; i < M_WINDOWS; i++)
		some_window(r);
}

/* --- surveys ---------------------------------------------------------------------------------- */

static bool is_wx(const struct at_uses *uses)
{
	return (uses->kernel_exec && (uses->writable || uses->exempt_writable)) ||
	       (uses->user_exec && uses->writable);
}

/* What the findings say of each frame. */
struct survey {
	struct run *r;
	bool wx[M_FRAMES_MAX], typed[M_FRAMES_MAX];
	uint16_t aliases[M_FRAMES_MAX];
	int64_t nr;
	uint64_t mixed; /* pairs of a mapping of users and one of the kernel */
};

static void check_leads(struct run *r, uint64_t pfn, const struct at_alias *a, bool writable)
{
	struct at_alias now = *a;
	uint64_t pages = (1ull << 9 * (a->level - 1)) - 1;
	uint64_t first = a->pte >> 12 & ((1ull << 40) - 1) & ~pages;

	must(first + (a->va >> 12 & pages) == pfn);
	/* If nothing else has changed there was no survey: what walks set may be older. */
	now.pte = world_get(&r->w, a->pte_gpa >> 12, a->pte_gpa / 8 % 512);
	must(!((now.pte ^ a->pte) & ~(E_A | E_D)));
	must(model_leads(&r->m, a->va, a->pte_gpa >> 12, a->level, a->pte_gpa / 8 % 512, writable,
			 &now));
}

static unsigned type_of(const struct at_alias *a)
{
	return (a->pte >> (a->level == 1 ? 7 : 12) & 1) << 2 | (a->pte >> 3 & 3);
}

/* Walking is slow: the first is looked at, of those that small leaves make. */
static void check_pair(struct survey *s, const struct at_finding *f)
{
	struct run *r = s->r;
	uint64_t nr = model_count(&r->m, f->pfn), least = nr ? nr : 1;

	must(f->one.exec);
	must(f->mappings == least || f->mappings == least + 1);
	if (f->one.user == f->other.user || (f->one.level > 1 && f->other.level > 1) || s->mixed++)
		return;
	must(!model_has_pair(&r->m, f->pfn));
}

static bool check_finding(void *ctx, const struct at_finding *f)
{
	struct survey *s = ctx;
	struct run *r = s->r;

	must(!f->gone && f->frames && f->pfn + f->frames <= r->m.frames);
	check_leads(r, f->pfn, &f->one, f->kind == AT_F_ALIAS);
	if (f->kind != AT_F_ALIAS)
		check_leads(r, f->pfn, &f->other, f->kind == AT_F_WX);
	if (f->kind == AT_F_WX)
		check_pair(s, f);
	if (f->kind == AT_F_MEMTYPE)
		must(type_of(&f->one) != type_of(&f->other));
	for (uint64_t i = 0; i < f->frames; i++) {
		s->aliases[f->pfn + i] += f->kind == AT_F_ALIAS;
		s->wx[f->pfn + i] |= f->kind == AT_F_WX;
		s->typed[f->pfn + i] |= f->kind == AT_F_MEMTYPE;
	}
	s->nr++;
	r->tally.findings++;
	return true;
}

static void check_frame_findings(struct run *r, const struct survey *s, uint64_t pfn)
{
	struct at_uses uses = at_uses(r->w.at, pfn);
	uint64_t count = model_count(&r->m, pfn);
	uint64_t aliases = model_followed(&r->m, pfn) ? count : 0;

	must(uses.writable == (count > 0));
	must(s->wx[pfn] == is_wx(&uses));
	must(s->typed[pfn] == ((uses.memtypes & (uses.memtypes - 1)) != 0));
	must(s->aliases[pfn] == (aliases < 64 ? aliases : 64));
}

static void compare_uses(struct run *r, uint64_t pfn, struct at_uses expected)
{
	struct at_uses uses = at_uses(r->w.at, pfn);

	must(memcmp(&uses, &expected, sizeof(uses)) == 0);
	must(at_executable(r->w.at, pfn, 1) == (expected.kernel_exec || expected.user_exec));
}

void op_survey(struct run *r)
{
	static struct survey s;
	struct at_finding event;
	bool ok;

	fault_maybe(r, percent(r, 20) ? 1 + rnd(r, 20) : 0, percent(r, 50));
	ok = at_survey(r->w.at);
	must(ok || fault_fired());
	fault_set(0, false);
	if (!ok)
		must(at_survey(r->w.at));
	memset(&s, 0, sizeof(s));
	s.r = r;
	must(at_for_each_finding(r->w.at, check_finding, &s));
	while (at_next_finding(r->w.at, &event))
		r->held += event.gone ? -1 : 1;
	must(r->held == s.nr);
	for (uint64_t pfn = 0; pfn < r->m.frames; pfn++)
		check_frame_findings(r, &s, pfn);
	for (unsigned i = 0; i < 10; i++) {
		uint64_t pfn = some_frame(r);

		compare_uses(r, pfn, at_oracle_uses(r->w.at, pfn));
		if (i == 0)
			compare_uses(r, pfn, model_uses(&r->m, pfn));
	}
}
