/* SPDX-License-Identifier: MIT */
#include <stddef.h>

#include "percpu.h"
#include "pgtable.h"
#include "platform.h"
#include "selftest.h"
#include "small_space.h"
#include "smp.h"
#include "tlb.h"
#include "vmap.h"

/* What each CPU read at `addr`; `addr` is the boot CPU's while the others are idle. */
static struct {
	volatile uint64_t *addr;
	uint64_t seen[MAX_CPUS];
} look;

static void look_there(void *arg)
{
	(void)arg;
	look.seen[this_cpu()->id] = *look.addr;
}

static void set_frame(uint64_t pfn, uint64_t value)
{
	*(volatile uint64_t *)pfn_to_virt(pfn) = value;
}

/* All CPUs read an address; it is purged and mapped to another frame; they read again. Without a
 * shootdown the others would go on seeing the first. */
static void shoot_and_look(struct selftest_result *r)
{
	struct alias_guest_stats *stats = this_cpu()->stats;
	struct vmap_space *space = small_space(1000000);
	const uint64_t *pfns = small_pfns();
	uint64_t shootdowns = stats->shootdowns;

	EXPECT(r, space);
	set_frame(pfns[0], 0x1111);
	set_frame(pfns[1], 0x2222);
	look.addr = vmap_in(space, &pfns[0], 1, PTE_KERNEL);
	EXPECT(r, look.addr);
	smp_run_on_all(look_there, NULL);
	for (unsigned cpu = 0; cpu < nr_cpus_online(); cpu++)
		EXPECT(r, look.seen[cpu] == 0x1111);
	vunmap_in(space, (void *)look.addr);
	EXPECT(r, vm_unmap_aliases_in(space) == 1);
	EXPECT(r, stats->shootdowns == shootdowns + 1);
	EXPECT(r, vmap_in(space, &pfns[1], 1, PTE_KERNEL) == look.addr);
	smp_run_on_all(look_there, NULL);
	for (unsigned cpu = 0; cpu < nr_cpus_online(); cpu++)
		EXPECT(r, look.seen[cpu] == 0x2222);
	vunmap_in(space, (void *)look.addr);
	vm_unmap_aliases_in(space);
}

static void shoot_by(struct selftest_result *r, bool host)
{
	const struct alias_guest_stats *stats = this_cpu()->stats;
	struct alias_guest_stats before = *stats;
	bool was = tlb_shoot_by_host(host);
	uint64_t nr;

	shoot_and_look(r);
	tlb_shoot_by_host(was);
	if (r->outcome != SELFTEST_OK)
		return;
	nr = stats->shootdowns - before.shootdowns;
	EXPECT(r, stats->host_shootdowns - before.host_shootdowns == (host ? nr : 0));
	EXPECT(r, stats->shootdown_ipis - before.shootdown_ipis ==
			  (host ? 0 : nr * (nr_cpus_online() - 1)));
}

static void shootdown_reaches_all_cpus(struct selftest_result *r)
{
	if (nr_cpus_online() == 1)
		SKIP(r, "there is one CPU only");
	shoot_by(r, false);
}
SELFTEST(shootdown_reaches_all_cpus, shootdown_reaches_all_cpus);

static void shootdown_by_the_host_reaches_all_cpus(struct selftest_result *r)
{
	if (nr_cpus_online() == 1)
		SKIP(r, "there is one CPU only");
	if (!platform.has_host || !(this_cpu()->vcpu_page->features & ALIAS_FLUSHES))
		SKIP(r, "the host flushes no TLBs");
	shoot_by(r, true);
}
SELFTEST(shootdown_by_the_host_reaches_all_cpus, shootdown_by_the_host_reaches_all_cpus);

static void shoot_many(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 50; i++)
		flush_tlb_kernel_range(VMALLOC_START, VMALLOC_START + PAGE_SIZE);
}

/* Nothing to see but that it ends: CPUs that wait for each other serve each other. */
static void shootdowns_cross(struct selftest_result *r)
{
	struct alias_guest_stats *stats = this_cpu()->stats;
	uint64_t before = stats->shootdowns;

	if (nr_cpus_online() == 1)
		SKIP(r, "there is one CPU only");
	smp_run_on_all(shoot_many, NULL);
	EXPECT(r, stats->shootdowns == before + 50);
}
SELFTEST(shootdowns_cross, shootdowns_cross);

static void clock_tells_of_purges(struct selftest_result *r)
{
	const struct alias_common_page *clock = phys_to_virt(platform.shared_gpa);
	struct vmap_space *space = small_space(1000000);
	uint64_t cleared;

	if (!platform.has_host)
		SKIP(r, "there is no host to be told");
	EXPECT(r, space);
	cleared = __atomic_load_n(&clock->cleared, __ATOMIC_ACQUIRE);
	EXPECT(r, __atomic_load_n(&clock->flushed, __ATOMIC_ACQUIRE) == cleared);
	vm_unmap_aliases_in(space);
	EXPECT(r, __atomic_load_n(&clock->cleared, __ATOMIC_ACQUIRE) == cleared);
	vunmap_in(space, vmap_in(space, small_pfns(), 2, PTE_KERNEL));
	EXPECT(r, __atomic_load_n(&clock->cleared, __ATOMIC_ACQUIRE) == cleared);
	vm_unmap_aliases_in(space);
	EXPECT(r, __atomic_load_n(&clock->cleared, __ATOMIC_ACQUIRE) == cleared + 1);
	EXPECT(r, __atomic_load_n(&clock->flushed, __ATOMIC_ACQUIRE) == cleared + 1);
}
SELFTEST(clock_tells_of_purges, clock_tells_of_purges);
