/* SPDX-License-Identifier: MIT */
/*
 * The guest as a debugger sees it: memory by virtual address, registers, breakpoints. All of it is
 * called by the main thread while the vCPUs concerned are stopped, but for the look-up that a
 * vCPU's own thread makes when it meets a breakpoint: the table changes only while all vCPUs are
 * stopped.
 *
 * A software breakpoint is an INT3 where KVM exits for one. Emulated SVM does not (QEMU does not
 * intercept the exception of INT3, nor does it load debug registers with a guest): there it is an
 * `out` to a port of ours, which exits on every KVM, in two bytes, for kernel code alone; and there
 * are no hardware breakpoints.
 */
#ifndef VMM_GDB_TARGET_H
#define VMM_GDB_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "boot/image.h"
#include "gdb/registers.h"

#define GDB_MAX_SOFTWARE   256 /* breakpoints */
#define GDB_MAX_HARDWARE   4   /* and watchpoints */
#define GDB_BREAK_PORT     0xccu
#define GDB_BREAK_BYTES    2 /* of code at most that a breakpoint replaces */
#define GDB_EXCEPTION_INT3 3

struct vm;

/* As the protocol's packets Z and z number them. */
enum gdb_break { GDB_SOFTWARE, GDB_HARDWARE, GDB_WATCH_WRITE, GDB_WATCH_READ, GDB_WATCH_ACCESS };

struct gdb_target {
	struct vm *vm;
	/* Where the image's program headers put it: while a vCPU has not set up paging, that is
	 * where its symbols are. */
	unsigned nr_segments;
	struct image_segment segment[IMAGE_MAX_SEGMENTS];
	bool int3;     /* KVM exits for INT3 */
	bool hardware; /* debug registers work */
	unsigned nr_software;
	struct gdb_software {
		uint64_t va, gpa;
		size_t len;                    /* of what was replaced */
		uint8_t code[GDB_BREAK_BYTES]; /* it */
	} software[GDB_MAX_SOFTWARE];
	struct gdb_hardware {
		bool used;
		enum gdb_break kind;
		uint64_t va;
		uint8_t len;
	} hardware_slot[GDB_MAX_HARDWARE];
};

/* Finds out by a probe VM what breakpoints KVM of this host has; `kvm_fd` is /dev/kvm. */
void gdb_target_init(struct gdb_target *target, struct vm *vm, const struct image *image,
		     int kvm_fd);

/* By the page tables that this vCPU uses. Returns how many bytes could be read. Breakpoints are
 * hidden. */
size_t gdb_read_memory(const struct gdb_target *target, unsigned vcpu, uint64_t va, void *bytes,
		       size_t nr);
/* False if not all could be written; write-protected page tables cannot. */
bool gdb_write_memory(struct gdb_target *target, unsigned vcpu, uint64_t va, const void *bytes,
		      size_t nr);

bool gdb_get_registers(const struct gdb_target *target, unsigned vcpu, struct gdb_registers *out);
bool gdb_set_registers(const struct gdb_target *target, unsigned vcpu,
		       const struct gdb_registers *from);

enum gdb_result { GDB_OK, GDB_UNSUPPORTED, GDB_FAILED };
/* Setting one that is set, and removing one that is not, are no errors. An address is looked up in
 * the page tables that this vCPU uses. */
enum gdb_result gdb_insert(struct gdb_target *target, unsigned vcpu, enum gdb_break kind,
			   uint64_t va, uint64_t len);
enum gdb_result gdb_remove(struct gdb_target *target, enum gdb_break kind, uint64_t va,
			   uint64_t len);
void gdb_remove_all(struct gdb_target *target);
/* Those that lie in memory; the same. */
enum gdb_result gdb_insert_software(struct gdb_target *target, unsigned vcpu, uint64_t va);
enum gdb_result gdb_remove_software(struct gdb_target *target, uint64_t va);
/* Is there a software breakpoint at this address? Any thread. */
bool gdb_break_at(const struct gdb_target *target, uint64_t va);

enum gdb_go { GDB_CONTINUE, GDB_STEP, GDB_PASS_INT3 /* one that is the guest's own */ };
/* What a vCPU does when it goes on; before each time. False after saying why. */
bool gdb_arm(const struct gdb_target *target, unsigned vcpu, enum gdb_go go);
/* As if there had never been a debugger. */
void gdb_disarm(const struct gdb_target *target, unsigned vcpu);

#endif
