/* SPDX-License-Identifier: MIT */
/* A guest's side of the queue, for tests: some memory and a driver that can also do it wrong. */
#ifndef TEST_DRIVER_H
#define TEST_DRIVER_H

#include <check.h>
#include <linux/virtio_blk.h>
#include "devices/blk/core.h"
#include "kvm/memory.h"
#include "devices/virtqueue.h"

/* Two slots that lie side by side in the host, but not in the guest: whoever goes over the end of
 * the first one lands in the second unless it is checked. */
#define SLOT_SIZE (2ull << 20)
#define HIGH_GPA  MEMORY_HIGH_START

#define DESC_GPA     0x1000ull
#define AVAIL_GPA    0x3000ull
#define USED_GPA     0x4000ull
#define HEADER_GPA   0x8000ull  /* 16 bytes for each request */
#define STATUS_GPA   0xa000ull  /* a byte for each */
#define INDIRECT_GPA 0x10000ull /* 256 bytes for each: a table of 16 */
#define DATA_GPA     0x20000ull /* DATA_SIZE for each */
#define DATA_SIZE    4096u

#define NOT_ANSWERED 0xee

struct driver {
	struct memory mem;
	struct virtqueue_layout layout;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t seen; /* used elements taken */
};

void driver_init(struct driver *driver, uint32_t num);
void driver_free(struct driver *driver);

void *driver_at(const struct driver *driver, uint64_t gpa);
/* Writes descriptor `i`; flags are VRING_DESC_F_*. */
void driver_desc(struct driver *driver, unsigned i, uint64_t gpa, uint32_t len, uint16_t flags,
		 uint16_t next);
/* Makes a head available. */
void driver_offer(struct driver *driver, uint16_t head);

/* Puts a request with its own header, data and status into indirect table and descriptor `id` and
 * offers it. Data of 1024 bytes or more is cut into two unequal buffers. */
void driver_request(struct driver *driver, uint16_t id, uint32_t type, uint64_t sector,
		    uint32_t bytes);
uint8_t *driver_data(const struct driver *driver, uint16_t id);
uint8_t driver_status(const struct driver *driver, uint16_t id);
/* Takes the next used element; fails the test if there is none. */
struct vring_used_elem driver_used(struct driver *driver);
unsigned driver_nr_used(const struct driver *driver);

/* Back end of the tests: keeps what was started until the test says how it ended. */
struct fake_io {
	struct blk_op *op[2 * VIRTQUEUE_MAX_SIZE];
	unsigned nr;
	int refuse; /* errno that start answers with, 0 to take ops */
};

struct blk_io fake_io(struct fake_io *fake);

#endif
