/* SPDX-License-Identifier: MIT */
#include "devices/blk/core.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include "devices/blk/image.h"
#include "kvm/write_protect.h"
#include "say.h"
#include "trace.h"

static void add_count(atomic_ullong *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

int blk_core_init(struct blk_core *core, const struct blk_disk *disk, const struct blk_io *io)
{
	*core = (struct blk_core){
		.disk = *disk,
		.io = *io,
		.requests = calloc(BLK_CORE_REQUESTS, sizeof(struct blk_request)),
		.nr_free = BLK_CORE_REQUESTS,
		.sync_op = {.kind = BLK_FLUSH},
	};
	if (!core->requests)
		return -ENOMEM;
	for (unsigned i = 0; i < BLK_CORE_REQUESTS; i++)
		core->free[i] = (uint16_t)(BLK_CORE_REQUESTS - 1 - i);
	STAILQ_INIT(&core->ready);
	STAILQ_INIT(&core->syncing);
	STAILQ_INIT(&core->waiting);
	return 0;
}

void blk_core_free(struct blk_core *core)
{
	free(core->requests);
	core->requests = NULL;
}

static void set_broken(struct blk_core *core)
{
	core->broken = true;
	add_count(&core->stats.broken, 1);
}

int blk_core_start(struct blk_core *core, const struct memory *mem,
		   const struct virtqueue_layout *layout, uint64_t features)
{
	int ret = virtqueue_init(&core->vq, mem, layout,
				 features & 1ull << VIRTIO_RING_F_INDIRECT_DESC);

	core->broken = false;
	core->stopped = false;
	core->durable = !(features & 1ull << VIRTIO_BLK_F_FLUSH);
	core->flush_failed = false;
	if (ret)
		set_broken(core);
	return ret;
}

static void answer_request(struct blk_core *core, struct blk_request *request, uint8_t status)
{
	uint32_t len = request->in_written;

	/* The driver may read the first `len` bytes of its buffers. The status is the last one, so
	 * it counts only if everything before it was written. */
	if (len == request->in_bytes)
		len++;
	memory_store(core->vq.mem, request->status, &status, sizeof(status));
	virtqueue_push(&core->vq, request->chain.head, len);
	if (status == VIRTIO_BLK_S_IOERR)
		add_count(&core->stats.io_errors, 1);
	else if (status == VIRTIO_BLK_S_UNSUPP)
		add_count(&core->stats.unsupported, 1);
	core->free[core->nr_free++] = (uint16_t)(request - core->requests);
	core->in_flight--;
}

static void tell_error(struct blk_core *core, const struct blk_op *op, int error)
{
	if (core->told)
		return;
	core->told = true;
	errno = error;
	if (op->kind == BLK_FLUSH)
		say_errno("disk %s: a flush failed and so will all others until the guest resets "
			  "the disk",
			  core->disk.name);
	else
		say_errno("disk %s: a %s at byte %llu failed and the guest was told (others will "
			  "only be counted)",
			  core->disk.name, op->kind == BLK_READ ? "read" : "write",
			  (unsigned long long)op->offset);
}

static void trace_op(struct blk_core *core, const struct blk_op *op, uint64_t started)
{
	trace_end(core->disk.track, TRACE_DISK, started, op->offset, op->kind, 0);
}

static void start_io(struct blk_core *core, struct blk_request *request)
{
	int ret = core->io.start(core->io.ctx, &request->op);

	if (ret) {
		tell_error(core, &request->op, -ret);
		answer_request(core, request, VIRTIO_BLK_S_IOERR);
		return;
	}
	core->moving += request->part;
}

static bool has_room(const struct blk_core *core, const struct blk_request *request)
{
	return core->moving + request->part <= BLK_CORE_MOVING;
}

/* A part waits its turn behind those of others. */
static void start_part(struct blk_core *core, struct blk_request *request)
{
	if (core->stopped)
		answer_request(core, request, VIRTIO_BLK_S_IOERR);
	else if (STAILQ_EMPTY(&core->ready) && has_room(core, request))
		start_io(core, request);
	else
		STAILQ_INSERT_TAIL(&core->ready, request, link);
}

static void start_ready(struct blk_core *core)
{
	struct blk_request *request;

	while ((request = STAILQ_FIRST(&core->ready)) && has_room(core, request)) {
		STAILQ_REMOVE_HEAD(&core->ready, link);
		start_io(core, request);
	}
}

static void answer_all(struct blk_core *core, struct blk_request_list *list, uint8_t status)
{
	struct blk_request *request;

	while ((request = STAILQ_FIRST(list))) {
		STAILQ_REMOVE_HEAD(list, link);
		answer_request(core, request, status);
	}
}

static void answer_syncing(struct blk_core *core, uint8_t status)
{
	struct blk_request *request;

	if (status == VIRTIO_BLK_S_OK)
		STAILQ_FOREACH (request, &core->syncing, link)
			add_count(&core->stats.flushes, 1);
	answer_all(core, &core->syncing, status);
}

static void sync_failed(struct blk_core *core, int error)
{
	core->flush_failed = true;
	tell_error(core, &core->sync_op, error);
}

/* Starts one flush for all that wait, unless one is running. */
static void start_sync(struct blk_core *core)
{
	if (!STAILQ_EMPTY(&core->syncing) || STAILQ_EMPTY(&core->waiting))
		return;
	STAILQ_CONCAT(&core->syncing, &core->waiting);
	if (!core->flush_failed) {
		int ret;

		core->sync_started = trace_now(core->disk.track);
		ret = core->io.start(core->io.ctx, &core->sync_op);

		add_count(&core->stats.syncs, 1);
		if (!ret)
			return;
		sync_failed(core, -ret);
	}
	answer_syncing(core, VIRTIO_BLK_S_IOERR);
}

static void dispatch_request(struct blk_core *core, struct blk_request *request, int action)
{
	switch (action) {
	case BLK_DO_IO:
		request->op.durable = request->op.kind == BLK_WRITE && core->durable;
		request->started = trace_now(core->disk.track);
		start_part(core, request);
		break;
	case BLK_DO_FLUSH:
		STAILQ_INSERT_TAIL(&core->waiting, request, link);
		break;
	default:
		answer_request(core, request, request->answer);
		break;
	}
}

/* Takes one request from the queue. Returns false if there is none. */
static bool take_one(struct blk_core *core)
{
	/* There is a free element: the queue gives each head once until it is pushed, and there is
	 * one element more than heads. */
	struct blk_request *request = &core->requests[core->free[core->nr_free - 1]];
	int ret = virtqueue_pop(&core->vq, &request->chain);
	int action;

	if (ret < 0)
		set_broken(core);
	if (ret <= 0)
		return false;
	core->nr_free--;
	core->in_flight++;
	add_count(&core->stats.requests, 1);
	if (core->in_flight >
	    atomic_load_explicit(&core->stats.max_in_flight, memory_order_relaxed))
		atomic_store_explicit(&core->stats.max_in_flight, core->in_flight,
				      memory_order_relaxed);
	action = blk_request_decode(request, &core->disk, core->vq.mem);
	if (action < 0) {
		snprintf(core->vq.fault, sizeof(core->vq.fault),
			 "the request of descriptor %u has no header or no room for a status",
			 request->chain.head);
		set_broken(core);
		core->free[core->nr_free++] = (uint16_t)(request - core->requests);
		core->in_flight--;
		return false;
	}
	dispatch_request(core, request, action);
	return true;
}

bool blk_core_take(struct blk_core *core)
{
	unsigned taken = 0;

	while (!core->broken && taken < core->vq.num && take_one(core))
		taken++;
	if (taken)
		add_count(&core->stats.batches, 1);
	start_sync(core);
	return taken > 0 && taken == core->vq.num;
}

void blk_core_stop(struct blk_core *core)
{
	core->stopped = true;
	answer_all(core, &core->ready, VIRTIO_BLK_S_IOERR);
	answer_all(core, &core->waiting, VIRTIO_BLK_S_IOERR);
}

static void end_part(struct blk_core *core, struct blk_request *request, int64_t result)
{
	const struct blk_op *op = &request->op;

	if (result == -EINTR) {
		start_part(core, request);
		return;
	}
	/* No bytes and no error: the image has become shorter. */
	if (result <= 0) {
		tell_error(core, op, result ? (int)-result : EIO);
		answer_request(core, request, VIRTIO_BLK_S_IOERR);
		return;
	}
	add_count(op->kind == BLK_READ ? &core->stats.bytes_read : &core->stats.bytes_written,
		  (uint64_t)result);
	if (result < request->part)
		add_count(&core->stats.continued, 1);
	blk_request_advance(request, (uint32_t)result);
	if (request->left) {
		start_part(core, request);
		return;
	}
	add_count(op->kind == BLK_READ ? &core->stats.reads : &core->stats.writes, 1);
	trace_op(core, op, request->started);
	answer_request(core, request, VIRTIO_BLK_S_OK);
}

static void io_done(struct blk_core *core, struct blk_request *request, int64_t result)
{
	core->moving -= request->part;
	end_part(core, request, result);
	start_ready(core);
}

static void sync_done(struct blk_core *core, int64_t result)
{
	if (result == -EINTR && core->stopped) {
		answer_syncing(core, VIRTIO_BLK_S_IOERR);
		return;
	}
	if (result == -EINTR) {
		result = core->io.start(core->io.ctx, &core->sync_op);
		if (result == 0)
			return;
	}
	trace_op(core, &core->sync_op, core->sync_started);
	if (result < 0)
		sync_failed(core, (int)-result);
	answer_syncing(core, result < 0 ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
	start_sync(core);
}

void blk_core_done(struct blk_core *core, struct blk_op *op, int64_t result)
{
	if (op == &core->sync_op)
		sync_done(core, result);
	else
		io_done(core,
			(struct blk_request *)((uint8_t *)op - offsetof(struct blk_request, op)),
			result);
}

bool blk_core_publish(struct blk_core *core)
{
	bool wanted = virtqueue_publish(&core->vq);

	if (wanted)
		add_count(&core->stats.interrupts, 1);
	return wanted;
}
