/* SPDX-License-Identifier: MIT */
/* Through what the tracker sees the guest, and how it learns what has changed. */
#include <stdio.h>
#include <x86intrin.h>
#include "machine.h"
#include "pin.h"
#include "pin_internal.h"

static const uint64_t *table(void *ctx, uint64_t pfn)
{
	struct pin *pin = ctx;

	return memory_ptr(&pin->machine->mem, pfn * ALIAS_PAGE_SIZE, ALIAS_PAGE_SIZE);
}

/* The guest's word about its TLBs (alias_abi.h says in which order it is given). */
static struct at_clock guest_clock(void *ctx)
{
	struct pin *pin = ctx;
	struct alias_common_page *page =
		memory_ptr(&pin->machine->mem, SHARED_GPA, ALIAS_PAGE_SIZE);
	struct at_clock clock;

	clock.cleared = __atomic_load_n(&page->cleared, __ATOMIC_ACQUIRE);
	clock.flushed = __atomic_load_n(&page->flushed, __ATOMIC_ACQUIRE);
	clock.now = flush_clock_now(&pin->machine->flush_clock);
	return clock;
}

/* Where its word doesn't count. */
static struct at_clock no_guest_clock(void *ctx)
{
	struct pin *pin = ctx;

	return (struct at_clock){.cleared = 1, .now = flush_clock_now(&pin->machine->flush_clock)};
}

static bool arm(void *ctx, uint64_t pfn)
{
	struct pin *pin = ctx;
	uint64_t start = __rdtsc();
	bool ok = watch_arm(pin->watch, pfn);

	pin->count.track_ticks += __rdtsc() - start;
	return ok;
}

static void disarm(void *ctx, uint64_t pfn)
{
	struct pin *pin = ctx;
	uint64_t start = __rdtsc();

	watch_disarm(pin->watch, pfn);
	pin->count.track_ticks += __rdtsc() - start;
}

static size_t woken(void *ctx, uint64_t *pfns, size_t max)
{
	struct pin *pin = ctx;
	uint64_t start = __rdtsc();
	size_t n = watch_woken(pin->watch, pfns, max);

	pin->count.track_ticks += __rdtsc() - start;
	return n;
}

/* Without userfaultfd every table is compared at every sync: right, and slower with many tables. */
void open_source(struct pin *pin)
{
	const struct options *opt = pin->machine->opt;

	pin->ops.table = table;
	pin->ops.clock = opt->flush_proof == PROOF_GUEST ? guest_clock : no_guest_clock;
	pin->why_no_watch = "not asked for by these options";
	if (!pin->looks || (opt->track != TRACK_DIRTY && !opt->control))
		return;
	pin->watch = watch_start(&pin->machine->mem, &pin->why_no_watch);
	if (pin->watch) {
		pin->ops.arm = arm;
		pin->ops.disarm = disarm;
		pin->ops.woken = woken;
	} else if (opt->verbose && opt->track == TRACK_DIRTY) {
		fprintf(stderr, "vmm: every table is compared at each pin: %s\n",
			pin->why_no_watch);
	}
}

enum at_mode source_mode(enum track_source source)
{
	return source == TRACK_SCAN ? AT_SCAN : AT_CHANGES;
}

const char *write_tracking(const struct pin *pin)
{
	return pin->watch ? "userfaultfd" : pin->why_no_watch;
}
