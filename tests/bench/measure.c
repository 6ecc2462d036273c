/* SPDX-License-Identifier: MIT */
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sync.h"

#define LEAVES_MAX (1u << 21)
#define TOGGLES    (1u << 16) /* of RUN updates each */
#define QUERIES    (1u << 20)
#define BATCHES    64u
#define SYNCS      2000u
#define CHANGED    4u  /* tables between two syncs */
#define SAME       16u /* tables, where the same change again and again */
#define SCANS      9u

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The first quartile: whatever was slower may have been disturbed by others on the machine. */
static double typical(uint64_t *spent, unsigned n)
{
	qsort(spent, n, sizeof(*spent), compare_u64);
	return spent[n / 4];
}

/* What all contenders of one guest size are given. */
struct input {
	struct load load;
	struct event *events; /* TOGGLES x RUN */
	uint64_t *queries;    /* frames */
	uint64_t hits;        /* of them mapped, by the first contender */
};

static void input_init(struct input *in, uint64_t frames)
{
	load_init(&in->load, frames, LEAVES_MAX);
	in->events = must_calloc(TOGGLES * RUN, sizeof(*in->events));
	in->queries = must_calloc(QUERIES, sizeof(*in->queries));
	in->hits = UINT64_MAX;
	for (unsigned i = 0; i < TOGGLES; i++)
		load_toggle(&in->load, load_random(&in->load, in->load.runs), in->events + i * RUN);
	for (unsigned i = 0; i < QUERIES; i++)
		in->queries[i] = load_random(&in->load, frames);
	load_reset(&in->load, 1);
}

static void input_free(struct input *in)
{
	load_free(&in->load);
	free(in->events);
	free(in->queries);
}

/* --- the reverse map alone -------------------------------------------------------------------- */

static uint64_t fill(const struct contender *c, void *self, const struct load *load)
{
	uint64_t leaves = 0;

	for (uint64_t table = 0; table < load->tables; table++) {
		for (unsigned i = 0; i < 512; i++) {
			uint64_t pte = load_leaf(load, table, i);

			if (!pte)
				continue;
			c->add(self, pte >> 12, FRAME(load_table(table)) + i * 8);
			leaves++;
		}
	}
	return leaves;
}

static double updates(const struct contender *c, void *self, const struct input *in)
{
	const struct event *e = in->events;
	uint64_t spent[BATCHES];
	unsigned n = TOGGLES * RUN / BATCHES;

	for (unsigned batch = 0; batch < BATCHES; batch++) {
		uint64_t start = now();

		for (unsigned i = 0; i < n; i++, e++) {
			if (e->gpa_map & 1)
				c->add(self, e->pfn, e->gpa_map & ~1ull);
			else
				c->drop(self, e->pfn, e->gpa_map);
		}
		spent[batch] = now() - start;
	}
	return typical(spent, BATCHES) / n;
}

static double queries(const struct contender *c, const void *self, struct input *in)
{
	uint64_t spent[BATCHES], hits = 0;
	unsigned n = QUERIES / BATCHES;

	for (unsigned batch = 0; batch < BATCHES; batch++) {
		uint64_t start = now();

		for (unsigned i = 0; i < n; i++)
			hits += c->has(self, in->queries[batch * n + i]);
		spent[batch] = now() - start;
	}
	if (in->hits == UINT64_MAX)
		in->hits = hits;
	if (in->hits != hits) {
		fprintf(stderr, "bench-tracker: %s answers otherwise than the rest\n", c->name);
		exit(EXIT_FAILURE);
	}
	return typical(spent, BATCHES) / n;
}

static void measure_map(struct result *r, unsigned column, struct input *in)
{
	const struct contender *c = contenders[column];
	uint64_t heap = heap_bytes();
	void *self = c->open(in->load.frames);

	r->leaves = fill(c, self, &in->load);
	r->values[MEMORY][column] = (double)(heap_bytes() - heap) / r->frames;
	contender_touch(c, self, in->load.frames);
	r->values[UPDATE][column] = updates(c, self, in);
	r->values[QUERY][column] = queries(c, self, in);
	c->close(self);
}

/* --- with the tables -------------------------------------------------------------------------- */

/* Syncs after CHANGED tables have changed, of the first `among` tables. */
static double syncs(struct follower *f, struct load *load, uint64_t among, double *arms)
{
	static uint64_t spent[SYNCS];
	struct event events[RUN];
	uint64_t before = f->arms + (f->world.at ? world_stats(&f->world).arms : 0);

	for (unsigned i = 0; i < SYNCS; i++) {
		uint64_t start;

		for (unsigned k = 0; k < CHANGED; k++) {
			uint64_t place = load_random(load, among * RUNS_TABLE);

			load_toggle(load, place, events);
			follower_write(f, place);
		}
		start = now();
		follower_sync(f);
		spent[i] = now() - start;
	}
	*arms = (double)(f->arms + (f->world.at ? world_stats(&f->world).arms : 0) - before) /
		SYNCS;
	return typical(spent, SYNCS);
}

static void measure_sync(struct result *r, unsigned column, struct input *in)
{
	const struct contender *c = contenders[column];
	struct follower f;
	double arms;

	load_reset(&in->load, 2);
	follower_open(&f, &in->load, c, 0);
	r->values[MEMORY_ALL][column] = (double)f.bytes / r->frames;
	r->values[SYNC_SAME][column] = syncs(&f, &in->load, SAME, &r->values[ARMS_SAME][column]);
	r->values[SYNC_ANY][column] =
		syncs(&f, &in->load, in->load.tables, &r->values[ARMS_ANY][column]);
	r->values[PIN][column] = r->values[SYNC_ANY][column] + r->values[QUERY][column];
	follower_close(&f);
	load_reset(&in->load, 2);
	follower_open(&f, &in->load, c, 1);
	r->values[SYNC_ARMED][column] = syncs(&f, &in->load, in->load.tables, &arms);
	follower_close(&f);
}

/* The rescan keeps nothing and does all at the query, which is a pin's whole cost. */
static void measure_rescan(struct result *r, struct input *in)
{
	struct follower f;
	uint64_t spent[SCANS], hits = 0;

	load_reset(&in->load, 2);
	follower_open(&f, &in->load, NULL, 0);
	for (unsigned i = 0; i < SCANS; i++) {
		uint64_t start = now();

		hits += follower_has(&f, in->queries[i]);
		spent[i] = now() - start;
	}
	follower_close(&f);
	if (hits > SCANS)
		abort();
	r->values[QUERY][COLUMNS - 1] = r->values[PIN][COLUMNS - 1] = typical(spent, SCANS);
}

void measure(struct result *r, uint64_t gib)
{
	struct input in;

	*r = (struct result){.gib = gib, .frames = gib << 18};
	for (unsigned i = 0; i < WHATS; i++)
		for (unsigned k = 0; k < COLUMNS; k++)
			r->values[i][k] = -1;
	input_init(&in, r->frames);
	r->tables = in.load.tables;
	for (unsigned i = 0; contenders[i]; i++) {
		measure_map(r, i, &in);
		measure_sync(r, i, &in);
		load_reset(&in.load, 1);
	}
	measure_rescan(r, &in);
	input_free(&in);
}
