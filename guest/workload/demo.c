/* SPDX-License-Identifier: MIT */
/*
 * The life of a stale alias, step by step, for a reader who has never heard of it: a lazy unmap,
 * the frames recycled as page tables, the pin, the stale alias, the purge. The other CPUs are idle,
 * so all runs with the same strategy print the same. What is printed is checked, too.
 */
#include <stdbool.h>

#include "aspace.h"
#include "common.h"
#include "console.h"
#include "cpu.h"
#include "flush.h"
#include "frame.h"
#include "panic.h"
#include "percpu.h"
#include "pgtable.h"
#include "pin.h"
#include "platform.h"
#include "smp.h"
#include "vmap.h"
#include "workload.h"

#define NR_PAGES 4u /* of the buffer; as many as the address space has tables */
#define NR_CLEAN 3u
#define USER_VA  0x400000ul
#define MARK     0x5ca1ab1eul

/* What keeps stale aliases off page tables, and when. */
enum tale {
	UNCHECKED,
	EVERY_UNMAP, /* with a flush */
	EVERY_PTE,   /* every unmap clears its PTEs; the host flushes when it must */
	EVERY_PIN,
	KNOWN_PIN, /* a purge before the pin of a frame that is known to have been mapped */
	CACHE,     /* page tables come from a cache of frames without alias */
	HOST,
};

/* State from one step to the next. */
struct story {
	enum tale tale;
	bool checked; /* the host checks for aliases at each pin */
	uint64_t pfns[NR_PAGES];
	uint64_t clean[NR_CLEAN]; /* frames that have never been anything but tables */
	uint64_t buffer;          /* the address where pfns are, or were, mapped */
	struct aspace as;
	unsigned step;
};

static bool demo_fail(const char *what)
{
	kprintf("demo: that is not how it should be: %s\n", what);
	return false;
}

static void print_title(struct story *s, const char *what)
{
	kprintf("\n%u. %s\n", ++s->step, what);
}

/* What was counted since `before`. */
static struct alias_guest_stats stats_since(const struct alias_guest_stats *before)
{
	struct alias_guest_stats now = total_stats();

	now.upcalls -= before->upcalls;
	now.unmap_aliases -= before->unmap_aliases;
	now.purges -= before->purges;
	now.purged_pages -= before->purged_pages;
	now.local_flushes -= before->local_flushes;
	now.shootdown_ipis -= before->shootdown_ipis;
	now.pin_calls -= before->pin_calls;
	return now;
}

static void print_purge(const struct alias_guest_stats *d)
{
	kprintf("   purge: %lu page table entries cleared, %lu TLB flush%s (%lu IPI%s)\n",
		d->purged_pages, d->local_flushes, d->local_flushes == 1 ? "" : "es",
		d->shootdown_ipis, d->shootdown_ipis == 1 ? "" : "s");
}

static void print_pte(const char *what, uint64_t va)
{
	pte_t pte = lookup_leaf(kernel_root_pfn(), va, NULL);

	if (pte & PTE_P)
		kprintf("   %s: %#lx -> frame %#lx, %s\n", what, va, pte_pfn(pte),
			pte & PTE_RW ? "writable" : "read only");
	else
		kprintf("   %s: %#lx -> nothing\n", what, va);
}

static bool tell_map(struct story *s)
{
	volatile uint64_t *last;

	print_title(s, "Some scattered frames are mapped as one buffer, and written.");
	for (unsigned i = 0; i < NR_CLEAN; i++)
		s->clean[i] = alloc_table();
	if (!take_frames(s->pfns, NR_PAGES) || s->clean[NR_CLEAN - 1] == NO_FRAME)
		return demo_fail("no memory");
	s->buffer = (uint64_t)vmap(s->pfns, NR_PAGES, PTE_KERNEL);
	if (!s->buffer)
		return demo_fail("vmap failed");
	kprintf("   vmap: frames %#lx %#lx %#lx %#lx -> %#lx\n", s->pfns[0], s->pfns[1], s->pfns[2],
		s->pfns[3], s->buffer);
	last = (volatile uint64_t *)(s->buffer + (NR_PAGES - 1) * PAGE_SIZE);
	*last = MARK;
	if (*(volatile uint64_t *)pfn_to_virt(s->pfns[NR_PAGES - 1]) != MARK)
		return demo_fail("the frame doesn't hold what was written to the buffer");
	kprintf("   %#lx written at %p is in frame %#lx: the buffer is an alias of its frames\n",
		MARK, (void *)last, s->pfns[NR_PAGES - 1]);
	return true;
}

