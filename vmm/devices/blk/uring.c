/* SPDX-License-Identifier: MIT */
#include "devices/blk/uring.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "kvm/host.h"
#include "say.h"

static const char *name_cure(int error)
{
	switch (error) {
	case ENOSYS:
		return "; this kernel has no io_uring: it needs CONFIG_IO_URING";
	case EINVAL:
		return "; this kernel can't confine a ring: use " HOST_LINUX_FLOOR " or newer";
	case EPERM:
		return "; set sysctl kernel.io_uring_disabled=0, and in a container allow "
		       "io_uring_setup, io_uring_enter and io_uring_register";
	case ENOMEM:
		return "; raise the limit of locked memory (ulimit -l)";
	default:
		return "";
	}
}

/* liburing has functions for these two, but the shared library of version 2.3 does not export
 * them. */
static int ring_register(const struct blk_uring *uring, unsigned what, void *arg, unsigned nr)
{
	if (syscall(SYS_io_uring_register, uring->ring.ring_fd, what, arg, nr) < 0)
		return -errno;
	return 0;
}

/* Requests to a ring pass no seccomp filter, so the ring itself is restricted before it is enabled.
 * (Not to certain files: a ring releases registered files some time after the process has ended,
 * and with them the lock of the image.) */
static int restrict_ring(const struct blk_uring *uring)
{
	struct io_uring_restriction limits[] = {
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READV},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITEV},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FSYNC},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ},
	};
	int ret = ring_register(uring, IORING_REGISTER_RESTRICTIONS, limits,
				sizeof(limits) / sizeof(limits[0]));

	return ret ? ret : ring_register(uring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

int blk_uring_init(struct blk_uring *uring, int image_fd, int kick_fd)
{
	int ret;

	*uring = (struct blk_uring){.image_fd = image_fd, .kick_fd = kick_fd};
	/* There is room for twice as many completions: more than requests, flush and kick
	 * together. */
	ret = io_uring_queue_init(VIRTQUEUE_MAX_SIZE, &uring->ring, IORING_SETUP_R_DISABLED);
	if (!ret) {
		ret = restrict_ring(uring);
		if (ret)
			io_uring_queue_exit(&uring->ring);
	}
	if (ret)
		say("disks need io_uring: %s%s", strerror(-ret), name_cure(-ret));
	return ret;
}

void blk_uring_free(struct blk_uring *uring)
{
	io_uring_queue_exit(&uring->ring);
}

/* Returns NULL only if the kernel accepts nothing any more; *error says why. */
static struct io_uring_sqe *get_sqe(struct blk_uring *uring, int *error)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

	if (sqe)
		return sqe;
	*error = io_uring_submit(&uring->ring);
	if (*error >= 0)
		*error = -EAGAIN;
	return io_uring_get_sqe(&uring->ring);
}

int blk_uring_start(void *ctx, struct blk_op *op)
{
	struct blk_uring *uring = ctx;
	int error = 0;
	struct io_uring_sqe *sqe = get_sqe(uring, &error);

	if (!sqe)
		return error;
	switch (op->kind) {
	case BLK_READ:
		io_uring_prep_readv(sqe, uring->image_fd, op->iov, op->nr_iov, op->offset);
		break;
	case BLK_WRITE:
		io_uring_prep_writev2(sqe, uring->image_fd, op->iov, op->nr_iov, op->offset,
				      op->durable ? RWF_DSYNC : 0);
		break;
	case BLK_FLUSH:
		io_uring_prep_fsync(sqe, uring->image_fd, IORING_FSYNC_DATASYNC);
		break;
	}
	io_uring_sqe_set_data(sqe, op);
	return 0;
}

static int arm_kick(struct blk_uring *uring)
{
	int error = 0;
	struct io_uring_sqe *sqe;

	if (uring->kick_armed)
		return 0;
	sqe = get_sqe(uring, &error);
	if (!sqe)
		return error;
	io_uring_prep_read(sqe, uring->kick_fd, &uring->kick_value, sizeof(uring->kick_value), 0);
	io_uring_sqe_set_data(sqe, uring);
	uring->kick_armed = true;
	return 0;
}

int blk_uring_run(struct blk_uring *uring, bool block, struct blk_core *core, bool *kicked)
{
	struct io_uring_cqe *cqe;
	int ret = arm_kick(uring);

	if (ret)
		return ret;
	ret = io_uring_submit_and_wait(&uring->ring, block);
	/* EBUSY: completions are to be reaped first. */
	if (ret < 0 && ret != -EINTR && ret != -EBUSY)
		return ret;
	while (!io_uring_peek_cqe(&uring->ring, &cqe)) {
		void *data = io_uring_cqe_get_data(cqe);
		int result = cqe->res;

		io_uring_cqe_seen(&uring->ring, cqe);
		if (data != uring) {
			blk_core_done(core, data, result);
			continue;
		}
		uring->kick_armed = false;
		if (result < 0)
			return result;
		*kicked = true;
	}
	return 0;
}
