/* SPDX-License-Identifier: MIT */
/* What vmm top shows: the figures of two answers to "statistics", and their rates over time. */
#ifndef VMM_TOP_SAMPLE_H
#define VMM_TOP_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#define TOP_MAX_VCPUS 64
#define TOP_HISTORY   120 /* samples that are kept for the graphs */

/* Figures of the whole machine: counters first, of which rates are shown, then gauges. */
enum top_figure {
	TOP_PINS,
	TOP_SYNCS,
	TOP_ALIASES,
	TOP_UPCALLS,
	TOP_PURGES,
	TOP_FLUSHES,
	TOP_EXITS,
	TOP_NR_COUNTERS,
	TOP_LAZY = TOP_NR_COUNTERS,
	TOP_HOT,
	TOP_COLD,
	TOP_NR_FIGURES,
};

/* Counters of a vCPU. */
enum top_vcpu_figure {
	TOP_VCPU_PORT,
	TOP_VCPU_MMIO,
	TOP_VCPU_INTERRUPTED,
	TOP_VCPU_OTHER,
	TOP_VCPU_CALLS,
	TOP_VCPU_UPCALLS,
	TOP_VCPU_KICKED,
	TOP_VCPU_FLUSHES,
	TOP_NR_VCPU_FIGURES,
};

struct top_sample {
	double seconds; /* since the guest was started */
	uint64_t figures[TOP_NR_FIGURES];
	unsigned nr_vcpus;
	uint64_t vcpus[TOP_MAX_VCPUS][TOP_NR_VCPU_FIGURES];
	char strategy[24], track[24]; /* empty for a guest that makes no pins */
	bool paused;
};

/* Zeros are a view without samples. */
struct top_view {
	struct top_sample now, before;
	unsigned nr; /* samples taken so far */
	/* By figure: rates of counters and values of gauges, the newest at (nr - 1) %
	 * TOP_HISTORY. */
	double history[TOP_NR_FIGURES][TOP_HISTORY];
};

/* The words for figures, static strings. */
const char *top_figure_name(enum top_figure figure);
const char *top_vcpu_figure_name(enum top_vcpu_figure figure);
/* Adds an answer to "statistics", where what a guest without pins lacks is 0. Returns NULL; or, if
 * the answer is no statistics, the name of a member that is missing or of another type, a static
 * string, and the view is as before. */
const char *top_view_add(struct top_view *view, const json_t *answer);
/* Changes a second between the last two samples; 0 after the first, and for a counter that went
 * down. */
double top_rate(const struct top_view *view, enum top_figure counter);
double top_vcpu_rate(const struct top_view *view, unsigned vcpu, enum top_vcpu_figure figure);

#endif
