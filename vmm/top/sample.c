/* SPDX-License-Identifier: MIT */
#include "top/sample.h"

#include <stdio.h>

/* Where a figure is in the answer: object and member. */
struct place {
	const char *name, *object, *member;
};

static const struct place places[TOP_NR_FIGURES] = {
	[TOP_PINS] = {"pins", "pins", "pins"},
	[TOP_SYNCS] = {"syncs", "tracker", "syncs"},
	[TOP_ALIASES] = {"aliases met", "pins", "aliases_met"},
	[TOP_UPCALLS] = {"upcalls", NULL, NULL}, /* of all vCPUs */
	[TOP_PURGES] = {"purges", "guest", "purges"},
	[TOP_FLUSHES] = {"TLB flushes", "guest", "local_flushes"},
	[TOP_EXITS] = {"exits", "exits", "runs"},
	[TOP_LAZY] = {"held lazily", "guest", "lazy_pages"},
	[TOP_HOT] = {"hot tables", "tracker", "hot"},
	[TOP_COLD] = {"cold tables", "tracker", "tables"}, /* less those that are hot */
};

static const struct place vcpu_places[TOP_NR_VCPU_FIGURES] = {
	[TOP_VCPU_PORT] = {"port", NULL, "pio"},
	[TOP_VCPU_MMIO] = {"mmio", NULL, "mmio"},
	[TOP_VCPU_INTERRUPTED] = {"signal", NULL, "interrupted"},
	[TOP_VCPU_OTHER] = {"other", NULL, "other"},
	[TOP_VCPU_CALLS] = {"calls", NULL, "hypercalls"},
	[TOP_VCPU_UPCALLS] = {"upcalls", NULL, "upcalls"},
	[TOP_VCPU_KICKED] = {"kicked", NULL, "kicked"},
	[TOP_VCPU_FLUSHES] = {"flushes", NULL, "tlb_flushes"},
};

const char *top_figure_name(enum top_figure figure)
{
	return places[figure].name;
}

const char *top_vcpu_figure_name(enum top_vcpu_figure figure)
{
	return vcpu_places[figure].name;
}

/* --- is it an answer? ------------------------------------------------------------------------- */

/* Is the member of this type, or missing, which is as good for what only guests with pins have? */
static bool is_fine(const json_t *object, const char *member, json_type type, bool may_be_missing)
{
	const json_t *value = json_object_get(object, member);

	return value ? json_typeof(value) == type : may_be_missing;
}

/* Each returns the name of a member that is not as it should be, or NULL. */
static const char *find_wrong_vcpu(const json_t *vcpus)
{
	for (size_t v = 0; v < json_array_size(vcpus); v++)
		for (unsigned i = 0; i < TOP_NR_VCPU_FIGURES; i++)
			if (!json_is_object(json_array_get(vcpus, v)) ||
			    !is_fine(json_array_get(vcpus, v), vcpu_places[i].member, JSON_INTEGER,
				     true))
				return "vcpus";
	return NULL;
}

static const char *find_wrong_figure(const json_t *answer)
{
	for (unsigned i = 0; i < TOP_NR_FIGURES; i++) {
		const struct place *place = &places[i];
		bool may_be_missing = i != TOP_EXITS;

		if (!place->object)
			continue;
		if (!is_fine(answer, place->object, JSON_OBJECT, may_be_missing))
			return place->object;
		if (!is_fine(json_object_get(answer, place->object), place->member, JSON_INTEGER,
			     may_be_missing))
			return place->member;
	}
	return NULL;
}

static const char *find_wrong(const json_t *answer)
{
	const json_t *vcpus = json_object_get(answer, "vcpus"),
		     *paused = json_object_get(answer, "paused");
	const char *figure = find_wrong_figure(answer);

	if (!json_is_number(json_object_get(answer, "wall_seconds")))
		return "wall_seconds";
	if (!json_is_boolean(paused))
		return "paused";
	if (figure)
		return figure;
	if (!is_fine(json_object_get(answer, "guest"), "strategy", JSON_STRING, true))
		return "strategy";
	if (!is_fine(json_object_get(answer, "tracker"), "track", JSON_STRING, true))
		return "track";
	return json_is_array(vcpus) ? find_wrong_vcpu(vcpus) : "vcpus";
}

/* --- its figures ------------------------------------------------------------------------------ */

static uint64_t number_at(const json_t *object, const char *member)
{
	json_int_t number = json_integer_value(json_object_get(object, member));

	return number < 0 ? 0 : (uint64_t)number;
}

static void copy_text(char *to, size_t size, const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	snprintf(to, size, "%s", text ? text : "");
}

static struct top_sample read_sample(const json_t *answer)
{
	const json_t *vcpus = json_object_get(answer, "vcpus");
	struct top_sample sample = {
		.seconds = json_number_value(json_object_get(answer, "wall_seconds")),
		.paused = json_is_true(json_object_get(answer, "paused")),
	};

	for (unsigned i = 0; i < TOP_NR_FIGURES; i++)
		sample.figures[i] =
			number_at(json_object_get(answer, places[i].object), places[i].member);
	sample.figures[TOP_COLD] -= sample.figures[TOP_HOT] <= sample.figures[TOP_COLD]
					    ? sample.figures[TOP_HOT]
					    : sample.figures[TOP_COLD];
	sample.nr_vcpus = json_array_size(vcpus) < TOP_MAX_VCPUS ? (unsigned)json_array_size(vcpus)
								 : TOP_MAX_VCPUS;
	for (unsigned v = 0; v < sample.nr_vcpus; v++) {
		for (unsigned i = 0; i < TOP_NR_VCPU_FIGURES; i++)
			sample.vcpus[v][i] =
				number_at(json_array_get(vcpus, v), vcpu_places[i].member);
		sample.figures[TOP_UPCALLS] += sample.vcpus[v][TOP_VCPU_UPCALLS];
	}
	copy_text(sample.strategy, sizeof(sample.strategy), json_object_get(answer, "guest"),
		  "strategy");
	copy_text(sample.track, sizeof(sample.track), json_object_get(answer, "tracker"), "track");
	return sample;
}

/* A counter of the guest's may be anything. */
static double rate(const struct top_view *view, uint64_t now, uint64_t before)
{
	double seconds = view->now.seconds - view->before.seconds;

	return view->nr < 2 || seconds <= 0 || now < before ? 0 : (double)(now - before) / seconds;
}

double top_rate(const struct top_view *view, enum top_figure counter)
{
	return rate(view, view->now.figures[counter], view->before.figures[counter]);
}

double top_vcpu_rate(const struct top_view *view, unsigned vcpu, enum top_vcpu_figure figure)
{
	return rate(view, view->now.vcpus[vcpu][figure], view->before.vcpus[vcpu][figure]);
}

const char *top_view_add(struct top_view *view, const json_t *answer)
{
	unsigned at = view->nr % TOP_HISTORY;
	const char *wrong = find_wrong(answer);

	if (wrong)
		return wrong;
	view->before = view->now;
	view->now = read_sample(answer);
	view->nr++;
	for (unsigned i = 0; i < TOP_NR_FIGURES; i++)
		view->history[i][at] =
			i < TOP_NR_COUNTERS ? top_rate(view, i) : (double)view->now.figures[i];
	return NULL;
}
