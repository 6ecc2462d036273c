/* SPDX-License-Identifier: MIT */
#include "share.h"

#include <stddef.h>

#include "bootargs.h"
#include "panic.h"
#include "vmap.h"

BOOTARG(alias, "percent of page tables with a stale alias, default: by chance; "
	       "pat, balloon: of all frames, default 50");

#define DEFAULT_SHARE 50u

bool alias_is_chosen(void)
{
	return arg_str("alias");
}

struct share share_init(uint64_t seed, uint64_t stream)
{
	struct share share = {.rng = rng_init(seed, stream),
			      .percent = arg_u64("alias", DEFAULT_SHARE)};

	if (share.percent > 100)
		arg_bad("alias", "a percentage, 0 to 100");
	return share;
}

bool share_draw(struct share *share)
{
	bool aliased;

	if (!share->left) {
		share->left = 100;
		share->due = share->percent;
	}
	aliased = rng_below(&share->rng, share->left--) < share->due;
	share->due -= aliased;
	return aliased;
}

void leave_alias(uint64_t pfn, uint64_t prot)
{
	volatile uint64_t *mapped = vmap(&pfn, 1, prot);

	if (!mapped)
		panic("alias=: no memory for a mapping");
	*mapped = pfn;
	vunmap((void *)mapped);
}