static bool tell_unmap(struct story *s)
{
	uint64_t last = s->buffer + (NR_PAGES - 1) * PAGE_SIZE;
	struct alias_guest_stats before = total_stats(), d;
	bool at_once = s->tale == EVERY_UNMAP || s->tale == EVERY_PTE;

	print_title(s,
		    at_once ? "The buffer is unmapped, at once."
			    : "The buffer is unmapped: lazily, since flushing TLBs is expensive.");
	vunmap((void *)s->buffer);
	d = stats_since(&before);
	kprintf("   vunmap(%#lx): TLB flushes %lu, IPIs %lu\n", s->buffer, d.local_flushes,
		d.shootdown_ipis);
	print_pte(at_once ? "in the page table" : "still in the page table", last);
	if (at_once) {
		kprintf("   %s\n",
			s->tale == EVERY_UNMAP
				? "No alias is left; each unmap has to flush for that."
				: "A TLB may still know it: the host will flush, if it must.");
		return (d.purges == (s->tale == EVERY_UNMAP) &&
			!lookup_leaf(kernel_root_pfn(), last, NULL)) ||
		       demo_fail("the page table entry is there");
	}
	kprintf("   The address is free, but the processor still translates it: a stale alias.\n"
		"   A later purge will clear it, together with many others.\n");
	return lookup_leaf(kernel_root_pfn(), last, NULL) & PTE_P ||
	       demo_fail("the page table entry is gone");
}

/* Creates the address space. Its four tables are the four frames of the buffer, since the frame
 * freed last is the first to be allocated again. */
static bool recycle_frames(struct story *s)
{
	const struct aspace_range range = {.va = USER_VA, .nr_pages = 2};

	give_frames(s->pfns, NR_PAGES);
	if (aspace_create(&s->as, &range, 1))
		return demo_fail("the address space could not be made");
	return s->as.root_pfn == s->pfns[0] || s->tale == CACHE ||
	       demo_fail("the frames were not recycled");
}

static bool tell_trapped(const struct story *s, const struct alias_guest_stats *d)
{
	const struct alias_fault *fault = &this_cpu()->vcpu_page->fault;
	uint64_t last = s->buffer + (NR_PAGES - 1) * PAGE_SIZE;

	if (d->upcalls != 1 || d->purges != 1)
		return demo_fail("one upcall and one purge were expected");
	if (fault->pfn != s->pfns[NR_PAGES - 1] || fault->nr != 1 || fault->va[0] != last)
		return demo_fail("the host found the alias elsewhere");
	kprintf("   The host found a stale alias of frame %#lx at %#lx, and raised an upcall.\n",
		fault->pfn, fault->va[0]);
	print_purge(d);
	kprintf("   The same pin once more: granted. The code that pins has noticed nothing.\n");
	return true;
}

static bool tell_flushed(const struct story *s, const struct alias_guest_stats *d)
{
	if (d->upcalls || d->unmap_aliases != d->pin_calls + !platform.has_host || d->purges != 1)
		return demo_fail("one purge before each pin, and no upcall, were expected");
	kprintf("   %s\n",
		s->tale == EVERY_PIN
			? "The guest knows of no alias, so it flushes to be safe, before each pin."
			: "The guest has kept a bit for each frame, and finds those of these frames set.");
	print_purge(d);
	kprintf("   Then it pinned: granted.\n");
	return true;
}

