/* SPDX-License-Identifier: MIT */
/* Mappings that were made and removed between two syncs: what the guest's clock tells of them. */
#include "machine.h"
#include "pin/internal.h"

/* What a sync learns about mappings that were made and removed since the last one. */
enum unseen {
	UNSEEN_FLUSHED,  /* all of them are out of all TLBs */
	UNSEEN_AS_KNOWN, /* there were no more */
	UNSEEN_MORE,     /* there were some, or may have been, if the guest's word does not count */
};

static enum unseen judge_unseen(const struct pin *pin, const struct at_clock *clock)
{
	bool guest_tells = pin->machine->opt->flush_proof == PROOF_GUEST;
	bool more = !guest_tells || clock->cleared != pin->synced_at;

	if (clock->flushed >= (more ? clock->cleared : pin->unseen))
		return UNSEEN_FLUSHED;
	return more ? UNSEEN_MORE : UNSEEN_AS_KNOWN;
}

void note_unseen(struct pin *pin, uint64_t before)
{
	struct at_clock clock = pin->ops.clock(pin);

	if (pin->strict)
		return; /* with strict every store is seen */
	switch (judge_unseen(pin, &clock)) {
	case UNSEEN_FLUSHED:
		pin->unseen = 0;
		break;
	case UNSEEN_AS_KNOWN:
		break;
	case UNSEEN_MORE:
		pin->unseen = clock.cleared;
		pin->unseen_at = clock.now;
		break;
	}
	pin->synced_at = before;
}
