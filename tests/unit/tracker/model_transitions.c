/* SPDX-License-Identifier: MIT */
/* The model's random stream: transitions to something else than a page table. */
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

void op_become(struct run *r)
{
	struct at_transition to = percent(r, 50) ? TO_HOST : TO_TYPE(rnd(r, 8));
	uint64_t pfn = some_frame(r);
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
