/* SPDX-License-Identifier: MIT */
/*
 * The virtio block device. Any number of CPUs may use it at once; each request is handed over and
 * waited for by the same CPU.
 */
#ifndef BLK_H
#define BLK_H

#include <stdbool.h>
#include <stdint.h>

#define BLK_SECTOR   512u
#define BLK_SEGS_MAX 62u /* of a request; a device may allow less: blk_max_segs() */
#define BLK_PENDING  UINT32_MAX

enum blk_result {
	BLK_OK = 0,
	BLK_ERROR,       /* the device said so */
	BLK_UNSUPPORTED, /* the device doesn't know the operation */
	BLK_INVALID, /* not in the device, read only, no device, or segments that make no sense */
};

enum blk_op { BLK_READ, BLK_WRITE, BLK_FLUSH };

/* A piece of memory that is contiguous in guest physical memory. */
struct blk_seg {
	uint64_t gpa;
	uint32_t len; /* bytes, multiple of BLK_SECTOR */
};

struct blk_request {
	/* The caller's, unchanged from blk_submit() until blk_wait() has returned. */
	enum blk_op op;
	uint64_t sector;
	const struct blk_seg *segs;
	unsigned nr_segs; /* 1..blk_max_segs(); 0 for BLK_FLUSH */
	/* The driver's. */
	uint32_t cpu;
	uint32_t
		result; /* enum blk_result, stored with release when done; until then BLK_PENDING */
};

bool blk_present(void);
bool blk_read_only(void);
uint64_t blk_capacity(void); /* sectors */
unsigned blk_max_segs(void);

/* Hands the request to the device; waits only if all its slots are taken. */
void blk_submit(struct blk_request *request);
/* Waits for it, halted if interrupts are on. Also for requests that were refused at once. */
enum blk_result blk_wait(struct blk_request *request);

/* Submit and wait. BLK_FLUSH makes all completed writes durable. */
enum blk_result blk_read(uint64_t sector, const struct blk_seg *segs, unsigned nr_segs);
enum blk_result blk_write(uint64_t sector, const struct blk_seg *segs, unsigned nr_segs);
enum blk_result blk_flush(void);

/* Boot: looks for the first block device; having none is no error. */
void blk_init(void);

#endif