static bool tell_unpurged(const struct story *s, const struct alias_guest_stats *d)
{
	if (d->upcalls || d->purges)
		return demo_fail("no purge was expected");
	if (s->tale == CACHE)
		kprintf("   Not these frames: tables come from a list of frames without alias.\n"
			"   They were pinned as one batch.\n");
	kprintf("   %s\n",
		s->tale == UNCHECKED
			? "The pin was granted: neither guest nor host checked for aliases."
			: "There was no alias: granted.");
	return true;
}

static bool tell_pin(struct story *s)
{
	struct alias_guest_stats before = total_stats(), d;
	bool good;

	print_title(s, "The frames are freed, and become the page tables of a new address space.");
	if (!recycle_frames(s))
		return false;
	d = stats_since(&before);
	if (s->tale != CACHE)
		kprintf("   root (L4) %#lx, L3 %#lx, L2 %#lx, L1 %#lx: pinned as one batch\n",
			s->pfns[0], s->pfns[1], s->pfns[2], s->pfns[3]);
	if (s->tale == EVERY_PIN || s->tale == KNOWN_PIN)
		good = tell_flushed(s, &d);
	else if (s->tale == HOST)
		good = tell_trapped(s, &d);
	else
		good = tell_unpurged(s, &d);
	print_pte("now", s->buffer + (NR_PAGES - 1) * PAGE_SIZE);
	return good;
}

static bool tell_run(struct story *s)
{
	volatile uint64_t *user = (volatile uint64_t *)USER_VA;
	uint64_t seen;

	print_title(s, "The address space runs.");
	aspace_enter(&s->as);
	*user = MARK;
	seen = *(volatile uint64_t *)pfn_to_virt(aspace_frame(&s->as, USER_VA));
	aspace_leave();
	if (seen != MARK)
		return demo_fail("the process doesn't see its own page");
	kprintf("   %#lx written at user address %#lx is in frame %#lx\n", MARK, USER_VA,
		aspace_frame(&s->as, USER_VA));
	return true;
}

/* The stale address of the buffer gives access to a page table. */
static bool tell_danger(struct story *s)
{
	volatile pte_t *stale = (volatile pte_t *)(s->buffer + (NR_PAGES - 1) * PAGE_SIZE);
	volatile uint64_t *user = (volatile uint64_t *)USER_VA;
	uint64_t first = aspace_frame(&s->as, USER_VA);
	uint64_t second = aspace_frame(&s->as, USER_VA + PAGE_SIZE);
	uint64_t before, after, repaired;
	pte_t entry;

	print_title(s, "The danger: a bug writes to the buffer once more.");
	aspace_enter(&s->as);
	user[0] = MARK;
	user[PAGE_SIZE / sizeof(*user)] = ~MARK;
	before = user[0];
	entry = stale[0]; /* entry 0 of the L1 table, which maps USER_VA */
	stale[0] = make_pte(second, PTE_USER);
	invlpg(USER_VA); /* sooner or later the processor walks the table again */
	after = user[0];
	stale[0] = entry;
	invlpg(USER_VA);
	repaired = user[0];
	aspace_leave();
	if (pte_pfn(entry) != first || before != MARK || after != ~MARK || repaired != MARK)
		return demo_fail("the stale alias doesn't reach the page table");
	kprintf("   one store to %p, unmapped in step 2, and user address %#lx,\n"
		"   which was frame %#lx and read %#lx, is frame %#lx and reads %#lx:\n"
		"   a page table in use has changed. (It is repaired now.)\n",
		(void *)stale, USER_VA, first, before, second, after);
	vm_unmap_aliases();
	return true;
}

