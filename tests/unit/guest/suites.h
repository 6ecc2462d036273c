/* SPDX-License-Identifier: MIT */
/* The suites of the guest's allocators on the host, and what they share. */
#ifndef TESTS_GUEST_SUITES_H
#define TESTS_GUEST_SUITES_H

#include <check.h>
#include <stdint.h>

Suite *vmap_area_suite(void);
Suite *vmap_suite(void);
Suite *vmap_ops_suite(void);
Suite *frame_suite(void);
Suite *crc32_suite(void);
Suite *set_memory_suite(void);
Suite *pin_many_suite(void);
Suite *aspace_suite(void);

/* The seed of this run: printed at the start, set by the environment variable SEED to repeat. */
extern uint64_t test_seed;

/* ck_assert() for inner loops: that writes to a pipe even if all is well. */
#define CHECK(condition, ...)                                                                      \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg(#condition ": " __VA_ARGS__);                                 \
	} while (0)

/* xorshift64*: the state is the caller's and never 0. */
static inline uint64_t test_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

static inline uint64_t test_below(uint64_t *state, uint64_t n)
{
	return (test_random(state) >> 11) % n;
}

#endif
