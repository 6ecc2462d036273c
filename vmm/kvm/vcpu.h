/* SPDX-License-Identifier: MIT */
/*
 * A vCPU and its thread. The thread owns everything in struct vcpu but the members marked
 * otherwise; KVM ioctls on `fd` are made by that thread alone once it runs (others kick it
 * instead).
 */
#ifndef VMM_KVM_VCPU_H
#define VMM_KVM_VCPU_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <linux/kvm.h>
#include "kvm/flush_clock.h"

struct vm;

#define VCPU_KICK_SIGNAL SIGUSR1 /* its handler does nothing */

/* Work another thread asks of a vCPU before it enters the guest again; bits of vcpu.todo. */
enum vcpu_todo {
	VCPU_FLUSH_TLB = 1, /* flush the whole TLB (CR4.PGE toggled) */
};

/* Counted by the vCPU's own thread, read by others after it has ended (or roughly, for a look). */
struct vcpu_stats {
	uint64_t exits_pio, exits_mmio, exits_intr, exits_other;
	uint64_t hypercalls;  /* calls of the hypercall */
	uint64_t flush_calls; /* of these, ALIAS_CALL_FLUSH */
	uint64_t upcalls;     /* alias faults raised */
	uint64_t kicked;      /* times it was brought out of KVM_RUN for a pause */
	uint64_t tlb_flushes; /* flushes forced by the host */
};

struct vcpu {
	unsigned index; /* also APIC id and number of its shared page */
	int fd;
	struct kvm_run *run;
	size_t run_size;
	struct vm *vm;
	pthread_t thread;
	bool started;         /* thread exists; main thread only */
	atomic_bool in_guest; /* in KVM_RUN or about to be; see pause.h */
	atomic_uint todo; /* enum vcpu_todo bits: set by anyone while paused, taken by the thread */
	/* Returns of KVM_RUN. Written by the own thread alone; the others look at it while it runs.
	 */
	_Atomic uint64_t runs;
	struct vcpu_stats stats;
	struct flush_stamp flushed; /* when the host last flushed its TLB */
};

/* Has KVM make it, with a run page of this size (KVM_GET_VCPU_MMAP_SIZE). `index` is set, `fd` -1.
 * Those but index 0 wait for INIT/SIPI. Returns 0, or a negated errno after saying why.
 * vcpu_destroy() after either. */
int vcpu_create(struct vcpu *vcpu, int vm_fd, size_t run_size);
/* The state of a PVH entry: 32-bit protected mode without paging, ebx = start_info. */
int vcpu_set_entry(struct vcpu *vcpu, uint32_t rip, uint32_t start_info_gpa);
/* A state to enter 64-bit mode with: flat segments, interrupts off. */
struct vcpu_entry_64 {
	uint64_t rip, rsi;
	uint64_t cr3;
	uint64_t gdt; /* selector 0x10 is code, 0x18 data */
	uint16_t gdt_limit;
};
int vcpu_set_entry_64(struct vcpu *vcpu, const struct vcpu_entry_64 *entry);
/* All of memory is write-back, as a firmware would have said by the MTRRs. */
int vcpu_set_mtrrs(struct vcpu *vcpu);
/* Starts the thread. The handler of VCPU_KICK_SIGNAL must be there, and be blocked for the
 * caller. */
int vcpu_start(struct vcpu *vcpu);
/* The thread: runs the guest until the VM stops (run.c). */
void *vcpu_thread(void *vcpu);
/* Flushes the guest's TLB of this vCPU, all of it, and stamps it. Own thread, out of the guest.
 * False after saying why. */
bool vcpu_flush_tlb(struct vcpu *vcpu);
/* The registers, on standard error. Own thread. */
void vcpu_dump(const struct vcpu *vcpu);
/* Brings it out of KVM_RUN soon; any thread. It goes in again unless something tells it not to. */
void vcpu_kick(struct vcpu *vcpu);
/* Completes the I/O instruction of the current exit without running any guest code. Own thread. */
int vcpu_complete_io(struct vcpu *vcpu);
/* Kicks until the thread has ended. The VM is stopping. Main thread. */
void vcpu_join(struct vcpu *vcpu);
void vcpu_destroy(struct vcpu *vcpu);

#endif
