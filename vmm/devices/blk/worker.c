/* SPDX-License-Identifier: MIT */
#include "devices/blk/worker.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "say.h"
#include "kvm/thread.h"

/* Address space; some 10 KiB of it are touched. */
#define STACK_SIZE (64u << 10)

void blk_worker_kick(struct blk_worker *worker)
{
	/* Fails only if the counter is full, and then a kick is pending anyway. */
	(void)TEMP_FAILURE_RETRY(eventfd_write(worker->kick_fd, 1));
}

/* The kick makes the worker look at its new queue, too: there may be requests on it. What is waited
 * for is bounded by BLK_CORE_MOVING, and one flush. */
static void set_state(struct blk_worker *worker, enum blk_worker_state want)
{
	pthread_mutex_lock(&worker->lock);
	worker->want = want;
	pthread_cond_broadcast(&worker->changed);
	blk_worker_kick(worker);
	while (worker->is != want)
		pthread_cond_wait(&worker->changed, &worker->lock);
	pthread_mutex_unlock(&worker->lock);
}

static bool is_told_to_stop(struct blk_worker *worker)
{
	bool told;

	pthread_mutex_lock(&worker->lock);
	told = worker->serving && worker->want != BLK_WORKER_RUN;
	pthread_mutex_unlock(&worker->lock);
	return told;
}

/* Carries out what the worker was told, once nothing is in flight. Returns false at the end. */
static bool settle_state(struct blk_worker *worker)
{
	bool end;

	pthread_mutex_lock(&worker->lock);
	if (worker->is != worker->want && worker->core.in_flight == 0) {
		worker->is = worker->want;
		worker->told_broken = false;
		pthread_cond_broadcast(&worker->changed);
	}
	worker->serving = worker->is == BLK_WORKER_RUN;
	worker->taking = worker->serving && worker->want == BLK_WORKER_RUN;
	end = worker->is == BLK_WORKER_EXIT;
	pthread_mutex_unlock(&worker->lock);
	return !end;
}

/* After io_uring has failed: still obeys, so that no thread waits for it for ever. */
static void obey_only(struct blk_worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	while (worker->is != BLK_WORKER_EXIT) {
		while (worker->is == worker->want)
			pthread_cond_wait(&worker->changed, &worker->lock);
		worker->is = worker->want;
		pthread_cond_broadcast(&worker->changed);
	}
	pthread_mutex_unlock(&worker->lock);
}

/* Publishes answers, and reports a broken queue. */
static void tell_guest(struct blk_worker *worker)
{
	struct blk_core *core = &worker->core;

	if (blk_core_publish(core))
		worker->ops->used(worker->ctx);
	if (core->broken && !worker->told_broken) {
		worker->told_broken = true;
		worker->ops->broken(worker->ctx, core->vq.fault);
	}
}

/* The order matters: answers are published before a stop is confirmed, and no request is taken
 * after a stop was asked for. */
static void *worker_thread(void *arg)
{
	struct blk_worker *worker = arg;
	bool more = false; /* there may be requests on the queue without another kick */

	for (;;) {
		bool kicked = more;
		int ret = blk_uring_run(&worker->uring, !more, &worker->core, &kicked);

		if (ret < 0) {
			worker->ops->failed(worker->ctx, -ret);
			obey_only(worker);
			return NULL;
		}
		if (is_told_to_stop(worker))
			blk_core_stop(&worker->core);
		if (worker->serving)
			tell_guest(worker);
		if (!settle_state(worker))
			return NULL;
		more = worker->taking && kicked && blk_core_take(&worker->core);
		if (worker->taking && kicked)
			tell_guest(worker);
	}
}

static int start_thread(struct blk_worker *worker, const struct sandbox *sandbox)
{
	struct thread_job job = {
		.sandbox = sandbox,
		.kind = SANDBOX_DISK,
		.stack = STACK_SIZE,
		.run = worker_thread,
		.arg = worker,
	};
	int ret = thread_start(&worker->thread, &job);

	return ret ? say_error(ret, "pthread_create (disk %s)", worker->core.disk.name) : 0;
}

int blk_worker_create(struct blk_worker *worker, const struct sandbox *sandbox,
		      const struct blk_image *image, const struct blk_disk *disk,
		      const struct blk_worker_ops *ops, void *ctx)
{
	struct blk_io io = {.start = blk_uring_start, .ctx = &worker->uring};
	int ret;

	*worker = (struct blk_worker){.ops = ops, .ctx = ctx};
	worker->kick_fd = eventfd(0, EFD_CLOEXEC);
	if (worker->kick_fd < 0)
		return say_errno("eventfd (disk %s)", disk->name);
	ret = blk_core_init(&worker->core, disk, &io);
	if (ret) {
		say("disk %s: no memory for its requests", disk->name);
		goto close_kick;
	}
	ret = blk_uring_init(&worker->uring, image->fd, worker->kick_fd);
	if (ret)
		goto free_core;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->changed, NULL);
	ret = start_thread(worker, sandbox);
	if (!ret)
		return 0;
	pthread_cond_destroy(&worker->changed);
	pthread_mutex_destroy(&worker->lock);
	blk_uring_free(&worker->uring);
free_core:
	blk_core_free(&worker->core);
close_kick:
	close(worker->kick_fd);
	return ret;
}

int blk_worker_start(struct blk_worker *worker, const struct memory *mem,
		     const struct virtqueue_layout *layout, uint64_t features)
{
	int ret = blk_core_start(&worker->core, mem, layout, features);

	if (!ret)
		set_state(worker, BLK_WORKER_RUN);
	return ret;
}

void blk_worker_stop(struct blk_worker *worker)
{
	set_state(worker, BLK_WORKER_IDLE);
}

void blk_worker_destroy(struct blk_worker *worker)
{
	set_state(worker, BLK_WORKER_EXIT);
	pthread_join(worker->thread, NULL);
	pthread_cond_destroy(&worker->changed);
	pthread_mutex_destroy(&worker->lock);
	blk_uring_free(&worker->uring);
	blk_core_free(&worker->core);
	close(worker->kick_fd);
}
