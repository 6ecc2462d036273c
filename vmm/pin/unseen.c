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

static bool guest_tells(const struct pin *pin)
{
	return pin->machine->opt->flush_proof == PROOF_GUEST;
}

static enum unseen judge_unseen(const struct pin *pin, const struct at_clock *clock)
{
	bool more = !guest_tells(pin) || clock->cleared != pin->synced_at;

	if (clock->flushed >= (more ? clock->cleared : pin->unseen))
		return UNSEEN_FLUSHED;
	return more ? UNSEEN_MORE : UNSEEN_AS_KNOWN;
}

__attribute__((noinline)) static void note_some(struct pin *pin)
{
	struct at_clock clock = pin->ops.clock(pin);

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
}

/* Has the guest flushed all that it says it has cleared? Most times it has cleared nothing. */
static bool all_flushed(const struct pin *pin)
{
	const struct alias_common_page *page = pin->common;
	uint64_t cleared = __atomic_load_n(&page->cleared, __ATOMIC_ACQUIRE);

	return guest_tells(pin) && __atomic_load_n(&page->flushed, __ATOMIC_ACQUIRE) >= cleared;
}

void note_unseen(struct pin *pin, uint64_t before)
{
	if (pin->strict)
		return; /* with strict every store is seen */
	if (all_flushed(pin))
		pin->unseen = 0;
	else
		note_some(pin);
	pin->synced_at = before;
}
