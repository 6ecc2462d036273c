/* SPDX-License-Identifier: MIT */
/*
 * A vCPU and its thread. The thread owns everything in struct vcpu but the members marked
 * otherwise; KVM ioctls on `fd` are made by that thread alone once it runs (others kick it
 * instead).
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <linux/kvm.h>

struct machine;

/* Work another thread asks of a vCPU before it enters the guest again; bits of vcpu.todo. */
enum vcpu_todo {
	VCPU_FLUSH_TLB = 1, /* flush the whole TLB (CR4.PGE toggled) */
};

/* Counted by the vCPU's own thread, read by others after it has ended (or roughly, for a look). */
struct vcpu_stats {
	uint64_t runs; /* KVM_RUN calls */
	uint64_t exits_pio, exits_mmio, exits_intr, exits_hlt, exits_other;
	uint64_t doorbells;   /* doorbell calls */
	uint64_t upcalls;     /* alias faults raised */
	uint64_t kicked;      /* times it was brought out of KVM_RUN for a pause */
	uint64_t tlb_flushes; /* flushes forced by the host */
};

struct vcpu {
	unsigned index; /* also APIC id and number of its shared page */
	int fd;
	struct kvm_run *run;
	struct machine *machine;
	pthread_t thread;
	bool started;         /* thread exists; main thread only */
	atomic_bool in_guest; /* in KVM_RUN or about to be; see world.h */
	atomic_uint todo; /* enum vcpu_todo bits: set by anyone while paused, taken by the thread */
	struct vcpu_stats stats;
	/* The doorbell's memory between an upcall and the repeated call: pin.c */
	struct {
		bool pending; /* an upcall was made and the `out` has not come again */
		uint64_t pfn; /* for this frame */
	} retry;
};

/* Creates the vCPU (fd, run page, CPUID); index 0 also gets the registers of a PVH entry, the
 * others wait for INIT/SIPI. Returns 0 or a negated errno after saying why. */
int vcpu_create(struct vcpu *vcpu, struct machine *machine, unsigned index);
int vcpu_set_entry(struct vcpu *vcpu, uint32_t rip, uint32_t start_info_gpa);
int vcpu_start(struct vcpu *vcpu);
/* Brings it out of KVM_RUN soon; any thread. It goes in again unless something tells it not to. */
void vcpu_kick(struct vcpu *vcpu);
/* Completes the I/O instruction of the current exit without running any guest code. Own thread. */
int vcpu_complete_io(struct vcpu *vcpu);
void vcpu_destroy(struct vcpu *vcpu);

#endif
