/* SPDX-License-Identifier: MIT */
/* What a virtio device needs from the machine. All of it outlives the device. */
#ifndef VMM_DEVICES_VIRTIO_HOST_H
#define VMM_DEVICES_VIRTIO_HOST_H

struct bus;
struct memory;
struct sandbox;
struct stop;
struct trace_track;

struct virtio_host {
	const struct memory *mem;      /* the guest memory that holds its queues */
	struct bus *mmio;              /* the bus for its registers; added before vCPUs run */
	int vm_fd;                     /* for KVM_IRQFD and KVM_IOEVENTFD */
	const struct sandbox *sandbox; /* for its thread; NULL: none */
	struct trace_track *track;     /* of a disk; NULL: no trace */
	struct stop *stop;             /* for an error after which it can't go on */
};

#endif
