/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include "top/show.h"

#define LINES_PER_HEADING 20

static void print_headings(void)
{
	char heading[32];

	printf("%9s", "seconds");
	for (unsigned i = 0; i < TOP_NR_FIGURES; i++) {
		snprintf(heading, sizeof(heading), "%s%s", top_figure_name(i),
			 i < TOP_NR_COUNTERS ? "/s" : "");
		printf(" %13s", heading);
	}
	printf("  strategy    track\n");
}

void line_print(const struct top_view *view)
{
	const struct top_sample *now = &view->now;

	if (view->nr % LINES_PER_HEADING == 1)
		print_headings();
	printf("%9.3f", now->seconds);
	for (unsigned i = 0; i < TOP_NR_COUNTERS; i++)
		printf(" %13.1f", top_rate(view, i));
	for (unsigned i = TOP_NR_COUNTERS; i < TOP_NR_FIGURES; i++)
		printf(" %13llu", (unsigned long long)now->figures[i]);
	printf("  %-11s %s%s\n", *now->strategy ? now->strategy : "-",
	       *now->track ? now->track : "-", now->paused ? " (paused)" : "");
}
