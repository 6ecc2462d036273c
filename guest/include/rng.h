/* SPDX-License-Identifier: MIT */
/* Reproducible random numbers: xorshift64*. */
#ifndef RNG_H
#define RNG_H

#include <stdint.h>

struct rng {
	uint64_t state; /* never 0 */
};

/* Streams of the same seed with different numbers are independent. */
static inline struct rng rng_init(uint64_t seed, uint64_t stream)
{
	uint64_t state = (seed + 1) * 0x9e3779b97f4a7c15u ^ (stream + 1) * 0xd1342543de82ef95u;

	return (struct rng){state ? state : 1};
}

static inline uint64_t rng_next(struct rng *rng)
{
	rng->state ^= rng->state >> 12;
	rng->state ^= rng->state << 25;
	rng->state ^= rng->state >> 27;
	return rng->state * 0x2545f4914f6cdd1du;
}

/* A random number of 0 .. n - 1; n must not be 0. */
static inline uint64_t rng_below(struct rng *rng, uint64_t n)
{
	return (rng_next(rng) >> 11) % n;
}

#endif
