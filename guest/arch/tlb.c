/* SPDX-License-Identifier: MIT */
#include "tlb.h"

#include "apic.h"
#include "cpu.h"
#include "pgtable.h"
#include "origin.h"
#include "percpu.h"
#include "platform.h"
#include "smp.h"
#include "spin_wait.h"
#include "trap.h"

#define CPUID_7_EBX_INVPCID (1u << 10)
#define INVPCID_ALL_GLOBAL  2ul

/*
 * A shootdown that a CPU asks for. It writes `start` and `end` before it sets its bit in the masks
 * of the others (release; they acquire by taking the mask). Each of the others decrements `waiting`
 * once (release) after it has flushed.
 */
static struct {
	__cacheline uint64_t start, end;
	uint32_t waiting;
} requests[MAX_CPUS];

/* Which CPUs ask this one for a flush: they set bits, and it takes all of them. */
static struct {
	__cacheline uint64_t from;
} asked[MAX_CPUS];

/* Written by tlb_init() and tlb_host_flushes(), constant afterwards. */
static bool have_invpcid, host_flushes;
static struct alias_common_page *tlb_clock;

/* Written when the strategy changes. Both values are correct at any time. */
static bool by_host;

void flush_tlb_local_full(void)
{
	static const struct {
		uint64_t pcid, va;
	} all = {0, 0};
	uint64_t flags, cr4;

	count_stat(local_flushes, 1);
	if (have_invpcid) {
		__asm__ volatile("invpcid %0, %1" : : "m"(all), "r"(INVPCID_ALL_GLOBAL) : "memory");
		return;
	}
	flags = irq_save();
	cr4 = read_cr4();
	write_cr4(cr4 & ~CR4_PGE);
	write_cr4(cr4);
	irq_restore(flags);
}

static void flush_local(uint64_t start, uint64_t end)
{
	if (end - start > TLB_FLUSH_PAGES * PAGE_SIZE) {
		flush_tlb_local_full();
		return;
	}
	count_stat(local_flushes, 1);
	for (uint64_t va = start; va < end; va += PAGE_SIZE)
		invlpg(va);
}

/* Flushes what other CPUs have asked this one for. Called by the IPI, and by CPUs that wait for a
 * shootdown of their own. */
static void shootdown_serve(void *arg)
{
	uint64_t from = __atomic_exchange_n(&asked[this_cpu()->id].from, 0, __ATOMIC_ACQUIRE);

	(void)arg;
	while (from) {
		typeof(requests[0]) *r = &requests[__builtin_ctzl(from)];

		from &= from - 1;
		flush_local(r->start, r->end);
		__atomic_fetch_sub(&r->waiting, 1, __ATOMIC_RELEASE);
	}
}

static void shootdown_ask(uint64_t start, uint64_t end)
{
	unsigned me = this_cpu()->id, online = nr_cpus_online();

	requests[me].start = start;
	requests[me].end = end;
	__atomic_store_n(&requests[me].waiting, online - 1, __ATOMIC_RELAXED);
	for (unsigned cpu = 0; cpu < online; cpu++)
		if (cpu != me)
			__atomic_fetch_or(&asked[cpu].from, 1ul << me, __ATOMIC_SEQ_CST);
	apic_send_to_others(VECTOR_FLUSH);
	count_stat(shootdowns, 1);
	count_stat(shootdown_ipis, online - 1);
}

static void shootdown_wait(void)
{
	struct spin_wait wait = spin_wait_begin();
	uint64_t since = wait.last;

	while (__atomic_load_n(&requests[this_cpu()->id].waiting, __ATOMIC_ACQUIRE)) {
		shootdown_serve(NULL);
		spin_wait_round(&wait);
	}
	count_stat(shootdown_wait, wait.last - since);
	count_stat(shootdown_spin, wait.ticks);
}

static void shootdown_by_ipi(uint64_t start, uint64_t end)
{
	shootdown_ask(start, end);
	flush_local(start, end);
	shootdown_wait();
}

/* Returns false if the host did not flush. */
static bool shootdown_by_host(void)
{
	struct alias_vcpu_page *page = this_cpu()->vcpu_page;

	if (!host_flushes || !__atomic_load_n(&by_host, __ATOMIC_RELAXED))
		return false;
	__atomic_store_n(&page->call_status, ALIAS_PENDING, __ATOMIC_RELEASE);
	outl(platform.hypercall_port, ALIAS_CALL_FLUSH);
	if (page->call_status != ALIAS_OK)
		return false;
	count_stat(shootdowns, 1);
	count_stat(host_shootdowns, 1);
	count_stat(local_flushes, nr_cpus_online());
	return true;
}

static struct tlb_flush flush_range(uint64_t start, uint64_t end)
{
	struct tlb_flush flush = {.start = rdtsc()};

	if (nr_cpus_online() == 1)
		flush_local(start, end);
	else if (!shootdown_by_host())
		shootdown_by_ipi(start, end);
	flush.end = rdtsc();
	count_stat(flush_ticks, flush.end - flush.start);
	return flush;
}

void flush_tlb_kernel_range(uint64_t start, uint64_t end)
{
	if (start < end)
		origin_note_flush(flush_range(start, end));
}

bool tlb_shoot_by_host(bool yes)
{
	return __atomic_exchange_n(&by_host, yes, __ATOMIC_RELAXED);
}

void tlb_host_flushes(void)
{
	host_flushes = true;
}

uint64_t clear_epoch_begin(void)
{
	return __atomic_add_fetch(&tlb_clock->cleared, 1, __ATOMIC_SEQ_CST);
}

struct tlb_flush flush_tlb_clear_epoch(uint64_t s, uint64_t start, uint64_t end)
{
	uint64_t seen = __atomic_load_n(&tlb_clock->flushed, __ATOMIC_RELAXED);
	struct tlb_flush flush = flush_range(start, end);

	while (seen < s && !__atomic_compare_exchange_n(&tlb_clock->flushed, &seen, s, false,
							__ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	return flush;
}

void tlb_init(void)
{
	static struct alias_common_page own_clock;

	tlb_clock = platform.has_host ? phys_to_virt(platform.shared_gpa) : &own_clock;
	have_invpcid = cpuid(0).eax >= 7 && cpuid(7).ebx & CPUID_7_EBX_INVPCID;
	register_ipi(VECTOR_FLUSH, shootdown_serve, NULL);
}
