/* SPDX-License-Identifier: MIT */
/*
 * What a sync costs: for guests of 1, 16 and 256 GiB with 100, 1000 and 10000 page tables, when
 * nothing changed, when an entry of one table changed, and, as the baseline, when every table is
 * compared. In user-mode instructions where perf_event_open(2) is permitted, in nanoseconds
 * otherwise; and always in tables compared.
 */
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "world.h"

#define GIB     (1ull << 18) /* in frames */
#define ROOT    1
#define SYNCS   100u
#define BATCHES 10u

static int open_counter(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static uint64_t now(int counter)
{
	struct timespec t;
	uint64_t count;

	if (counter >= 0) {
		if (read(counter, &count, sizeof(count)) == sizeof(count))
			return count;
		perror("bench-sync: reading the counter");
		exit(EXIT_FAILURE);
	}
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static uint64_t table_va(unsigned i)
{
	return VMALLOC + ((uint64_t)i << 21);
}

struct cost {
	double cost, compared;
};

/* Mean of many syncs, of the best of some batches: the others were disturbed. Before each sync an
 * entry of one table is changed if `change`. */
static struct cost measure(struct world *w, int counter, unsigned tables, bool change)
{
	uint64_t table = world_table(w, ROOT, table_va(tables / 2), 1);
	uint64_t best = UINT64_MAX, compared = world_stats(w).tables_compared;

	for (unsigned batch = 0; batch < BATCHES; batch++) {
		uint64_t spent = now(counter);

		for (unsigned i = 0; i < SYNCS; i++) {
			if (change)
				world_set(w, table, i, W(w->frames / 2 + batch * SYNCS + i));
			if (!at_sync(w->at))
				abort();
		}
		spent = now(counter) - spent;
		best = spent < best ? spent : best;
	}
	compared = world_stats(w).tables_compared - compared;
	return (struct cost){(double)best / SYNCS, (double)compared / SYNCS / BATCHES};
}

static void build(struct world *w, uint64_t gib, unsigned tables, enum at_mode mode)
{
	world_init(w, gib * GIB);
	w->config.mode = mode;
	world_start(w);
	for (unsigned i = 0; i < tables; i++)
		world_map(w, ROOT, table_va(i), 1, W(w->frames - 1 - i));
	if (world_pin_tree(w, ROOT) != AT_OK)
		abort();
}

static void bench(int counter, uint64_t gib, unsigned tables)
{
	struct world w;
	struct at_stats empty, stats;
	struct cost idle, one, scan;

	build(&w, gib, 0, AT_CHANGES);
	empty = world_stats(&w);
	world_close(&w);
	build(&w, gib, tables, AT_CHANGES);
	while (world_stats(&w).hot) /* quiet until all are cold */
		world_sync(&w);
	idle = measure(&w, counter, tables, false);
	one = measure(&w, counter, tables, true);
	stats = world_stats(&w);
	world_close(&w);
	build(&w, gib, tables, AT_SCAN);
	scan = measure(&w, counter, tables, false);
	world_close(&w);
	printf("%5llu %6llu %9.0f %5.1f %9.0f %5.1f %11.0f %7.1f %11.4f %11.0f\n",
	       (unsigned long long)gib, (unsigned long long)stats.tables, idle.cost, idle.compared,
	       one.cost, one.compared, scan.cost, scan.compared,
	       (double)empty.memory_bytes / empty.frames,
	       (double)(stats.memory_bytes - empty.memory_bytes) / stats.tables);
}

int main(void)
{
	static const uint64_t gibs[] = {1, 16, 256};
	static const unsigned tables[] = {100, 1000, 10000};
	int counter = open_counter();

	printf("A sync in %s, and the tables compared in it, in three cases; and memory.\n\n",
	       counter >= 0 ? "user-mode instructions" : "nanoseconds");
	printf("guest tables nothing changed    one changed       all compared       bytes a     "
	       "bytes a\n");
	printf("  GiB           cost  cmp.      cost  cmp.        cost    cmp.         frame       "
	       "table\n");
	for (unsigned t = 0; t < 3; t++)
		for (unsigned g = 0; g < 3; g++)
			bench(counter, gibs[g], tables[t]);
	if (counter >= 0)
		close(counter);
	return EXIT_SUCCESS;
}
