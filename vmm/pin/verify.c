/* SPDX-License-Identifier: MIT */
#include "machine.h"
#include "pin/internal.h"
#include "say.h"
#include "status.h"

/* Looks again at a difference, so often at most. */
#define LOOKS_MAX 16

/* Chosen at random, not by counting: a guest that alternates pins and unpins would otherwise
 * have the same kind checked each time. The generator is Knuth's; the numbers are the same in
 * every run. */
bool verify_is_due(struct pin *pin)
{
	unsigned every = pin->machine->opt->verify;

	pin->verify_draw = pin->verify_draw * 6364136223846793005ull + 1442695040888963407ull;
	return every && (pin->verify_draw >> 33) % every == 0;
}

static bool map_says(const struct pin *pin, uint64_t pfn, struct at_transition to)
{
	struct at_alias found;

	return to.to == AT_TO_TABLE ? at_has_alias(pin->at, pfn)
				    : at_in_the_way(pin->at, pfn, to, &found, 1) > 0;
}

static uint64_t entries_changed(const struct pin *pin)
{
	struct at_stats stats;

	at_get_stats(pin->at, &stats);
	return stats.entries_changed;
}

/* The two look at memory one after the other, and devices write to it all the time, while vCPUs are
 * paused. So a difference counts only if it stays while both look again, and the tracker, which is
 * told of every write, finds that no table has changed meanwhile. If the tracker uses the guest's
 * log, it does without: if the log was wrong, that is found, and reported. */
static bool differ_for_good(struct pin *pin, uint64_t pfn, struct at_transition to)
{
	uint64_t before = entries_changed(pin);
	struct at_alias found;

	for (unsigned i = 0; i < LOOKS_MAX; i++)
		if (!audit_tables(pin) || entries_changed(pin) != before ||
		    map_says(pin, pfn, to) == (at_oracle_of(pin->at, pfn, to, &found, 1) > 0))
			return false;
	return true;
}

/* Does the reverse map say anything else than the oracle, provided there was memory to keep it? */
static bool map_differs(const struct pin *pin, uint64_t pfn, struct at_transition to,
			enum alias_status status, bool in_the_way)
{
	return pin->tracks && status != ALIAS_NO_MEMORY && status != ALIAS_BAD_MEMTYPE &&
	       map_says(pin, pfn, to) != in_the_way;
}

static void say_let_through(uint64_t pfn, struct at_transition to, const struct at_alias *alias)
{
	static const char *const became[NR_TRANSITIONS] = {
		[AT_TO_TABLE] = "was pinned while a writable alias of it",
		[AT_TO_MEMTYPE] = "got a memory type while a mapping of it by another",
		[AT_TO_BALLOON] = "was ballooned while a mapping of it",
	};

	say("verify: frame 0x%llx %s is at va 0x%llx (entry at gpa 0x%llx)",
	    (unsigned long long)pfn, became[to.to], (unsigned long long)alias->va,
	    (unsigned long long)alias->pte_gpa);
}

/* A grant says that there is no alias, a refusal for an alias that there is one. The reverse map
 * must say the same, even if other reasons decided. */
void verify(struct pin *pin, uint64_t pfn, struct at_transition to, enum alias_status status)
{
	struct at_alias found;
	size_t nr = at_oracle_of(pin->at, pfn, to, &found, 1);
	bool let_through = nr > 0 && status == ALIAS_OK;
	bool refused_wrongly = nr == 0 && status == ALIAS_HAS_ALIAS;
	bool differs = map_differs(pin, pfn, to, status, nr > 0);

	pin->count.verified++;
	if (differs && !differ_for_good(pin, pfn, to)) {
		pin->count.looked_again++;
		return;
	}
	if (let_through && pin->count.let_through++ < PIN_SAID_MAX)
		say_let_through(pfn, to, &found);
	if (!differs && !refused_wrongly && !(let_through && pin->checks))
		return;
	pin->count.disagreed++;
	say("verify: tracker and oracle differ about frame 0x%llx (%zu found)",
	    (unsigned long long)pfn, nr);
	stop_request(&pin->machine->stop, VMM_EX_SOFTWARE);
}
