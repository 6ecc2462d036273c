/* SPDX-License-Identifier: MIT */
/* Rings of noise, shaped so that some of it gets far. Whatever they ask for, the device reads and
 * writes within guest memory only, answers what it took once, and ends. SEED=n repeats a run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "driver.h"
#include "suites.h"

#define ROUNDS 50000
#define SIZE   16

static struct driver drv;
static struct blk_core core;
static struct blk_op *ops[2 * VIRTQUEUE_MAX_SIZE];
static unsigned nr_ops;
static unsigned outside; /* segments that were not in guest memory */
static uint64_t state;

static uint32_t random32(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

static uint32_t below(uint32_t n)
{
	return random32() % n;
}

static bool within_slot(const struct iovec *iov)
{
	for (unsigned i = 0; i < drv.mem.nr; i++) {
		uint64_t off =
			(uint64_t)((uintptr_t)iov->iov_base - (uintptr_t)drv.mem.slot[i].hva);

		if (off < SLOT_SIZE && iov->iov_len <= SLOT_SIZE - off)
			return true;
	}
	return false;
}

static int start(void *ctx, struct blk_op *op)
{
	(void)ctx;
	if (below(50) == 0)
		return -EAGAIN;
	if (op->kind != BLK_FLUSH)
		for (unsigned i = 0; i < op->nr_iov; i++)
			outside += !within_slot(&op->iov[i]);
	ops[nr_ops++] = op;
	return 0;
}

static uint64_t random_gpa(void)
{
	static const uint64_t edges[] = {0,
					 HEADER_GPA,
					 STATUS_GPA,
					 DATA_GPA,
					 SLOT_SIZE - 600,
					 HIGH_GPA,
					 HIGH_GPA,
					 HIGH_GPA + SLOT_SIZE - 512,
					 UINT64_MAX - 100};

	return edges[below(sizeof(edges) / sizeof(edges[0]))] + below(64) * (below(8) ? 16 : 1);
}

static struct vring_desc random_desc(void)
{
	static const uint32_t lengths[] = {1, 16, 16, 512, 512, 1024, 4096, 0, 17, UINT32_MAX};
	struct vring_desc desc = {
		.addr = random_gpa(),
		.len = lengths[below(10)],
		.flags = (uint16_t)below(4), /* NEXT, WRITE */
		.next = (uint16_t)below(SIZE + (below(20) == 0)),
	};

	if (below(6) == 0) {
		desc.flags = VRING_DESC_F_INDIRECT;
		desc.addr = INDIRECT_GPA + below(4) * 256;
		desc.len = 16 * (1 + below(SIZE));
	}
	return desc;
}

/* A head that the device does not hold, as a rule. */
static uint16_t random_head(void)
{
	uint16_t head = (uint16_t)below(SIZE);

	if (below(100) == 0)
		return (uint16_t)random32();
	for (unsigned i = 0; i < SIZE && core.vq.busy[head]; i++)
		head = (head + 1) % SIZE;
	return head;
}

/* A request that is sound but for what is made of one of its descriptors now and then. */
static void random_request(void)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
					 VIRTIO_BLK_T_GET_ID, 99};
	static const uint32_t lengths[] = {512, 512, 1024, 2048, 20};
	uint16_t id = (uint16_t)below(SIZE);
	uint32_t type = types[below(5)];
	uint32_t bytes = type == VIRTIO_BLK_T_FLUSH && below(8) ? 0 : lengths[below(5)];
	struct vring_desc *table = driver_at(&drv, INDIRECT_GPA + id * 256ull);
	uint16_t head = random_head();

	driver_request(&drv, id, type, below(36), bytes);
	if (below(4) == 0)
		table[below(4)] = random_desc();
	if (head < SIZE)
		drv.desc[head] = below(20) ? drv.desc[id] : random_desc();
	drv.avail->ring[(uint16_t)(drv.avail->idx - 1) % SIZE] = head;
	if (below(500) == 0)
		drv.avail->idx = (uint16_t)random32();
}

static void end_some(bool all)
{
	while (nr_ops > 0 && (all || below(3))) {
		static const int64_t errors[] = {0, -EIO, -ENOSPC, -EINTR};
		unsigned at = below(nr_ops);
		struct blk_op *op = ops[at];
		struct blk_request *request =
			(void *)((uint8_t *)op - offsetof(struct blk_request, op));
		int64_t result = 0;

		ops[at] = ops[--nr_ops];
		if (below(6) == 0)
			result = errors[below(4)];
		else if (op->kind != BLK_FLUSH)
			result = below(4) ? (int64_t)request->left
					  : 1 + below((uint32_t)request->left);
		blk_core_done(&core, op, result);
	}
}

START_TEST(rings_of_noise)
{
	const char *given = getenv("SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
	const struct blk_disk disk = {.name = "noise", .sectors = 32};
	struct blk_io io = {.start = start};
	unsigned left_over = 0; /* requests in flight when all had ended */
	uint64_t answered;

	fprintf(stderr, "rings_of_noise: SEED=%llu\n", (unsigned long long)seed);
	state = seed * 2654435761u + 1;
	driver_init(&drv, SIZE);
	ck_assert_int_eq(blk_core_init(&core, &disk, &io), 0);
	core.told = true; /* one line for each error is none too many, for noise it is */
	for (unsigned round = 0; round < ROUNDS; round++) {
		if (round == 0 || core.broken) {
			end_some(true);
			left_over += core.in_flight;
			drv.avail->idx = 0;
			blk_core_start(&core, &drv.mem, &drv.layout,
				       1ull << VIRTIO_RING_F_INDIRECT_DESC);
		}
		for (unsigned i = below(6); i > 0; i--)
			random_request();
		blk_core_take(&core);
		end_some(false);
		blk_core_publish(&core);
	}
	end_some(true);
	left_over += core.in_flight;
	ck_assert_uint_eq(left_over, 0);
	ck_assert_uint_eq(outside, 0);
	answered = core.stats.reads + core.stats.writes + core.stats.flushes +
		   core.stats.io_errors + core.stats.unsupported;
	fprintf(stderr,
		"rings_of_noise: %llu requests, %llu broken rings, %llu reads and writes done\n",
		core.stats.requests, core.stats.broken, core.stats.reads + core.stats.writes);
	/* The noise must have got somewhere, each way. */
	ck_assert_uint_gt(core.stats.reads, 100);
	ck_assert_uint_gt(core.stats.writes, 100);
	ck_assert_uint_gt(core.stats.flushes, 100);
	ck_assert_uint_gt(core.stats.broken, 1000);
	ck_assert_uint_le(answered, core.stats.requests);
	blk_core_free(&core);
	driver_free(&drv);
}
END_TEST

TCase *random_tests(void)
{
	TCase *tests = tcase_create("random");

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, rings_of_noise);
	return tests;
}
