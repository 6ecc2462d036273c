/* SPDX-License-Identifier: MIT */
/*
 * The virtio block device. Any number of CPUs may use it at once. The CPU that submits a request
 * waits for it, too.
 */
#ifndef BLK_H
#define BLK_H

#include <stdbool.h>
#include <stdint.h>

#define BLK_SECTOR   512u
#define BLK_SEGS_MAX 62u /* per request; the device may allow less: blk_max_segs() */
#define BLK_PENDING  UINT32_MAX

enum blk_result {
	BLK_OK = 0,
	BLK_ERROR,       /* the device reported an error */
	BLK_UNSUPPORTED, /* the device doesn't know the operation */
	BLK_INVALID,     /* out of range, read-only, no device, or bad segments */
};

enum blk_op { BLK_READ, BLK_WRITE, BLK_FLUSH };

/* A piece of guest physical memory. */
struct blk_seg {
	uint64_t gpa;
	uint32_t len; /* bytes, multiple of BLK_SECTOR */
};

struct blk_request {
	/* Set by the caller; unchanged from blk_submit() until blk_wait() returns. */
	enum blk_op op;
	uint64_t sector;
	const struct blk_seg *segs;
	unsigned nr_segs; /* 1..blk_max_segs(); 0 for BLK_FLUSH */
	/* Set by the driver. */
	uint32_t cpu;
	uint32_t result; /* enum blk_result, stored with release when the request is done,
			    BLK_PENDING before */
};

bool blk_present(void);
bool blk_read_only(void);
uint64_t blk_capacity(void); /* sectors */
unsigned blk_max_segs(void);

/* Submits the request. Waits only if all slots of the device are in use. */
void blk_submit(struct blk_request *request);
/* Waits until the request is done, halted if interrupts are on, and returns its result. Also for
 * requests that blk_submit() rejected. */
enum blk_result blk_wait(struct blk_request *request);

/* Submit a request and wait for it. BLK_FLUSH makes all writes durable that were completed
 * before. */
enum blk_result blk_read(uint64_t sector, const struct blk_seg *segs, unsigned nr_segs);
enum blk_result blk_write(uint64_t sector, const struct blk_seg *segs, unsigned nr_segs);
enum blk_result blk_flush(void);

/* Finds the first block device, if there is one. Once, at boot. */
void blk_init(void);

#endif
