/* SPDX-License-Identifier: MIT */
#include "machine.h"
#include "pin/internal.h"
#include "say.h"
#include "status.h"

/* If the tracker uses the guest's log, an audit tells whether the log was wrong. */
static bool log_was_wrong(struct pin *pin)
{
	struct at_stats before, after;

	if (!pin->logged)
		return false;
	at_get_stats(pin->at, &before);
	audit_tables(pin);
	at_get_stats(pin->at, &after);
	return after.log_mismatches > before.log_mismatches;
}

/* Chosen at random, not by counting: a guest that alternates pins and unpins would otherwise
 * have the same kind checked each time. The generator is Knuth's; the numbers are the same in
 * every run. */
bool verify_is_due(struct pin *pin)
{
	unsigned every = pin->machine->opt->verify;

	pin->verify_draw = pin->verify_draw * 6364136223846793005ull + 1442695040888963407ull;
	return every && (pin->verify_draw >> 33) % every == 0;
}

static bool map_says(struct pin *pin, uint64_t pfn, struct at_transition to)
{
	struct at_alias found;

	return to.to == AT_TO_TABLE ? at_has_alias(pin->at, pfn)
				    : at_in_the_way(pin->at, pfn, to, &found, 1) > 0;
}

/* A grant says that there is no alias, a refusal for an alias that there is one. The reverse map
 * must say the same, even if other reasons decided, provided there was memory to keep it. */
void verify(struct pin *pin, uint64_t pfn, struct at_transition to, enum alias_status status)
{
	static const char *const became[NR_TRANSITIONS] = {
		[AT_TO_TABLE] = "was pinned while a writable alias of it",
		[AT_TO_MEMTYPE] = "got a memory type while a mapping of it by another",
		[AT_TO_BALLOON] = "was ballooned while a mapping of it",
	};
	struct at_alias found;
	size_t nr = at_oracle_of(pin->at, pfn, to, &found, 1);
	bool granted_wrongly = nr > 0 && status == ALIAS_OK;
	bool refused_wrongly = nr == 0 && status == ALIAS_HAS_ALIAS;
	bool map_differs = pin->tracks && status != ALIAS_NO_MEMORY &&
			   status != ALIAS_BAD_MEMTYPE && map_says(pin, pfn, to) != (nr > 0);

	pin->count.verified++;
	if (granted_wrongly && pin->count.let_through++ < PIN_SAID_MAX) {
		say("verify: frame 0x%llx %s is at va 0x%llx (entry at gpa 0x%llx)",
		    (unsigned long long)pfn, became[to.to], (unsigned long long)found.va,
		    (unsigned long long)found.pte_gpa);
	}
	if (!(granted_wrongly && pin->checks) && !refused_wrongly && !map_differs)
		return;
	if (log_was_wrong(pin))
		return;
	pin->count.disagreed++;
	say("verify: tracker and oracle differ about frame 0x%llx (%zu found)",
	    (unsigned long long)pfn, nr);
	stop_request(&pin->machine->stop, VMM_EX_SOFTWARE);
}
