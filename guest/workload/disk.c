/* SPDX-License-Identifier: MIT */
/*
 * Writes the whole disk with several requests in flight, has it made durable, and reads it back.
 * The first eight bytes of each sector are its number XOR seed, the rest follows from them.
 */
#include <blk.h>
#include <bootargs.h>
#include <console.h>
#include <frame.h>
#include <panic.h>
#include <pgtable.h>
#include <workload.h>

#define DEPTH        16u
#define PAGE_SECTORS (PAGE_SIZE / BLK_SECTOR)
#define WORDS        (BLK_SECTOR / sizeof(uint64_t))

struct chunk {
	struct blk_request request;
	struct blk_seg seg;
	uint64_t *data;
};

static uint64_t expected_word(uint64_t sector, uint64_t seed, unsigned word)
{
	return word ? (sector ^ seed) * 0x9e3779b97f4a7c15u + word : sector ^ seed;
}

static void fill_chunk(struct chunk *chunk, uint64_t seed)
{
	for (uint32_t i = 0; i < chunk->seg.len / sizeof(uint64_t); i++)
		chunk->data[i] = expected_word(chunk->request.sector + i / WORDS, seed, i % WORDS);
}

static bool is_filled(const struct chunk *chunk, uint64_t seed)
{
	for (uint32_t i = 0; i < chunk->seg.len / sizeof(uint64_t); i++)
		if (chunk->data[i] !=
		    expected_word(chunk->request.sector + i / WORDS, seed, i % WORDS))
			return false;
	return true;
}

/* Submits the chunk for `sector`, or less at the end of the disk. */
static void submit_chunk(struct chunk *chunk, enum blk_op op, uint64_t sector, uint64_t seed)
{
	uint64_t left = blk_capacity() - sector;

	chunk->seg.len = (left < PAGE_SECTORS ? left : PAGE_SECTORS) * BLK_SECTOR;
	chunk->request =
		(struct blk_request){.op = op, .sector = sector, .segs = &chunk->seg, .nr_segs = 1};
	if (op == BLK_WRITE)
		fill_chunk(chunk, seed);
	blk_submit(&chunk->request);
}

/* Returns what is wrong with it, or NULL. */
static const char *finish_chunk(struct chunk *chunk, uint64_t seed)
{
	if (blk_wait(&chunk->request) != BLK_OK)
		return "I/O error";
	if (chunk->request.op == BLK_READ && !is_filled(chunk, seed))
		return "wrong data";
	return NULL;
}

/* Goes on after an error, so that nothing is in flight when it returns; says the first. */
static bool whole_disk(struct chunk *chunks, enum blk_op op, uint64_t seed)
{
	uint64_t nr = (blk_capacity() + PAGE_SECTORS - 1) / PAGE_SECTORS;
	const char *wrong = NULL;

	for (uint64_t i = 0; i < nr + DEPTH; i++) {
		struct chunk *chunk = &chunks[i % DEPTH];

		if (i >= DEPTH && i - DEPTH < nr) {
			const char *why = finish_chunk(chunk, seed);

			if (why && !wrong)
				kprintf("disk: %s at sector %lu\n", why, chunk->request.sector);
			wrong = why ? why : wrong;
		}
		if (i < nr)
			submit_chunk(chunk, op, i * PAGE_SECTORS, seed);
	}
	return !wrong;
}

static int run_disk(void)
{
	static struct chunk chunks[DEPTH];
	uint64_t seed = arg_u64("seed", 1);

	if (!blk_present() || blk_read_only()) {
		kprintf("disk: %s\n", blk_present() ? "the disk is read only" : "there is no disk");
		return EXIT_CHECK_FAILED;
	}
	for (unsigned i = 0; i < DEPTH; i++) {
		uint64_t pfn = alloc_frame();

		if (pfn == NO_FRAME)
			return EXIT_CHECK_FAILED;
		chunks[i].data = pfn_to_virt(pfn);
		chunks[i].seg.gpa = pfn << PAGE_SHIFT;
	}
	if (!whole_disk(chunks, BLK_WRITE, seed))
		return EXIT_CHECK_FAILED;
	if (blk_flush() != BLK_OK) {
		kprintf("disk: I/O error in flush\n");
		return EXIT_CHECK_FAILED;
	}
	if (!whole_disk(chunks, BLK_READ, seed))
		return EXIT_CHECK_FAILED;
	kprintf("disk: %lu bytes written, flushed and read back\n", blk_capacity() * BLK_SECTOR);
	return EXIT_OK;
}

WORKLOAD(disk, "write the whole disk (seed=), flush, and read it back", run_disk);
