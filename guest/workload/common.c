/* SPDX-License-Identifier: MIT */
#include "common.h"

#include "bootargs.h"
#include "console.h"
#include "flush.h"
#include "frame.h"
#include "percpu.h"
#include "smp.h"

BOOTARG(seed, "seed of the workload's random numbers, default 1");
BOOTARG(iters, "how often the workload does its work");

_Static_assert(sizeof(struct alias_guest_stats) % sizeof(uint64_t) == 0, "counters only");

struct alias_guest_stats total_stats(void)
{
	struct alias_guest_stats total = {0};
	uint64_t *sum = (uint64_t *)&total;

	for (unsigned cpu = 0; cpu < nr_cpus_online(); cpu++) {
		const struct alias_guest_stats *stats = cpu_by_id(cpu)->stats;
		uint64_t max = total.lazy_pages_max;

		for (unsigned i = 0; i < sizeof(total) / sizeof(*sum); i++)
			sum[i] += ((const uint64_t *)stats)[i];
		total.lazy_pages_max = stats->lazy_pages_max > max ? stats->lazy_pages_max : max;
	}
	return total;
}

static void print_row(const char *what, uint64_t n, const char *note)
{
	kprintf("  %-28s %10lu  %s\n", what, n, note);
}

void print_totals(const char *title)
{
	struct alias_guest_stats t = total_stats();

	kprintf("%s: totals of %u CPU%s, strategy %s\n", title, nr_cpus_online(),
		nr_cpus_online() == 1 ? "" : "s", flush_strategy()->name);
	print_row("vmap, vm_map_ram", t.vmaps, "");
	print_row("vunmap, vm_unmap_ram", t.vunmaps, "");
	print_row("pages held lazily, at most", t.lazy_pages_max, "");
	print_row("address spaces", t.address_spaces, "");
	print_row("pins", t.pins, "page tables handed to the host");
	print_row("unpins", t.unpins, "");
	if (t.memtypes)
		print_row("changes of memory type", t.memtypes, "of a frame each");
	if (t.inflates || t.deflates) {
		print_row("balloon inflates", t.inflates, "");
		print_row("balloon deflates", t.deflates, "");
	}
	print_row("calls to the host", t.pin_calls, "");
	print_row("tables recycled", t.tables_recycled, "from frames that were vmapped before");
	print_row("of them still mapped", t.tables_aliased, "when they were taken");
	print_row("upcalls", t.upcalls, "the host met an alias");
	print_row("vm_unmap_aliases", t.unmap_aliases, "");
	print_row("purges", t.purges, "that had something to flush");
	print_row("PTEs purged", t.purged_pages, "");
	print_row("TLB shootdowns", t.shootdowns, "");
	print_row("IPIs for them", t.shootdown_ipis, "");
	print_row("TLB flushes", t.local_flushes, "each CPU's own counted");
}

bool take_frames(uint64_t *pfns, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		pfns[i] = alloc_frame();
		if (pfns[i] == NO_FRAME) {
			give_frames(pfns, i);
			return false;
		}
	}
	return true;
}

void give_frames(const uint64_t *pfns, unsigned n)
{
	while (n > 0)
		free_frame(pfns[--n]);
}
