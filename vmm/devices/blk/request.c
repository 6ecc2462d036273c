/* SPDX-License-Identifier: MIT */
#include "devices/blk/request.h"

#include <errno.h>
#include <string.h>
#include "devices/blk/image.h"
#include "kvm/memory.h"
#include "kvm/write_protect.h"

/* Part of a chain's buffers. */
struct span {
	struct iovec *iov;
	unsigned nr;
};

static uint64_t span_bytes(const struct span *span)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < span->nr; i++)
		bytes += span->iov[i].iov_len;
	return bytes;
}

/* Drops the first `bytes`, at most all of the span. */
static void drop_front(struct span *span, uint64_t bytes)
{
	while (bytes > 0 && bytes >= span->iov->iov_len) {
		bytes -= span->iov->iov_len;
		span->iov++;
		span->nr--;
	}
	if (bytes > 0) {
		span->iov->iov_base = (uint8_t *)span->iov->iov_base + bytes;
		span->iov->iov_len -= bytes;
	}
}

/* A driver may split header, data and status into buffers as it likes (2.7.4), so the header may
 * lie in several. */
static bool take_header(struct span *out, struct virtio_blk_outhdr *header)
{
	uint8_t *to = (uint8_t *)header;
	size_t need = sizeof(*header);

	while (need > 0) {
		size_t len;

		if (out->nr == 0)
			return false;
		len = out->iov->iov_len < need ? out->iov->iov_len : need;
		virtqueue_read(to, out->iov->iov_base, len);
		drop_front(out, len);
		to += len;
		need -= len;
	}
	return true;
}

static uint8_t *take_status(struct span *in)
{
	struct iovec *last;

	if (in->nr == 0)
		return NULL;
	last = &in->iov[in->nr - 1];
	last->iov_len--;
	if (last->iov_len == 0)
		in->nr--;
	return (uint8_t *)last->iov_base + last->iov_len;
}

static int answer_now(struct blk_request *request, uint8_t status)
{
	request->answer = status;
	return BLK_DO_ANSWER;
}

/* The op becomes the first part of what remains, which is in these buffers. */
static void set_part(struct blk_request *request, const struct span *rest)
{
	struct blk_op *op = &request->op;
	uint64_t bytes = 0;

	op->iov = rest->iov;
	op->nr_iov = 0;
	request->nr_rest = rest->nr;
	request->part = request->left < BLK_OP_BYTES ? (uint32_t)request->left : BLK_OP_BYTES;
	while (bytes < request->part)
		bytes += op->iov[op->nr_iov++].iov_len;
	request->cut = bytes - request->part;
	if (op->nr_iov)
		op->iov[op->nr_iov - 1].iov_len -= request->cut;
}

static int decode_io(struct blk_request *request, const struct blk_disk *disk,
		     enum blk_op_kind kind, uint64_t sector, const struct span *data)
{
	uint64_t bytes = span_bytes(data);
	uint64_t sectors = bytes / BLK_SECTOR;

	if (sectors == 0 || bytes % BLK_SECTOR)
		return answer_now(request, VIRTIO_BLK_S_IOERR);
	if (sector >= disk->sectors || sectors > disk->sectors - sector)
		return answer_now(request, VIRTIO_BLK_S_IOERR);
	if (kind == BLK_WRITE && disk->readonly)
		return answer_now(request, VIRTIO_BLK_S_IOERR);
	request->op = (struct blk_op){
		.kind = kind,
		.offset = sector * BLK_SECTOR,
	};
	request->left = bytes;
	set_part(request, data);
	return BLK_DO_IO;
}

static int decode_id(struct blk_request *request, const struct blk_disk *disk,
		     const struct memory *mem, const struct span *in)
{
	for (unsigned i = 0; i < in->nr && request->in_written < sizeof(disk->id); i++) {
		size_t room = sizeof(disk->id) - request->in_written;
		size_t len = in->iov[i].iov_len < room ? in->iov[i].iov_len : room;

		memory_store(mem, in->iov[i].iov_base, disk->id + request->in_written, len);
		request->in_written += len;
	}
	return answer_now(request, VIRTIO_BLK_S_OK);
}

int blk_request_decode(struct blk_request *request, const struct blk_disk *disk,
		       const struct memory *mem)
{
	struct virtqueue_chain *chain = &request->chain;
	struct span out = {.iov = chain->iov, .nr = chain->nr_out};
	struct span in = {.iov = chain->iov + chain->nr_out, .nr = chain->nr_in};
	struct virtio_blk_outhdr header;

	request->status = take_status(&in);
	if (!request->status || !take_header(&out, &header))
		return -EINVAL;
	request->left = 0;
	request->in_bytes = (uint32_t)span_bytes(&in);
	request->in_written = 0;
	switch (header.type) {
	case VIRTIO_BLK_T_IN:
		if (out.nr)
			return answer_now(request, VIRTIO_BLK_S_IOERR);
		return decode_io(request, disk, BLK_READ, header.sector, &in);
	case VIRTIO_BLK_T_OUT:
		if (in.nr)
			return answer_now(request, VIRTIO_BLK_S_IOERR);
		return decode_io(request, disk, BLK_WRITE, header.sector, &out);
	case VIRTIO_BLK_T_FLUSH:
		if (in.nr || out.nr)
			return answer_now(request, VIRTIO_BLK_S_IOERR);
		return BLK_DO_FLUSH;
	case VIRTIO_BLK_T_GET_ID:
		if (out.nr)
			return answer_now(request, VIRTIO_BLK_S_IOERR);
		return decode_id(request, disk, mem, &in);
	default:
		return answer_now(request, VIRTIO_BLK_S_UNSUPP);
	}
}

void blk_request_advance(struct blk_request *request, uint32_t bytes)
{
	struct blk_op *op = &request->op;
	struct span rest = {.iov = op->iov, .nr = request->nr_rest};

	op->iov[op->nr_iov - 1].iov_len += request->cut;
	drop_front(&rest, bytes);
	op->offset += bytes;
	request->left -= bytes;
	set_part(request, &rest);
	if (op->kind == BLK_READ)
		request->in_written += bytes;
}
