/* SPDX-License-Identifier: MIT */
/* A VM: memory, vCPUs, and what they share. It does not know which devices there are. */
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

/* Handlers of a vCPU's accesses to I/O ports and to addresses outside of memory. Called on its own
 * thread, out of the guest. */
struct io_ops {
	void (*pio)(void *ctx, struct vcpu *vcpu, const struct exit_io *io);
	void (*mmio)(void *ctx, struct vcpu *vcpu, const struct exit_io *io);
};

/* What came of an exit that a store to a write-protected frame can cause. */
enum store_exit {
	STORE_EXIT_DONE, /* such a store: the vCPU goes on, or the machine has been asked to stop */
	STORE_EXIT_OTHER, /* another cause: nothing has been done */
};

/* Handlers of such exits. Called on the vCPU's own thread, out of the guest. */
struct store_ops {
	/* KVM_RUN failed with EFAULT. */
	enum store_exit (*stopped)(void *ctx, struct vcpu *vcpu);
	/* KVM could not emulate an instruction. */
	enum store_exit (*failed)(void *ctx, struct vcpu *vcpu);
	/* KVM has emulated a store to an address without a device. */
	enum store_exit (*emulated)(void *ctx, struct vcpu *vcpu, const struct exit_io *io);
};

/* Where there is a debugger. The vCPU's own thread. */
struct debug_ops {
	/* Is this exit a breakpoint or a step, and nobody else's? Called while the vCPU still
	 * counts as in the guest: once all vCPUs are stopped, the debugger knows what each has met,
	 * and no breakpoint has changed meanwhile. Only of a step that an exit's handler completes
	 * it is asked after that, out of the guest, when the vCPU may be stopped already. */
	bool (*exit)(void *ctx, struct vcpu *vcpu);
	/* Clears a trap flag that an earlier step of the debugger's has left; `now`: the registers
	 * of the vCPU. Returns false if there is none. */
	bool (*clear_left_over)(void *ctx, struct vcpu *vcpu, const struct kvm_regs *now);
};

struct vm {
	int fd; /* from KVM_CREATE_VM; -1 before */
	struct memory mem;
	unsigned nr_vcpus;
	struct vcpu *vcpus;
	struct vcpu_pause pause;
	struct flush_clock flush_clock;
	/* Set before a vCPU runs; not owned: */
	struct stop *stop;
	const struct sandbox *sandbox; /* for the vCPUs' threads; NULL: none */
	const struct io_ops *io_ops;
	void *io;
	const struct store_ops *store_ops; /* NULL: no frame is write-protected */
	void *stores;
	const struct debug_ops *debug_ops; /* NULL: there is no debugger */
	void *debugger;
};

/* Initialises a VM without memory, with `nr` vCPUs, none of which KVM knows yet. Returns 0, or
 * -ENOMEM after a message. Call vm_free() in both cases. */
int vm_init(struct vm *vm, unsigned nr, struct stop *stop);
/* Creates the VM in KVM, with its memory, interrupt controllers and vCPUs. `kvm_fd` is /dev/kvm.
 * Returns 0, or a negated errno after a message. */
int vm_create(struct vm *vm, int kvm_fd);
/* After the vCPUs have ended. */
void vm_free(struct vm *vm);

#endif
