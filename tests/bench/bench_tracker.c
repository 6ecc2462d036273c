/* SPDX-License-Identifier: MIT */
/* bench-tracker: libaliastracker beside what one would take instead. See docs/TRACKER.md. */
#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contender.h"
#include "measure.h"

#define SIZES 4u
#define EVEN  1.1 /* within this factor nobody is first */

static const uint64_t gibs[SIZES] = {1, 16, 256, 1024};

static const struct {
	const char *name, *unit, *label;
	bool exact; /* else it is time, and rounds are compared */
} whats[WHATS] = {
	[MEMORY] = {"memory", "bytes/frame", "memory, bytes a frame", true},
	[MEMORY_ALL] = {"memory_with_tables", "bytes/frame", "  with copies of tables", true},
	[UPDATE] = {"update", "ns", "update, ns", false},
	[QUERY] = {"query", "ns", "query, ns", false},
	[SYNC_SAME] = {"sync_same_tables", "ns", "sync, same 16 tables, ns", false},
	[SYNC_ANY] = {"sync_any_tables", "ns", "sync, any tables, ns", false},
	[ROUND_SAME] = {"arming_same_tables", "ns", "+ arming, same 16, ns", false},
	[ROUND_ANY] = {"arming_any_tables", "ns", "+ arming, any, ns", false},
	[ARMS_SAME] = {"arms_same_tables", "arms/sync", "  arms, same 16 tables", true},
	[ARMS_ANY] = {"arms_any_tables", "arms/sync", "  arms, any tables", true},
	[PIN] = {"pin", "ns", "+ arming, any, + query", false},
};

struct options {
	const char *json;
	uint64_t size; /* 0: all of them */
	unsigned rounds;
	bool quick, smoke;
};

enum { OPT_QUICK = 256, OPT_SMOKE, OPT_JSON, OPT_SIZE, OPT_ROUNDS };

static const struct argp_option argp_options[] = {
	{"size", OPT_SIZE, "GIB", 0, "A guest of so many GiB only: 1, 16, 256 or 1024", 0},
	{"quick", OPT_QUICK, NULL, 0, "Guests of 1 and 16 GiB only", 0},
	{"rounds", OPT_ROUNDS, "N", 0, "Rounds of each measurement (1 to 99; default 7)", 0},
	{"json", OPT_JSON, "FILE", 0, "Write the figures to FILE, too", 0},
	{"smoke", OPT_SMOKE, NULL, 0, "Only check that all give the same answers", 0},
	{0},
};

static uint64_t number(struct argp_state *state, const char *arg, const char *what)
{
	char *end;
	unsigned long long n = strtoull(arg, &end, 10);

	if (*arg < '0' || *arg > '9' || *end)
		argp_error(state, "'%s' is no number of %s", arg, what);
	return n;
}

