/* SPDX-License-Identifier: MIT */
/*
 * A disk of the guest: a virtio 1.x block device on virtio-mmio. This file joins the parts with
 * KVM:
 *
 *   virtio_mmio   registers, status, negotiation, interrupt status    vCPU threads
 *   virtqueue     the rings in guest memory                           the disk's thread
 *   blk_request   decoding and checking of one request                the disk's thread
 *   blk_core      requests in flight, flushes, answers                the disk's thread
 *   blk_uring     the I/O                                             the disk's thread
 *   blk_worker    the disk's thread                                   both
 *   blk_image     the file or block device                            main thread
 *
 * QueueNotify is an ioeventfd that the disk's thread waits for in its ring, so for a kick the vCPU
 * does not leave the kernel. Interrupts are made by an irqfd.
 */
#ifndef VMM_DEVICES_BLK_VIRTIO_BLK_H
#define VMM_DEVICES_BLK_VIRTIO_BLK_H

#include <stdint.h>
#include <jansson.h>
#include "options.h"

struct virtio_blk;
struct virtio_host;

/* Creates disk number `index`: opens and locks the image, starts the disk's thread, and adds the
 * registers (VIRTIO_MMIO_REGION_SIZE bytes) at `mmio_base` to the MMIO bus. `gsi` is an
 * edge-triggered pin of the IOAPIC. The disk's id is "disk<index>". `disk` and all that `host`
 * names must outlive the device. Returns 0, or a negated errno after a message. */
int virtio_blk_create(const struct virtio_host *host, unsigned index,
		      const struct disk_option *disk, uint64_t mmio_base, unsigned gsi,
		      struct virtio_blk **out);

/* Leaves off what is not done yet, and waits until nothing is in flight: from now on the disk does
 * not touch the guest's memory. After the vCPUs have ended. */
void virtio_blk_stop(struct virtio_blk *blk);
/* Waits until everything written is on the medium. After virtio_blk_stop(). Returns 0, or a negated
 * errno after a message. */
int virtio_blk_sync(struct virtio_blk *blk);
/* Stops it, and ends the thread. After the vCPUs have ended. `blk` may be
 * NULL. */
void virtio_blk_destroy(struct virtio_blk *blk);

/* Adds the disk's statistics to `object`. Any thread, before virtio_blk_destroy(). */
void virtio_blk_stats(struct virtio_blk *blk, json_t *object);

#endif
