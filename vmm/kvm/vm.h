/* SPDX-License-Identifier: MIT */
/* A VM of KVM: memory, vCPUs, and what they share. What lies on its buses it does not know. */
#ifndef VMM_KVM_VM_H
#define VMM_KVM_VM_H

#include <stdbool.h>
#include "kvm/exit.h"
#include "kvm/flush_clock.h"
#include "kvm/memory.h"
#include "kvm/pause.h"
#include "kvm/vcpu.h"

struct sandbox;
struct stop;

/* What is made of a vCPU's accesses to ports and to addresses that are no memory: by its own
 * thread, out of the guest. */
struct io_ops {
	void (*pio)(void *ctx, struct vcpu *vcpu, const struct exit_io *io);
	void (*mmio)(void *ctx, struct vcpu *vcpu, const struct exit_io *io);
};

/* Where frames are write-protected: what is made of the exits that a store to one can come as; by
 * the vCPU's own thread, out of the guest. Each returns false, and has done nothing, if it is no
 * such exit. */
struct store_ops {
	bool (*stopped)(void *ctx, struct vcpu *vcpu); /* KVM_RUN has failed with EFAULT */
	bool (*failed)(void *ctx, struct vcpu *vcpu);  /* KVM could not emulate an instruction */
	/* A store that KVM has emulated went to no device. */
	bool (*emulated)(void *ctx, struct vcpu *vcpu, const struct exit_io *io);
};

struct vm {
	int fd; /* KVM_CREATE_VM; -1: none yet */
	struct memory mem;
	unsigned nr_vcpus;
	struct vcpu *vcpus;
	struct vcpu_pause pause;
	struct flush_clock flush_clock;
	/* Set before a vCPU runs, and not owned: */
	struct stop *stop;
	const struct sandbox *sandbox; /* of the vCPUs' threads; NULL: none */
	const struct io_ops *io_ops;
	void *io;
	const struct store_ops *store_ops; /* NULL: no frame is write-protected */
	void *stores;
};

/* A VM without memory, with `nr` vCPUs that KVM knows nothing of. Returns 0, or -ENOMEM after
 * saying so. vm_free() after either. */
int vm_init(struct vm *vm, unsigned nr, struct stop *stop);
/* Has KVM make it, with its memory, interrupt controllers and vCPUs. `kvm_fd` is /dev/kvm. Returns
 * 0, or a negated errno after saying why. */
int vm_create(struct vm *vm, int kvm_fd);
/* The vCPUs have ended. */
void vm_free(struct vm *vm);

#endif