static bool is_size(uint64_t gib)
{
	for (unsigned i = 0; i < SIZES; i++)
		if (gibs[i] == gib)
			return true;
	return false;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;
	uint64_t n;

	switch (key) {
	case OPT_QUICK:
		options->quick = true;
		return 0;
	case OPT_SMOKE:
		options->smoke = true;
		return 0;
	case OPT_JSON:
		options->json = arg;
		return 0;
	case OPT_SIZE:
		options->size = number(state, arg, "GiB");
		if (!is_size(options->size))
			argp_error(state, "no guest of %s GiB: 1, 16, 256 or 1024", arg);
		return 0;
	case OPT_ROUNDS:
		n = number(state, arg, "rounds");
		if (n < 1 || n > ROUNDS_MAX)
			argp_error(state, "1 to %u rounds, not %s", ROUNDS_MAX, arg);
		options->rounds = n;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const char *column_name(unsigned column)
{
	unsigned n = 0;

	while (contenders[n])
		n++;
	return column < n ? contenders[column]->name : column == COLUMNS - 1 ? "rescan" : NULL;
}

/* What decides who is first; negative if it was not measured. */
static double score(const struct result *r, unsigned what, unsigned column)
{
	const struct figure *f = &r->figures[what][column];

	return whats[what].exact ? f->value : f->ratio;
}

static bool near_best(const struct result *r, unsigned what, unsigned column)
{
	double best = -1, own = score(r, what, column);

	for (unsigned i = 0; i < COLUMNS; i++) {
		double other = score(r, what, i);

		if (other >= 0 && (best < 0 || other < best))
			best = other;
	}
	return own >= 0 && own <= best * EVEN;
}

/* The names of those that are first, joined by commas. Who does nothing isn't in it. */
static void first_of(const struct result *r, unsigned what, char *out, size_t size)
{
	out[0] = 0;
	for (unsigned i = 0; i < COLUMNS; i++) {
		if (!near_best(r, what, i))
			continue;
		snprintf(out + strlen(out), size - strlen(out), "%s%s", out[0] ? ", " : "",
			 column_name(i));
	}
}

static void print_figure(const struct figure *f, bool exact)
{
	int decimals = f->value < 10 ? 3 : f->value < 1000 ? 1 : 0;

	if (f->value < 0)
		printf(" %17s", "-");
	else if (exact)
		printf(" %11.*f      ", decimals, f->value);
	else
		printf(" %11.*f %4.*fx", decimals, f->value, f->ratio < 100 ? 1 : 0, f->ratio);
}

static void print(const struct result *r)
{
	char first[128];

	printf("\n%llu GiB, %llu tables, %llu leaves (%.1f %% of the frames)\n",
	       (unsigned long long)r->gib, (unsigned long long)r->tables,
	       (unsigned long long)r->leaves, 100.0 * r->leaves / r->frames);
	printf("%-25s", "");
	for (unsigned i = 0; i < COLUMNS; i++)
		if (column_name(i))
			printf(" %17s", column_name(i));
	printf("  first (or within 10 %%)\n");
	for (unsigned what = 0; what < WHATS; what++) {
		printf("%-25s", whats[what].label);
		for (unsigned i = 0; i < COLUMNS; i++)
			if (column_name(i))
				print_figure(&r->figures[what][i], whats[what].exact);
		first_of(r, what, first, sizeof(first));
		printf("  %s\n", first);
	}
	fflush(stdout);
}

static json_t *row(const struct result *r, unsigned what)
{
	json_t *values = json_object(), *ratios = json_object();
	char first[128];

	for (unsigned i = 0; i < COLUMNS; i++) {
		const struct figure *f = &r->figures[what][i];

		if (f->value < 0)
			continue;
		json_object_set_new(values, column_name(i), json_real(f->value));
		if (!whats[what].exact)
			json_object_set_new(ratios, column_name(i), json_real(f->ratio));
	}
	first_of(r, what, first, sizeof(first));
	return json_pack("{s:I s:I s:I s:i s:s s:s s:o s:o s:s}", "guest_gib", (json_int_t)r->gib,
			 "tables", (json_int_t)r->tables, "leaves", (json_int_t)r->leaves, "rounds",
			 (int)r->rounds, "what", whats[what].name, "unit", whats[what].unit,
			 "values", values, "ratios", ratios, "first", first);
}

static int write_json(const char *file, const struct result *results, unsigned n)
{
	json_t *rows = json_array();
	int failed;

	for (unsigned i = 0; i < n; i++)
		for (unsigned what = 0; what < WHATS; what++)
			json_array_append_new(rows, row(&results[i], what));
	failed = json_dump_file(rows, file, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	json_decref(rows);
	if (failed)
		perror(file);
	return failed;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		argp_options,
		parse,
		NULL,
		"libaliastracker beside other reverse maps: the median of some rounds, and of the "
		"ratio to libaliastracker's in the same round.\vExit status: 0; 1 if one of them gave "
		"a wrong answer, or memory or a file failed; 64 for a bad option. What the rows mean "
		"is in docs/TRACKER.md.",
		NULL,
		NULL,
		NULL};
	struct options options = {.rounds = 7};
	struct result results[SIZES];
	unsigned n = 0;

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (options.smoke)
		return smoke();
#if !__has_include(<glib.h>)
	printf("Built without GLib (libglib2.0-dev): no ghashtable.\n");
#endif
#if !__has_include(<roaring/roaring.h>)
	printf("Built without CRoaring (libroaring-dev): no croaring.\n");
#endif
	for (unsigned i = 0; i < (options.quick ? 2 : SIZES); i++) {
		if (options.size && options.size != gibs[i])
			continue;
		measure(&results[n], gibs[i], options.rounds);
		print(&results[n++]);
	}
	if (options.json && write_json(options.json, results, n))
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}
