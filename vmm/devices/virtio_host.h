/* SPDX-License-Identifier: MIT */
/* What a virtio device needs of its machine, all of which outlives it. */
#ifndef VMM_DEVICES_VIRTIO_HOST_H
#define VMM_DEVICES_VIRTIO_HOST_H

struct bus;
struct memory;
struct sandbox;
struct stop;

struct virtio_host {
	const struct memory *mem;      /* where its queues lie */
	struct bus *mmio;              /* where its registers go; before vCPUs run */
	int vm_fd;                     /* for KVM_IRQFD and KVM_IOEVENTFD */
	const struct sandbox *sandbox; /* of its thread; NULL: none */
	struct stop *stop;             /* when it can't go on */
};

#endif
