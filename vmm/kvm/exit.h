/* SPDX-License-Identifier: MIT */
/* From what KVM_RUN left behind to what is to be done about it: pure, so tested without KVM. */
#ifndef VMM_KVM_EXIT_H
#define VMM_KVM_EXIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kvm.h>

enum exit_kind {
	EXIT_PIO,       /* do io.count accesses of io.len bytes, one after the other */
	EXIT_MMIO,      /* do one access */
	EXIT_AGAIN,     /* nothing: enter again when nobody objects */
	EXIT_SHUTDOWN,  /* triple fault, or the guest asked for reset or shutdown */
	EXIT_UNHANDLED, /* nothing we know how to go on from */
	EXIT_MALFORMED, /* the kernel's description of it makes no sense */
};

struct exit_io {
	bool write;     /* the guest writes: `out`, or a store */
	uint8_t len;    /* of one item: 1, 2, 4 or 8 bytes */
	uint32_t count; /* 1, or more for string I/O */
	uint64_t addr;  /* port or gpa */
	size_t data;    /* offset of the first item into struct kvm_run, items back to back */
};

struct exit {
	enum exit_kind kind;
	struct exit_io io; /* EXIT_PIO, EXIT_MMIO */
};

/* `size` is that of the mapping behind `run`; io.data + io.len * io.count lies within it. */
struct exit exit_decode(const struct kvm_run *run, size_t size);

/* Item `i` of an access, zero-extended; i < io.count. */
uint64_t exit_get(const struct kvm_run *run, const struct exit_io *io, uint32_t i);
void exit_put(struct kvm_run *run, const struct exit_io *io, uint32_t i, uint64_t value);

/* "KVM_EXIT_SHUTDOWN" and the like; "unknown exit" for what we have no name for. */
const char *exit_name(uint32_t reason);

#endif
