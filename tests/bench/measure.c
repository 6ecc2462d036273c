/* SPDX-License-Identifier: MIT */
#include "measure.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sync.h"

#define LEAVES_MAX (1u << 21)
#define TOGGLES    4096u /* a round, of RUN updates each */
#define QUERIES    (1u << 16)
#define BATCHES    16u /* of a round's updates, and queries: the median counts */
#define SYNCS      200u
#define CHANGED    4u  /* buffers between two syncs */
#define SAME       16u /* tables, where the same change again and again */
#define SCANS      3u
#define CHECKED    4096u /* frames looked at after each round of syncs */
#define RESCAN     (COLUMNS - 1)

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned n)
{
	qsort(values, n, sizeof(*values), compare_doubles);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* --- a run over one guest size ---------------------------------------------------------------- */

struct bench {
	unsigned rounds, round;
	uint64_t gib, random; /* of the queries */
	struct load load;
	double values[WHATS][COLUMNS][ROUNDS_MAX]; /* negative: not measured */
};

static void note(struct bench *b, enum what what, unsigned column, double value)
{
	b->values[what][column][b->round] = value;
}

/* The same in all rounds. */
static void note_once(struct bench *b, enum what what, unsigned column, double value)
{
	for (unsigned i = 0; i < b->rounds; i++)
		b->values[what][column][i] = value;
}

static void progress(const struct bench *b, const char *what)
{
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r\033[K%llu GiB: %s, round %u of %u", (unsigned long long)b->gib, what,
		b->round + 1, b->rounds);
}

static void expect(const struct contender *c, uint64_t pfn, uint64_t counted, uint64_t wanted)
{
	if (counted == wanted)
		return;
	fprintf(stderr, "\nbench-tracker: %s counts %llu leaves of frame %llu, there are %llu\n",
		c ? c->name : "rescan", (unsigned long long)counted, (unsigned long long)pfn,
		(unsigned long long)wanted);
	exit(EXIT_FAILURE);
}

/* --- the reverse map alone -------------------------------------------------------------------- */

/* What all contenders are given in one round. */
struct input {
	struct event *events; /* TOGGLES x RUN */
	uint64_t *queries;    /* frames */
	uint64_t hits;        /* of them mapped */
};

static void input_init(struct input *in)
{
	in->events = must_calloc((uint64_t)TOGGLES * RUN, sizeof(*in->events));
	in->queries = must_calloc(QUERIES, sizeof(*in->queries));
}

static void input_free(struct input *in)
{
	free(in->events);
	free(in->queries);
}

static void input_next(struct input *in, struct load *load)
{
	in->hits = 0;
	for (unsigned i = 0; i < TOGGLES; i++)
		load_toggle(load, load_random(load, load->runs), in->events + i * RUN);
	for (unsigned i = 0; i < QUERIES; i++) {
		in->queries[i] = load_random(load, load->frames);
		in->hits += load->users[in->queries[i] / RUN] != 0;
	}
}

static uint64_t fill(const struct contender *c, void *self, const struct load *load)
{
	uint64_t leaves = 0;

	for (uint64_t place = 0; place < load->runs; place++) {
		uint64_t gpa = FRAME(load_table(place / RUNS_TABLE)) + place % RUNS_TABLE * RUN * 8;

		if (!load->at[place])
			continue;
		for (unsigned i = 0; i < RUN; i++)
			c->add(self, (uint64_t)load->at[place] * RUN + i, gpa + i * 8);
		leaves += RUN;
	}
	return leaves;
}

/* malloc() keeps some of what a thread has freed, and counts it as given out, until the thread
 * ends: so one that ends fills the map, in a process of its own, where nothing else changes for it.
 */
struct filling {
	const struct contender *contender;
	const struct load *load;
};

static void *fill_in_thread(void *arg)
{
	const struct filling *filling = arg;
	void *self = filling->contender->open(filling->load->frames);

	fill(filling->contender, self, filling->load);
	return self;
}

static double fill_and_weigh(const struct filling *filling)
{
	uint64_t heap;
	pthread_t thread;

	mallopt(M_ARENA_MAX, 1);
	heap = heap_bytes();
	if (pthread_create(&thread, NULL, fill_in_thread, (void *)(uintptr_t)filling) ||
	    pthread_join(thread, NULL))
		return -1;
	return (double)(heap_bytes() - heap) / filling->load->frames;
}

static double weigh(const struct contender *c, const struct load *load)
{
	struct filling filling = {c, load};
	double bytes = -1;
	int ends[2];
	pid_t child;

	if (pipe(ends) || (child = fork()) < 0) {
		perror("bench-tracker: fork");
		exit(EXIT_FAILURE);
	}
	if (!child) {
		bytes = fill_and_weigh(&filling);
		_exit(write(ends[1], &bytes, sizeof(bytes)) != sizeof(bytes));
	}
	close(ends[1]);
	if (read(ends[0], &bytes, sizeof(bytes)) != sizeof(bytes) || bytes < 0) {
		fprintf(stderr, "\nbench-tracker: the memory of %s could not be measured\n",
			c->name);
		exit(EXIT_FAILURE);
	}
	close(ends[0]);
	waitpid(child, NULL, 0);
	return bytes;
}

static double updates(const struct contender *c, void *self, const struct input *in)
{
	const struct event *e = in->events;
	unsigned n = TOGGLES * RUN / BATCHES;
	double spent[BATCHES];

	for (unsigned batch = 0; batch < BATCHES; batch++) {
		uint64_t start = now();

		for (unsigned i = 0; i < n; i++, e++) {
			if (e->gpa_map & 1)
				c->add(self, e->pfn, e->gpa_map & ~1ull);
			else
				c->drop(self, e->pfn, e->gpa_map);
		}
		spent[batch] = (double)(now() - start) / n;
	}
	return median(spent, BATCHES);
}

static double queries(const struct contender *c, const void *self, const struct input *in)
{
	unsigned n = QUERIES / BATCHES;
	double spent[BATCHES];
	uint64_t hits = 0;

	for (unsigned batch = 0; batch < BATCHES; batch++) {
		uint64_t start = now();

		for (unsigned i = 0; i < n; i++)
			hits += c->has(self, in->queries[batch * n + i]);
		spent[batch] = (double)(now() - start) / n;
	}
	if (hits != in->hits) {
		fprintf(stderr, "\nbench-tracker: %s has %llu frames mapped of %llu that are\n",
			c->name, (unsigned long long)hits, (unsigned long long)in->hits);
		exit(EXIT_FAILURE);
	}
	return median(spent, BATCHES);
}

static void measure_maps(struct bench *b, uint64_t *leaves)
{
	void *selves[COLUMNS];
	struct input in;

	input_init(&in);
	for (unsigned i = 0; contenders[i]; i++) {
		note_once(b, MEMORY, i, weigh(contenders[i], &b->load));
		selves[i] = contenders[i]->open(b->load.frames);
		*leaves = fill(contenders[i], selves[i], &b->load);
		contender_touch(contenders[i], selves[i], b->load.frames);
	}
	for (b->round = 0; b->round < b->rounds; b->round++) {
		progress(b, "updates and queries");
		input_next(&in, &b->load);
		for (unsigned i = 0; contenders[i]; i++) {
			note(b, UPDATE, i, updates(contenders[i], selves[i], &in));
			note(b, QUERY, i, queries(contenders[i], selves[i], &in));
		}
	}
	for (unsigned i = 0; contenders[i]; i++)
		contenders[i]->close(selves[i]);
	input_free(&in);
}

/* --- with the tables -------------------------------------------------------------------------- */

/* Followers of all contenders, and of the rescan, and what they are to follow in one round. */
struct race {
	enum arming arming;
	struct follower followers[COLUMNS];
	unsigned nr;
	struct change changes[SYNCS][CHANGED];
};

static void race_open(struct race *race, struct bench *b, enum arming arming)
{
	race->arming = arming;
	race->nr = 0;
	do
		follower_open(&race->followers[race->nr], &b->load, contenders[race->nr], arming);
	while (contenders[race->nr++]);
}

static void race_close(struct race *race)
{
	for (unsigned i = 0; i < race->nr; i++)
		follower_close(&race->followers[i]);
}

static double follow(struct race *race, struct follower *f)
{
	static double spent[SYNCS];

	for (unsigned i = 0; i < SYNCS; i++) {
		uint64_t start = now();

		for (unsigned k = 0; k < CHANGED; k++)
			follower_write(f, race->changes[i][k]);
		if (race->arming == ARMING_FREE)
			start = now();
		follower_sync(f);
		spent[i] = now() - start;
	}
	return median(spent, SYNCS);
}

/* Every follower knows what is mapped now. */
static void check(const struct race *race, struct load *load)
{
	for (unsigned i = 0; i < race->nr; i++) {
		const struct follower *f = &race->followers[i];

		for (unsigned n = 0; n < (f->contender ? CHECKED : SCANS); n++) {
			uint64_t pfn = load_random(load, load->frames);

			expect(f->contender, pfn, follower_count(f, pfn), load->users[pfn / RUN]);
			expect(f->contender, pfn, follower_has(f, pfn), !!load->users[pfn / RUN]);
		}
	}
}

/* Changes of the first `among` tables. */
static void race_round(struct race *race, struct bench *b, uint64_t among, enum what time,
		       enum what arms)
{
	for (unsigned i = 0; i < SYNCS; i++)
		for (unsigned k = 0; k < CHANGED; k++)
			race->changes[i][k] = load_change(&b->load, among);
	for (unsigned i = 0; i < race->nr; i++) {
		struct follower *f = &race->followers[i];
		uint64_t before = f->contender ? follower_arms(f) : 0;
		double spent = follow(race, f);

		if (!f->contender)
			continue;
		note(b, time, i, spent);
		if (arms != WHATS)
			note(b, arms, i, (double)(follower_arms(f) - before) / SYNCS);
	}
	check(race, &b->load);
}

static void measure_free(struct bench *b)
{
	struct race race;

	race_open(&race, b, ARMING_FREE);
	for (unsigned i = 0; contenders[i]; i++)
		note_once(b, MEMORY_ALL, i, (double)race.followers[i].bytes / b->load.frames);
	for (b->round = 0; b->round < b->rounds; b->round++) {
		progress(b, "syncs");
		race_round(&race, b, SAME, SYNC_SAME, WHATS);
		race_round(&race, b, b->load.tables, SYNC_ANY, WHATS);
	}
	race_close(&race);
}

/* The rescan keeps nothing and does all at the query, which is a pin's whole cost. */
static void rescan(struct bench *b, const struct follower *f)
{
	double spent[SCANS];

	for (unsigned i = 0; i < SCANS; i++) {
		uint64_t pfn = load_random(&b->load, b->load.frames), start = now();

		expect(NULL, pfn, follower_has(f, pfn), !!b->load.users[pfn / RUN]);
		spent[i] = now() - start;
	}
	note(b, QUERY, RESCAN, median(spent, SCANS));
}

static void measure_armed(struct bench *b)
{
	struct race race;

	race_open(&race, b, ARMING_REAL);
	for (b->round = 0; b->round < b->rounds; b->round++) {
		progress(b, "syncs with real arming");
		race_round(&race, b, SAME, ROUND_SAME, ARMS_SAME);
		race_round(&race, b, b->load.tables, ROUND_ANY, ARMS_ANY);
		rescan(b, &race.followers[race.nr - 1]);
		for (unsigned i = 0; contenders[i]; i++)
			note(b, PIN, i,
			     b->values[ROUND_ANY][i][b->round] + b->values[QUERY][i][b->round]);
		note(b, PIN, RESCAN, b->values[QUERY][RESCAN][b->round]);
	}
	race_close(&race);
}

/* --- all of it -------------------------------------------------------------------------------- */

static struct figure figure_of(struct bench *b, enum what what, unsigned column)
{
	double *values = b->values[what][column], ratios[ROUNDS_MAX];
	struct figure figure;

	if (values[0] < 0)
		return (struct figure){-1, -1};
	for (unsigned i = 0; i < b->rounds; i++)
		ratios[i] = values[i] / b->values[what][0][i];
	figure.ratio = median(ratios, b->rounds);
	figure.value = median(values, b->rounds);
	return figure;
}

void measure(struct result *r, uint64_t gib, unsigned rounds)
{
	struct bench *b = must_calloc(1, sizeof(*b));

	*r = (struct result){.gib = gib, .frames = gib << 18, .rounds = rounds};
	b->gib = gib;
	b->rounds = rounds;
	for (unsigned what = 0; what < WHATS; what++)
		for (unsigned i = 0; i < COLUMNS; i++)
			note_once(b, what, i, -1);
	load_init(&b->load, r->frames, LEAVES_MAX);
	r->tables = b->load.tables;
	measure_maps(b, &r->leaves);
	measure_free(b);
	measure_armed(b);
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
	/* The tracker's last: its values are sorted by then. */
	for (unsigned what = 0; what < WHATS; what++)
		for (unsigned i = COLUMNS; i-- > 0;)
			r->figures[what][i] = figure_of(b, what, i);
	load_free(&b->load);
	free(b);
}
