/* SPDX-License-Identifier: MIT */
#include "kvm/flush_clock.h"

void flush_clock_init(struct flush_clock *clock)
{
	atomic_init(&clock->now, 1);
}

uint64_t flush_clock_now(const struct flush_clock *clock)
{
	return atomic_load(&clock->now);
}

uint64_t flush_clock_tick(struct flush_clock *clock)
{
	return atomic_fetch_add(&clock->now, 1) + 1;
}

void flush_stamp_set(struct flush_stamp *stamp, uint64_t tick)
{
	atomic_store(&stamp->at, tick);
}

uint64_t flush_stamp_get(const struct flush_stamp *stamp)
{
	return atomic_load(&stamp->at);
}

bool flush_is_due(uint64_t stamp, uint64_t gone_at)
{
	return stamp <= gone_at;
}
