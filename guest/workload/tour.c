/* SPDX-License-Identifier: MIT */
/*
 * Uses everything that the host offers once: address spaces on all CPUs, with upcalls; the whole
 * disk written and read, if there is one; and a key on the console ends it. For tests in which
 * something of the host fails.
 */
#include <stddef.h>
#include <string.h>

#include "blk.h"
#include "console.h"
#include "panic.h"
#include "worker.h"
#include "workload.h"

#define DEFAULT_ITERS 3u

extern const struct workload __start_workloads[], __stop_workloads[];

static int run_named(const char *name)
{
	for (const struct workload *w = __start_workloads; w < __stop_workloads; w++)
		if (!strcmp(w->name, name))
			return w->run();
	panic("tour: there is no workload %s", name);
}

static int run_tour(void)
{
	int status = run_workers("tour", &process_steps, DEFAULT_ITERS);

	if (!status && blk_present())
		status = run_named("disk");
	if (status)
		return status;
	kprintf("tour: press q\n");
	while (console_getc() != 'q')
		continue;
	kprintf("tour: all done\n");
	return EXIT_OK;
}

WORKLOAD(tour, "use all that the host offers, once; ends when q is pressed", run_tour);
