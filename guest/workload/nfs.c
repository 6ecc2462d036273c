/* SPDX-License-Identifier: MIT */
/*
 * The case for which Linux gave up lazy PTEs: NFS readdir mapped its pages by vm_map_ram(), and
 * these pages were freed and became page tables while the mapping was still there (Linux
 * 64141da58724).
 *
 * The whole disk is read, once or more often, in chunks that all CPUs share, into new frames that
 * are mapped by vm_map_ram() and checksummed through that mapping. They are unmapped, freed, and
 * become the page tables of a short-lived address space.
 */
#include <stdbool.h>

#include "aspace.h"
#include "blk.h"
#include "bootargs.h"
#include "common.h"
#include "console.h"
#include "cpu.h"
#include "crc32.h"
#include "frame.h"
#include "panic.h"
#include "percpu.h"
#include "pgtable.h"
#include "smp.h"
#include "vmap.h"
#include "worker.h"
#include "workload.h"

#define CHUNK_PAGES  16u
#define CHUNK_BYTES  (CHUNK_PAGES * PAGE_SIZE)
#define PROCESS_VA   0x400000ul
#define PROCESS_STEP (3ul << 30) /* so that each page has tables of its own */

struct share {
	uint64_t bytes; /* of the disk */
	uint64_t nr_chunks;
	uint64_t passes; /* over the disk */
	uint32_t *crcs;  /* of each chunk, written by the CPU whose it is */
	unsigned order;  /* of the block of frames that holds them */
	/* The first thing that went wrong: written once, by compare and exchange. */
	const char *wrong;
	uint64_t wrong_chunk;
};

static bool nfs_fail(struct share *share, const char *what, uint64_t chunk)
{
	const char *nothing = NULL;

	if (__atomic_compare_exchange_n(&share->wrong, &nothing, what, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		share->wrong_chunk = chunk;
	return false;
}

static uint64_t chunk_bytes(const struct share *share, uint64_t chunk)
{
	uint64_t left = share->bytes - chunk * CHUNK_BYTES;

	return left < CHUNK_BYTES ? left : CHUNK_BYTES;
}

/* Reads the chunk into the frames, and checksums it through a mapping of them. */
static bool read_chunk(struct share *share, uint64_t chunk, const uint64_t *pfns, unsigned nr_pages)
{
	uint64_t bytes = chunk_bytes(share, chunk);
	struct blk_seg segs[CHUNK_PAGES];
	void *mapped;

	for (unsigned i = 0; i < nr_pages; i++) {
		uint64_t left = bytes - i * PAGE_SIZE;

		segs[i].gpa = pfns[i] << PAGE_SHIFT;
		segs[i].len = (uint32_t)(left < PAGE_SIZE ? left : PAGE_SIZE);
	}
	if (blk_read(chunk * (CHUNK_BYTES / BLK_SECTOR), segs, nr_pages) != BLK_OK)
		return nfs_fail(share, "I/O error", chunk);
	mapped = vm_map_ram(pfns, nr_pages, PTE_KERNEL);
	if (!mapped)
		return nfs_fail(share, "the pages could not be mapped", chunk);
	share->crcs[chunk] = crc32(0, mapped, bytes);
	vm_unmap_ram(mapped, nr_pages);
	return true;
}

/* A process that touches a page or two and is gone. */
static bool nfs_run_process(struct share *share, uint64_t chunk)
{
	const struct aspace_range ranges[] = {
		{.va = PROCESS_VA, .nr_pages = 2},
		{.va = PROCESS_VA + PROCESS_STEP, .nr_pages = 1},
	};
	volatile uint64_t *page = (volatile uint64_t *)PROCESS_VA;
	struct aspace as;
	bool same;

	if (aspace_create(&as, ranges, 2))
		return nfs_fail(share, "an address space could not be made", chunk);
	aspace_enter(&as);
	*page = chunk;
	same = *(volatile uint64_t *)pfn_to_virt(aspace_frame(&as, PROCESS_VA)) == chunk;
	aspace_leave();
	if (aspace_destroy(&as))
		return nfs_fail(share, "an address space could not be taken down", chunk);
	return same || nfs_fail(share, "a process doesn't see its own page", chunk);
}

static bool do_chunk(struct share *share, uint64_t chunk)
{
	unsigned nr_pages = (unsigned)((chunk_bytes(share, chunk) + PAGE_SIZE - 1) / PAGE_SIZE);
	uint64_t pfns[CHUNK_PAGES];
	bool good;

	if (!take_frames(pfns, nr_pages))
		return nfs_fail(share, "no memory", chunk);
	good = read_chunk(share, chunk, pfns, nr_pages);
	give_frames(pfns, nr_pages);
	return good && nfs_run_process(share, chunk);
}

static void run_cpu(void *arg)
{
	struct share *share = arg;
	unsigned cpus = nr_cpus_busy();
	bool good = true;

	/* Always the same chunks on the same CPU, so that its pins are the same, too. */
	for (uint64_t pass = 0; pass < share->passes; pass++)
		for (uint64_t chunk = this_cpu()->id; good && chunk < share->nr_chunks;
		     chunk += cpus)
			good = do_chunk(share, chunk) &&
			       !__atomic_load_n(&share->wrong, __ATOMIC_RELAXED);
}

static bool take_crcs(struct share *share)
{
	uint64_t pfn;

	while (PAGE_SIZE << share->order < share->nr_chunks * sizeof(*share->crcs))
		share->order++;
	pfn = share->order <= FRAME_ORDER_MAX ? alloc_frames(share->order) : NO_FRAME;
	share->crcs = pfn_to_virt(pfn);
	return pfn != NO_FRAME;
}

static int run_nfs(void)
{
	static struct share share;
	struct table_count before;
	uint32_t crc = 0;

	if (!blk_present()) {
		kprintf("nfs: there is no disk to read\n");
		return EXIT_CHECK_FAILED;
	}
	share.bytes = blk_capacity() * BLK_SECTOR;
	share.passes = arg_u64("iters", 1);
	share.nr_chunks = (share.bytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
	if (!take_crcs(&share)) {
		kprintf("nfs: no memory for %lu checksums\n", share.nr_chunks);
		return EXIT_CHECK_FAILED;
	}
	crc32_init();
	before = workload_begin();
	smp_run_on_all(run_cpu, &share);
	if (!workload_settle())
		return EXIT_CHECK_FAILED;
	if (share.wrong) {
		kprintf("nfs: %s at byte %lu of the disk\n", share.wrong,
			share.wrong_chunk * CHUNK_BYTES);
		return EXIT_CHECK_FAILED;
	}
	for (uint64_t chunk = 0; chunk < share.nr_chunks; chunk++)
		crc = crc32_combine(crc, share.crcs[chunk], chunk_bytes(&share, chunk));
	free_frames(virt_to_pfn(share.crcs), share.order);
	workload_end("nfs", &before);
	kprintf("nfs: crc32 0x%08x over %lu bytes\n", crc, share.bytes);
	return EXIT_OK;
}

WORKLOAD(nfs, "checksum the disk through vm_map_ram, recycle the pages as page tables", run_nfs);
