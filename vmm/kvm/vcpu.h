/* SPDX-License-Identifier: MIT */
/*
 * A vCPU and its thread. The thread owns all of struct vcpu except where noted. Once it runs, it
 * alone makes KVM ioctls on `fd`; other threads kick it.
 */
#ifndef VMM_KVM_VCPU_H
#define VMM_KVM_VCPU_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <linux/kvm.h>
#include "kvm/flush_clock.h"

struct trace_track;
struct vm;

#define VCPU_KICK_SIGNAL SIGUSR1 /* its handler does nothing */

/* What other threads ask a vCPU to do before it enters the guest again: bits of vcpu.todo. */
enum vcpu_todo {
	VCPU_FLUSH_TLB = 1, /* flush the TLB */
};

/* Counted by the vCPU's thread alone, by count_one(). Other threads may read them at any time
 * (relaxed: no order among them); together they are exact after it has ended. */
struct vcpu_stats {
	_Atomic uint64_t exits_pio, exits_mmio, exits_intr, exits_other;
	_Atomic uint64_t hypercalls;  /* all hypercalls */
	_Atomic uint64_t flush_calls; /* of these, ALIAS_CALL_FLUSH */
	_Atomic uint64_t upcalls;     /* upcalls raised */
	_Atomic uint64_t kicked;      /* times it was kicked out of KVM_RUN for a pause */
	_Atomic uint64_t tlb_flushes; /* flushes forced by the host */
};

/* One more, by the only thread that ever writes it: no locked instruction is needed. */
static inline void count_one(_Atomic uint64_t *counter)
{
	uint64_t count = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, count + 1, memory_order_relaxed);
}

struct vcpu {
	unsigned index; /* also its APIC id and the number of its shared page */
	int fd;
	struct kvm_run *run;
	size_t run_size;
	struct vm *vm;
	pthread_t thread;
	bool started;         /* the thread exists; main thread only */
	atomic_bool in_guest; /* in KVM_RUN or about to enter; see pause.h */
	atomic_uint todo;     /* enum vcpu_todo bits; set by any thread while paused, taken by the
				 vCPU's thread */
	/* Number of returns of KVM_RUN. Written by the vCPU's thread only; others may read it at
	 * any time. */
	_Atomic uint64_t runs;
	/* The thread's processor time: its clock while it runs, else 0; and what it came to in the
	 * end, written before that 0. */
	_Atomic clockid_t clock;
	_Atomic uint64_t ran_ns;
	struct vcpu_stats stats;
	struct flush_stamp flushed; /* when the host last flushed its TLB */
	struct trace_track *track;  /* NULL: no trace */
};

/* Creates the vCPU in KVM, with a run page of `run_size` bytes (KVM_GET_VCPU_MMAP_SIZE). The caller
 * has set `index`, and `fd` to -1. All but vCPU 0 wait for INIT and SIPI. Returns 0, or a negated
 * errno after a message. Call vcpu_destroy() in both cases. */
int vcpu_create(struct vcpu *vcpu, int vm_fd, size_t run_size);
/* Sets the state of a PVH entry: 32-bit protected mode without paging, ebx = start_info_gpa.
 * Returns 0, or a negated errno after a message. */
int vcpu_set_entry(struct vcpu *vcpu, uint32_t rip, uint32_t start_info_gpa);
/* A state for an entry in 64-bit mode: flat segments, interrupts off. */
struct vcpu_entry_64 {
	uint64_t rip, rsi;
	uint64_t cr3;
	uint64_t gdt; /* selector 0x10 is code, 0x18 data */
	uint16_t gdt_limit;
};
/* Sets it. Returns as above. */
int vcpu_set_entry_64(struct vcpu *vcpu, const struct vcpu_entry_64 *entry);
/* Makes all memory write-back by the MTRRs, as firmware would. Returns as above. */
int vcpu_set_mtrrs(struct vcpu *vcpu);
/* Starts the thread. The handler of VCPU_KICK_SIGNAL must be installed, and the signal blocked in
 * the caller. Returns 0, or a negated errno after a message. */
int vcpu_start(struct vcpu *vcpu);
/* The thread's function: runs the guest until the VM stops (run.c). */
void *vcpu_thread(void *vcpu);
/* How long the vCPU's thread has run so far, in processor time, most of it in the guest. Any
 * thread. */
uint64_t vcpu_ran_ns(const struct vcpu *vcpu);
/* Flushes this vCPU's TLB of all guest translations, and stamps it. Own thread, out of the guest.
 * Returns false after a message. */
bool vcpu_flush_tlb(struct vcpu *vcpu);
/* Prints the registers on standard error. Own thread. */
void vcpu_dump(const struct vcpu *vcpu);
/* Makes the vCPU leave KVM_RUN soon; it enters again unless it is paused, held, stopped by a
 * debugger, or the machine stops. Any thread. */
void vcpu_kick(struct vcpu *vcpu);
/* Goes on with the I/O instruction of the current exit without running guest code. *completed says
 * whether it is complete, or the run page has its next exit. If it is a step of a debugger's, too,
 * the exit reason is then KVM_EXIT_DEBUG. Own thread. Returns 0, or a negated errno after a
 * message.
 */
int vcpu_continue_io(struct vcpu *vcpu, bool *completed);
/* The same for one that has no other exit: that would be -EIO. */
int vcpu_complete_io(struct vcpu *vcpu);
/* Kicks the thread until it has ended; the VM is stopping. Main thread. */
void vcpu_join(struct vcpu *vcpu);
void vcpu_destroy(struct vcpu *vcpu);

#endif
