/* SPDX-License-Identifier: MIT */
/*
 * Writes sectors, several at a time, in no order, and says of each write when it is done: what is
 * said must be on the disk however the run ends. Each write has a number; a sector's first word is
 * the number of the write, its second the sector's number XOR seed, and the rest follow from these
 * two. Every so many writes all are made durable, which is said too. Goes on until iters= writes
 * are done, for ever by default.
 */
#include <blk.h>
#include <bootargs.h>
#include <console.h>
#include <frame.h>
#include <panic.h>
#include <pgtable.h>
#include <rng.h>
#include <workload.h>

#define DEPTH       8u
#define WORDS       (BLK_SECTOR / sizeof(uint64_t))
#define FLUSH_EVERY 32u

/* A write on its way; each has sectors that no other slot writes. */
struct slot {
	struct blk_request request;
	struct blk_seg seg;
	uint64_t *data;
	uint64_t number; /* 0: none */
};

static void fill_sector(uint64_t *data, uint64_t number, uint64_t sector, uint64_t seed)
{
	uint64_t second = sector ^ seed;

	data[0] = number;
	data[1] = second;
	for (unsigned i = 2; i < WORDS; i++)
		data[i] = (number ^ second) * 0x9e3779b97f4a7c15u + i;
}

static bool finish_write(struct slot *slot)
{
	if (!slot->number)
		return true;
	if (blk_wait(&slot->request) != BLK_OK) {
		kprintf("ledger: I/O error in write %lu\n", slot->number);
		return false;
	}
	kprintf("ledger: %lu in %lu\n", slot->number, slot->request.sector);
	slot->number = 0;
	return true;
}

static void start_write(struct slot *slot, uint64_t number, uint64_t sector, uint64_t seed)
{
	fill_sector(slot->data, number, sector, seed);
	slot->number = number;
	slot->request = (struct blk_request){
		.op = BLK_WRITE, .sector = sector, .segs = &slot->seg, .nr_segs = 1};
	blk_submit(&slot->request);
}

static bool make_slots(struct slot *slots)
{
	for (unsigned i = 0; i < DEPTH; i++) {
		uint64_t pfn = alloc_frame();

		if (pfn == NO_FRAME)
			return false;
		slots[i].data = pfn_to_virt(pfn);
		slots[i].seg = (struct blk_seg){.gpa = pfn << PAGE_SHIFT, .len = BLK_SECTOR};
	}
	return true;
}

static bool flush_disk(uint64_t number)
{
	if (blk_flush() != BLK_OK) {
		kprintf("ledger: I/O error in flush\n");
		return false;
	}
	kprintf("ledger: flushed, up to %lu\n", number);
	return true;
}

static int run_ledger(void)
{
	static struct slot slots[DEPTH];
	uint64_t seed = arg_u64("seed", 1), last = arg_u64("iters", UINT64_MAX);
	struct rng rng = rng_init(seed, 0);
	bool good = true;

	if (!blk_present() || blk_read_only() || blk_capacity() < DEPTH || !make_slots(slots)) {
		kprintf("ledger: there is no disk of %u sectors that can be written\n", DEPTH);
		return EXIT_CHECK_FAILED;
	}
	for (uint64_t number = 1; good && number <= last; number++) {
		struct slot *slot = &slots[number % DEPTH];

		good = finish_write(slot);
		if (good && number % FLUSH_EVERY == 0)
			good = flush_disk(number - DEPTH);
		if (good)
			start_write(slot, number,
				    number % DEPTH +
					    DEPTH * rng_below(&rng, blk_capacity() / DEPTH),
				    seed);
	}
	for (unsigned i = 0; i < DEPTH; i++)
		good = finish_write(&slots[i]) && good;
	return good && flush_disk(last) ? EXIT_OK : EXIT_CHECK_FAILED;
}

WORKLOAD(ledger, "write sectors of the disk, and say which are done", run_ledger);
