/* SPDX-License-Identifier: MIT */
/* The model's random stream: transitions to something else than a page table. */
#include <string.h>

#include "fault.h"
#include "model_run.h"

struct at_transition some_transition(struct run *r)
{
	switch (rnd(r, 4)) {
	case 0:
		return TO_TYPE(percent(r, 50) ? 0 : rnd(r, 9));
	case 1:
		return TO_HOST;
	default:
		return (struct at_transition){AT_TO_TABLE, rnd(r, 6)};
	}
}

void become(struct run *r, uint64_t pfn, struct at_transition to)
{
	unsigned allowed = check_allows(r, pfn, to);
	enum at_verdict verdict;
	bool fired;

	fault_maybe(r, percent(r, 3) ? 1 + rnd(r, 4) : 0, percent(r, 50));
	verdict = at_become(r->w.at, pfn, to);
	fired = fault_fired();
	fault_set(0, false);
	if (!fired || verdict != AT_NO_MEMORY)
		must_be(allowed >> verdict & 1, at_verdict_name(verdict));
	if (verdict == AT_OK && to.to == AT_TO_BALLOON)
		r->m.ballooned[pfn] = true;
	if (verdict == AT_OK && to.to == AT_TO_MEMTYPE)
		r->m.type[pfn] = to.arg;
	if (verdict == AT_OK)
		model_compute(&r->m);
	r->tally.ballooned += verdict == AT_OK && to.to == AT_TO_BALLOON;
	r->tally.memtyped += verdict == AT_OK && to.to == AT_TO_MEMTYPE;
	compare_some(r);
}

void op_become(struct run *r)
{
	struct at_transition to = percent(r, 50) ? TO_HOST : TO_TYPE(rnd(r, 8));

	become(r, some_frame(r), to);
}

void op_take_back(struct run *r)
{
	uint64_t pfn = percent(r, 5) ? rnd(r, r->m.frames + 2) : some_frame(r);
	enum at_verdict expected = AT_OK;

	if (pfn >= r->m.frames)
		expected = AT_BAD_FRAME;
	else if (!r->m.ballooned[pfn])
		expected = AT_BAD_STATE;
	must(at_deflate(r->w.at, pfn) == expected);
	if (expected != AT_OK)
		return;
	r->m.ballooned[pfn] = false;
	model_compute(&r->m);
	compare_some(r);
}

static bool is_lost(struct run *r, const struct before *before, uint64_t pfn)
{
	m_types was = m_of_type(&before->count, pfn), is = m_of_type(&r->m.count, pfn);

	return memcmp(&was, &is, sizeof(is)) ||
	       m_writable(&before->count, pfn) != model_count(&r->m, pfn);
}

/* A root that is refused meanwhile makes it forget nothing. */
void ask_for_lost(struct run *r, const struct before *before)
{
	uint64_t first = rnd(r, r->m.frames);
	unsigned left = 6;

	if (percent(r, 10))
		pin(r, r->m.pool[rnd(r, M_POOL)], r->m.levels);
	for (uint64_t i = 0; i < r->m.frames && left; i++) {
		uint64_t pfn = (first + i) % r->m.frames;

		if (!is_lost(r, before, pfn))
			continue;
		compare_check(r, pfn, (struct at_transition){AT_TO_TABLE, 1});
		compare_check(r, pfn, some_transition(r));
		if (percent(r, 5))
			pin(r, pfn, 1);
		else if (percent(r, 5))
			become(r, pfn, percent(r, 50) ? TO_HOST : TO_TYPE(rnd(r, 8)));
		i += rnd(r, 64);
		left--;
	}
}

void op_count_all(struct run *r)
{
	bool fired;

	fault_maybe(r, percent(r, 30) ? 1 + rnd(r, 8) : 0, percent(r, 50));
	if (at_count_all(r->w.at)) {
		if (!r->m.counts_all)
			r->m.may_any = stamp_now(r);
		r->m.counts_all = true;
	}
	fired = fault_fired();
	fault_set(0, false);
	must(r->m.counts_all || fired);
	compare_some(r);
}