/* Pins a table that has never had an alias, while other pages are lazy. */
static bool tell_clean(struct story *s)
{
	struct alias_guest_stats before = total_stats(), d;

	print_title(s,
		    "Frames without an alias are pinned, while some other buffer is held lazily.");
	for (unsigned i = 0; i < NR_CLEAN; i++) {
		uint64_t pfn = alloc_frame();
		void *other = pfn == NO_FRAME ? NULL : vmap(&pfn, 1, PTE_KERNEL);

		if (!other)
			return demo_fail("no memory");
		vunmap(other);
		if (pin_table(s->clean[i], 1))
			return demo_fail("a clean frame was refused");
	}
	d = stats_since(&before);
	kprintf("   %u pins: %lu upcalls, %lu purges, %lu TLB flushes, %lu IPIs\n", NR_CLEAN,
		d.upcalls, d.purges, d.local_flushes, d.shootdown_ipis);
	if (s->tale == EVERY_PIN || s->tale == EVERY_UNMAP) {
		kprintf("   A flush at every %s, for nothing: upcalls avoid that.\n",
			s->tale == EVERY_PIN ? "pin" : "unmap");
		return d.purges == NR_CLEAN || demo_fail("as many purges were expected");
	}
	kprintf("   %s\n", s->checked ? "The host checked and found no alias: no flush was needed."
				      : "The host did not check, and no flush was made.");
	return (!d.purges && !d.upcalls) || demo_fail("there was nothing to purge");
}

/* The guest's own bug: no purge helps, so the host must refuse. */
static bool tell_live(struct story *s)
{
	uint64_t pfn = alloc_table();
	struct pin_req req = {.pfn = pfn, .level = 1, .op = PIN_OP_PIN};
	void *alias = pfn == NO_FRAME ? NULL : vmap(&pfn, 1, PTE_KERNEL);
	struct pin_refusal why;
	bool refused;

	print_title(s, "A bug: a frame is pinned while its buffer is still in use.");
	if (!alias)
		return demo_fail("no memory");
	refused = pin_batch_try(&req, 1, &why);
	kprintf("   frame %#lx, mapped at %p: %s\n", pfn, alias,
		refused ? "refused" : "pinned, since the host did not check");
	if (!s->checked)
		return !refused || demo_fail("a pin was refused although the host does not check");
	if (!refused || why.status != ALIAS_HAS_ALIAS || why.fault.va[0] != (uint64_t)alias)
		return demo_fail("a refusal with that address was expected");
	kprintf("   The host says why: it %s at %#lx, and no purge has made it go away.\n",
		pin_status_name(why.status), why.fault.va[0]);
	return true;
}

static bool tell_all(struct story *s)
{
	return tell_map(s) && tell_unmap(s) && tell_pin(s) && tell_run(s) &&
	       (s->tale != UNCHECKED || tell_danger(s)) && tell_clean(s) && tell_live(s) &&
	       (!aspace_destroy(&s->as) || demo_fail("the address space stays"));
}

static enum tale tale_of(const struct flush_ops *ops)
{
	switch (ops->number) {
	case ALIAS_FLUSH_LEGACY:
	case ALIAS_FLUSH_NOLAZY:
		return EVERY_UNMAP;
	case ALIAS_FLUSH_EAGER_PTE:
		return EVERY_PTE;
	case ALIAS_FLUSH_EAGER:
		return EVERY_PIN;
	case ALIAS_FLUSH_PAGE_BIT:
		return KNOWN_PIN;
	case ALIAS_FLUSH_QUICKLIST:
		return CACHE;
	default:
		return ops->on_alias && platform.has_host ? HOST : UNCHECKED;
	}
}

static int run_demo(void)
{
	struct story s = {
		.tale = tale_of(flush_strategy()),
		.checked = platform.has_host && flush_strategy()->number != ALIAS_FLUSH_NONE,
	};
	bool good;

	kprintf("demo: how a frame with a forgotten mapping becomes a page table.\n"
		"demo: %u CPU%s; strategy %s: %s%s.\n",
		nr_cpus_online(), nr_cpus_online() == 1 ? "" : "s", flush_strategy()->name,
		flush_strategy()->help, platform.has_host ? "" : "; no host checks");
	good = tell_all(&s);
	kprintf("\n");
	print_totals("demo");
	kprintf("demo: other strategies tell it otherwise: none, legacy, eager, nolazy, eager-pte,\n"
		"demo: quicklist, page-bit, trap, trap-range\n");
	return good ? EXIT_OK : EXIT_CHECK_FAILED;
}

WORKLOAD(demo, "the story of a stale alias, step by step", run_demo);
