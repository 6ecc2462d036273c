/* SPDX-License-Identifier: MIT */
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>

#include "sync.h"

#define FRAMES  8192u /* 32 MiB */
#define ROUNDS  40u
#define TOGGLES 20u

/* The naive answer: from the load itself, not from any table. */
static void expect(const struct load *load, uint64_t *counts)
{
	for (uint64_t i = 0; i < load->frames; i++)
		counts[i] = load->users[i / RUN];
}

/* Frames about which the contender is wrong. */
static unsigned wrong(const struct follower *f, const uint64_t *counts, unsigned step)
{
	unsigned n = 0;

	for (uint64_t pfn = 0; pfn < FRAMES; pfn += step)
		n += follower_count(f, pfn) != counts[pfn] ||
		     follower_has(f, pfn) != (counts[pfn] != 0);
	return n;
}

static unsigned run(const struct contender *contender, enum arming arming)
{
	struct follower f;
	struct load load;
	uint64_t *counts = must_calloc(FRAMES, sizeof(*counts));
	unsigned n = 0;

	load_init(&load, FRAMES, FRAMES);
	follower_open(&f, &load, contender, arming);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < TOGGLES; i++)
			follower_write(&f, load_change(&load, load.tables));
		follower_sync(&f);
		expect(&load, counts);
		n += wrong(&f, counts, contender ? 1 : 17);
	}
	follower_close(&f);
	load_free(&load);
	free(counts);
	return n;
}

int smoke(void)
{
	unsigned failed = 0;

	for (unsigned c = 0;; c++) {
		const char *name = contenders[c] ? contenders[c]->name : "rescan";
		unsigned n = run(contenders[c], ARMING_FREE) + run(contenders[c], ARMING_REAL);

		if (n)
			printf("not ok bench-tracker %s: %u wrong answers\n", name, n);
		else
			printf("ok bench-tracker %s\n", name);
		failed += n != 0;
		if (!contenders[c])
			break;
	}
#if !__has_include(<glib.h>)
	printf("skip bench-tracker ghashtable: built without GLib, `make bench` installs it\n");
#endif
#if !__has_include(<roaring/roaring.h>)
	printf("skip bench-tracker croaring: built without CRoaring, `make bench` installs it\n");
#endif
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
