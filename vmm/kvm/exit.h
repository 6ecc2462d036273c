/* SPDX-License-Identifier: MIT */
/* Decodes an exit from KVM_RUN. Pure functions, tested without KVM. */
#ifndef VMM_KVM_EXIT_H
#define VMM_KVM_EXIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kvm.h>

enum exit_kind {
	EXIT_PIO,       /* make io.count accesses of io.len bytes, one after the other */
	EXIT_MMIO,      /* make one access */
	EXIT_DEBUG,     /* a breakpoint, a watchpoint or a single step */
	EXIT_AGAIN,     /* nothing to do: enter the guest again */
	EXIT_SHUTDOWN,  /* triple fault, or the guest asked for reset or shutdown */
	EXIT_STUCK,     /* KVM can't run the vCPU on, because of what the guest did */
	EXIT_UNHANDLED, /* an exit that vmm does not handle */
	EXIT_MALFORMED, /* the contents of struct kvm_run make no sense */
};

struct exit_io {
	bool write;     /* an `out` or a store */
	uint8_t len;    /* size of one item: 1, 2, 4 or 8 bytes */
	uint32_t count; /* 1, or more for string I/O */
	uint64_t addr;  /* port or gpa */
	size_t data;    /* offset of the first item in struct kvm_run; the items are contiguous */
};

struct exit {
	enum exit_kind kind;
	struct exit_io io; /* EXIT_PIO, EXIT_MMIO */
};

/* Decodes the exit. `size` is the size of the mapping at `run`; io.data + io.len * io.count does
 * not exceed it. */
struct exit exit_decode(const struct kvm_run *run, size_t size);

/* Get and set item `i` of an access, i < io.count; zero-extended. */
uint64_t exit_get(const struct kvm_run *run, const struct exit_io *io, uint32_t i);
void exit_put(struct kvm_run *run, const struct exit_io *io, uint32_t i, uint64_t value);

/* "KVM_EXIT_SHUTDOWN" and the like; "unknown exit" for others. Never NULL. */
const char *exit_name(uint32_t reason);

#endif
