/* SPDX-License-Identifier: MIT */
#include "driver.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void driver_init(struct driver *driver, uint32_t num)
{
	uint8_t *base = mmap(NULL, 2 * SLOT_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(base, MAP_FAILED);
	*driver = (struct driver){
		.mem = {.nr = 2,
			.slot = {{.gpa = 0, .size = SLOT_SIZE, .hva = base},
				 {.gpa = HIGH_GPA, .size = SLOT_SIZE, .hva = base + SLOT_SIZE}}},
		.layout = {.num = num, .desc = DESC_GPA, .avail = AVAIL_GPA, .used = USED_GPA},
		.desc = (void *)(base + DESC_GPA),
		.avail = (void *)(base + AVAIL_GPA),
		.used = (void *)(base + USED_GPA),
	};
	memset(base + STATUS_GPA, NOT_ANSWERED, VIRTQUEUE_MAX_SIZE);
}

void driver_free(struct driver *driver)
{
	munmap(driver->mem.slot[0].hva, 2 * SLOT_SIZE);
}

void *driver_at(const struct driver *driver, uint64_t gpa)
{
	void *ptr = memory_ptr(&driver->mem, gpa, 1);

	ck_assert_ptr_nonnull(ptr);
	return ptr;
}

void driver_desc(struct driver *driver, unsigned i, uint64_t gpa, uint32_t len, uint16_t flags,
		 uint16_t next)
{
	driver->desc[i] =
		(struct vring_desc){.addr = gpa, .len = len, .flags = flags, .next = next};
}

void driver_offer(struct driver *driver, uint16_t head)
{
	uint16_t idx = driver->avail->idx;

	driver->avail->ring[idx % driver->layout.num] = head;
	__atomic_store_n(&driver->avail->idx, (uint16_t)(idx + 1), __ATOMIC_RELEASE);
}

static void add_data(struct vring_desc *table, uint16_t *nr, uint64_t gpa, uint32_t bytes,
		     uint16_t flags)
{
	uint32_t first = bytes >= 1024 ? 700 : bytes;

	table[*nr] = (struct vring_desc){gpa, first, flags | VRING_DESC_F_NEXT, *nr + 1};
	(*nr)++;
	if (first == bytes)
		return;
	table[*nr] =
		(struct vring_desc){gpa + first, bytes - first, flags | VRING_DESC_F_NEXT, *nr + 1};
	(*nr)++;
}

void driver_request(struct driver *driver, uint16_t id, uint32_t type, uint64_t sector,
		    uint32_t bytes)
{
	uint64_t table_gpa = INDIRECT_GPA + id * 256ull;
	struct vring_desc *table = driver_at(driver, table_gpa);
	struct virtio_blk_outhdr *header = driver_at(driver, HEADER_GPA + id * 16ull);
	uint16_t nr = 0;

	*header = (struct virtio_blk_outhdr){.type = type, .sector = sector};
	table[nr] =
		(struct vring_desc){HEADER_GPA + id * 16ull, sizeof(*header), VRING_DESC_F_NEXT, 1};
	nr++;
	if (bytes)
		add_data(table, &nr, DATA_GPA + (uint64_t)id * DATA_SIZE, bytes,
			 type == VIRTIO_BLK_T_OUT ? 0 : VRING_DESC_F_WRITE);
	table[nr] = (struct vring_desc){STATUS_GPA + id, 1, VRING_DESC_F_WRITE, 0};
	nr++;
	*(uint8_t *)driver_at(driver, STATUS_GPA + id) = NOT_ANSWERED;
	driver_desc(driver, id, table_gpa, nr * sizeof(*table), VRING_DESC_F_INDIRECT, 0);
	driver_offer(driver, id);
}

uint8_t *driver_data(const struct driver *driver, uint16_t id)
{
	return driver_at(driver, DATA_GPA + (uint64_t)id * DATA_SIZE);
}

uint8_t driver_status(const struct driver *driver, uint16_t id)
{
	return *(uint8_t *)driver_at(driver, STATUS_GPA + id);
}

unsigned driver_nr_used(const struct driver *driver)
{
	uint16_t idx = __atomic_load_n(&driver->used->idx, __ATOMIC_ACQUIRE);

	return (uint16_t)(idx - driver->seen);
}

struct vring_used_elem driver_used(struct driver *driver)
{
	ck_assert_uint_gt(driver_nr_used(driver), 0);
	return driver->used->ring[driver->seen++ % driver->layout.num];
}

static int fake_start(void *ctx, struct blk_op *op)
{
	struct fake_io *fake = ctx;

	if (fake->refuse)
		return -fake->refuse;
	ck_assert_uint_lt(fake->nr, sizeof(fake->op) / sizeof(fake->op[0]));
	fake->op[fake->nr++] = op;
	return 0;
}

struct blk_io fake_io(struct fake_io *fake)
{
	return (struct blk_io){.start = fake_start, .ctx = fake};
}
