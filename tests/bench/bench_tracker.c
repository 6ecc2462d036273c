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
} whats[WHATS] = {
	[MEMORY] = {"memory", "bytes/frame", "memory, bytes a frame"},
	[MEMORY_ALL] = {"memory_with_tables", "bytes/frame", "  with copies of tables"},
	[UPDATE] = {"update", "ns", "update, ns"},
	[QUERY] = {"query", "ns", "query, ns"},
	[SYNC_SAME] = {"sync_same_tables", "ns", "sync, same 16 tables, ns"},
	[SYNC_ANY] = {"sync_any_tables", "ns", "sync, any tables, ns"},
	[SYNC_ARMED] = {"sync_armed_at_once", "ns", "sync, any, armed at once"},
	[ARMS_SAME] = {"arms_same_tables", "arms/sync", "  arms, same 16 tables"},
	[ARMS_ANY] = {"arms_any_tables", "arms/sync", "  arms, any tables"},
	[PIN] = {"pin", "ns", "sync + query, ns"},
};

struct options {
	const char *json;
	unsigned sizes;
	bool smoke;
};

enum { OPT_QUICK = 256, OPT_SMOKE, OPT_JSON };

static const struct argp_option argp_options[] = {
	{"quick", OPT_QUICK, NULL, 0, "Guests of 1 and 16 GiB only", 0},
	{"smoke", OPT_SMOKE, NULL, 0, "Only check that all give the same answers", 0},
	{"json", OPT_JSON, "FILE", 0, "Write the figures to FILE, too", 0},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case OPT_QUICK:
		options->sizes = 2;
		return 0;
	case OPT_SMOKE:
		options->smoke = true;
		return 0;
	case OPT_JSON:
		options->json = arg;
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

static bool near_best(const double *values, unsigned column)
{
	double best = -1;

	for (unsigned i = 0; i < COLUMNS; i++)
		if (values[i] >= 0 && (best < 0 || values[i] < best))
			best = values[i];
	return values[column] >= 0 && values[column] <= best * EVEN;
}

/* The names of those that are first, joined by commas. Who does nothing isn't in it. */
static void first_of(const double *values, char *out, size_t size)
{
	out[0] = 0;
	for (unsigned i = 0; i < COLUMNS; i++) {
		if (!near_best(values, i))
			continue;
		snprintf(out + strlen(out), size - strlen(out), "%s%s", out[0] ? ", " : "",
			 column_name(i));
	}
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
			printf(" %15s", column_name(i));
	printf("  first (or within 10 %%)\n");
	for (unsigned what = 0; what < WHATS; what++) {
		const double *values = r->values[what];

		printf("%-25s", whats[what].label);
		for (unsigned i = 0; i < COLUMNS; i++) {
			if (!column_name(i))
				continue;
			if (values[i] < 0)
				printf(" %15s", "-");
			else
				printf(" %15.*f",
				       values[i] < 10     ? 3
				       : values[i] < 1000 ? 1
							  : 0,
				       values[i]);
		}
		first_of(values, first, sizeof(first));
		printf("  %s\n", first);
	}
	fflush(stdout);
}

static json_t *row(const struct result *r, unsigned what)
{
	json_t *values = json_object();
	char first[128];

	for (unsigned i = 0; i < COLUMNS; i++)
		if (r->values[what][i] >= 0)
			json_object_set_new(values, column_name(i), json_real(r->values[what][i]));
	first_of(r->values[what], first, sizeof(first));
	return json_pack("{s:I s:I s:I s:s s:s s:o s:s}", "guest_gib", (json_int_t)r->gib, "tables",
			 (json_int_t)r->tables, "leaves", (json_int_t)r->leaves, "what",
			 whats[what].name, "unit", whats[what].unit, "values", values, "first",
			 first);
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
		argp_options, parse, NULL, "libaliastracker beside other reverse maps",
		NULL,         NULL,  NULL};
	struct options options = {.sizes = SIZES};
	struct result results[SIZES];

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (options.smoke)
		return smoke();
#ifndef HAVE_GLIB
	printf("Built without GLib (libglib2.0-dev): no ghashtable.\n");
#endif
#ifndef HAVE_ROARING
	printf("Built without CRoaring (libroaring-dev): no croaring.\n");
#endif
	for (unsigned i = 0; i < options.sizes; i++) {
		measure(&results[i], gibs[i]);
		print(&results[i]);
	}
	if (options.json && write_json(options.json, results, options.sizes))
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}
