/* SPDX-License-Identifier: MIT */
/* The calls that are led through here: a place to stop before or after, a defence to leave out. */
#include "broken.h"
#include "flush_clock.h"
#include "guard.h"
#include "internal.h"
#include "machine.h"
#include "pin.h"
#include "pin_internal.h"
#include "upcall.h"

#define WRAP(type, name, ...)                                                                      \
	extern __typeof__(name) __real_##name, __wrap_##name;                                      \
	type __wrap_##name(__VA_ARGS__)

/* The frame of the last pin, if it met an alias. Under the doorbell's lock. */
static uint64_t alias_of = UINT64_MAX;

WRAP(int, pin_init, struct machine *machine)
{
	int ret = __real_pin_init(machine);

	observer_start(machine);
	if (ret == 0 && broken(NO_SHARED))
		machine->pin->shared_frames = 0;
	return ret;
}

WRAP(bool, at_sync, struct alias_tracker *at)
{
	bool paused = atomic_load(&the_machine->world.paused);
	bool ok;

	if (paused && broken(NO_SECOND_LOOK))
		return true;
	ok = __real_at_sync(at);
	if (!paused)
		step_here(AT_LOOK);
	return ok;
}

WRAP(enum at_verdict, at_pin, struct alias_tracker *at, uint64_t pfn, unsigned level)
{
	enum at_verdict verdict;

	step_here(AT_GRANT);
	verdict = __real_at_pin(at, pfn, level);
	if (verdict == AT_ALIAS && alias_of == pfn && broken(TRUST_HANDLER))
		verdict = AT_OK;
	alias_of = verdict == AT_ALIAS ? pfn : UINT64_MAX;
	if (verdict == AT_OK)
		observer_pinned(pfn, true);
	return verdict;
}

WRAP(enum at_verdict, at_unpin, struct alias_tracker *at, uint64_t pfn)
{
	enum at_verdict verdict;

	step_here(AT_UNPIN);
	verdict = __real_at_unpin(at, pfn);
	if (verdict == AT_OK)
		observer_pinned(pfn, false);
	return verdict;
}

WRAP(unsigned, world_pause_some, struct machine *machine, struct vcpu *self, uint64_t who)
{
	step_here(AT_PAUSE);
	return __real_world_pause_some(machine, self, who);
}

WRAP(bool, vcpu_flush_tlb, struct vcpu *vcpu)
{
	step_here(AT_FLUSH);
	return __real_vcpu_flush_tlb(vcpu);
}

WRAP(bool, guard_hold, struct guard *guard, uint64_t pfn)
{
	bool held = __real_guard_hold(guard, pfn);

	if (held)
		observer_guarded(pfn);
	return held;
}

WRAP(void, note_unseen, struct pin *pin, uint64_t before)
{
	if (!broken(NO_UNSEEN))
		__real_note_unseen(pin, before);
}

WRAP(void, limbo_add, struct limbo *limbo, uint64_t name)
{
	if (!broken(NO_LIMBO))
		__real_limbo_add(limbo, name);
}

WRAP(uint64_t, flush_stamp_get, const struct flush_stamp *stamp)
{
	if (broken(ANY_EXIT))
		return flush_clock_now(&the_machine->flush_clock) + 1;
	return __real_flush_stamp_get(stamp);
}

WRAP(bool, flush_is_due, uint64_t stamp, uint64_t gone_at)
{
	if (broken(EQUAL_IS_NEWER))
		return stamp < gone_at;
	return __real_flush_is_due(stamp, gone_at);
}

WRAP(void, suspect_add, struct alias_tracker *at, struct table *table, unsigned index)
{
	if (!broken(NO_REPORT))
		__real_suspect_add(at, table, index);
}

WRAP(bool, table_is_linked, const struct table *table)
{
	return !broken(NO_LINKED) && __real_table_is_linked(table);
}

WRAP(int, upcall_raise, struct vcpu *vcpu, unsigned vector)
{
	int ret = __real_upcall_raise(vcpu, vector);

	if (broken(NO_RETRY_MARK))
		vcpu->retry.pending = false;
	return ret;
}
