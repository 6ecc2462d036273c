/* SPDX-License-Identifier: MIT */
/*
 * The guest for the debugger: memory by virtual address, registers, breakpoints. All functions are
 * called by the main thread while the vCPUs concerned are stopped. The exception is gdb_break_at(),
 * which a vCPU's own thread calls at a breakpoint; the table changes only while all vCPUs are
 * stopped.
 *
 * A software breakpoint is an INT3, if KVM exits for it. With emulated SVM it does not: QEMU does
 * not intercept the exception of INT3, nor does it load debug registers for a guest. Then a
 * software breakpoint is an `out` of EAX to the port in DX, whatever that is: it exits before any
 * device is asked, works in kernel code only, and there are no hardware breakpoints. KVM's own PIC
 * has ports of one byte, and takes no access of four there. (In 16-bit code it is one of two, which
 * the PIC takes.) Both kinds of breakpoints have one byte, as GDB steps an instruction of one byte
 * and puts its breakpoint back while the vCPU is at the next one.
 */
#ifndef VMM_GDB_TARGET_H
#define VMM_GDB_TARGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "boot/image.h"
#include "gdb/registers.h"

#define GDB_MAX_SOFTWARE    256 /* software breakpoints */
#define GDB_MAX_HARDWARE    4   /* hardware breakpoints and watchpoints */
#define GDB_EXCEPTION_DEBUG 1
#define GDB_EXCEPTION_INT3  3

struct vm;

/* The kinds of breakpoints, as packets Z and z number them. */
enum gdb_break { GDB_SOFTWARE, GDB_HARDWARE, GDB_WATCH_WRITE, GDB_WATCH_READ, GDB_WATCH_ACCESS };

struct gdb_target {
	struct vm *vm;
	/* Where the program headers load the image: while a vCPU has no paging, its symbols are
	 * there. */
	unsigned nr_segments;
	struct image_segment segment[IMAGE_MAX_SEGMENTS];
	bool int3;     /* KVM exits for INT3 */
	bool hardware; /* debug registers work */
	/* vCPUs that have made a step. It sets TF, and the guest may have saved that meanwhile: in
	 * the frame of an exception, an interrupt or an upcall, or by a PUSHF. Where the guest
	 * takes it from there, it is no step. Debug registers of the guest's own do not work
	 * there. A bit is written while its vCPU is stopped; others may run then, and read theirs.
	 */
	_Atomic uint64_t stepped;
	unsigned nr_software;
	struct gdb_software {
		uint64_t va, gpa;
		uint8_t code; /* the byte that it replaces */
	} software[GDB_MAX_SOFTWARE];
	struct gdb_hardware {
		bool used;
		enum gdb_break kind;
		uint64_t va;
		uint8_t len;
	} hardware_slot[GDB_MAX_HARDWARE];
};

/* Finds out, by a probe VM, which breakpoints this host's KVM has; `kvm_fd` is /dev/kvm. */
void gdb_target_init(struct gdb_target *target, struct vm *vm, const struct image *image,
		     int kvm_fd);

/* Reads memory through this vCPU's page tables. Returns how many bytes could be read. Breakpoints
 * are hidden. */
size_t gdb_read_memory(const struct gdb_target *target, unsigned vcpu, uint64_t va, void *bytes,
		       size_t nr);
/* Writes memory. Returns false if not all could be written; write-protected page tables can't. */
bool gdb_write_memory(struct gdb_target *target, unsigned vcpu, uint64_t va, const void *bytes,
		      size_t nr);

/* Get all registers, and set those that gdb_register_set() can change. The vCPU is stopped. Return
 * false on failure. */
bool gdb_get_registers(const struct gdb_target *target, unsigned vcpu, struct gdb_registers *out);
bool gdb_set_registers(const struct gdb_target *target, unsigned vcpu,
		       const struct gdb_registers *from);

enum gdb_result {
	GDB_OK,
	GDB_UNSUPPORTED, /* the processor, or this host's KVM, has none of this kind */
	GDB_FAILED,      /* there are no more, or not at this address, or of this length */
};
/* Insert and remove breakpoints. Inserting an existing one and removing a missing one are no
 * errors. An address is looked up in this vCPU's page tables. */
enum gdb_result gdb_insert(struct gdb_target *target, unsigned vcpu, enum gdb_break kind,
			   uint64_t va, uint64_t len);
enum gdb_result gdb_remove(struct gdb_target *target, enum gdb_break kind, uint64_t va,
			   uint64_t len);
void gdb_remove_all(struct gdb_target *target);
/* The same for software breakpoints. */
enum gdb_result gdb_insert_software(struct gdb_target *target, unsigned vcpu, uint64_t va);
enum gdb_result gdb_remove_software(struct gdb_target *target, uint64_t va);
/* Is there a software breakpoint at this address? Any thread. */
bool gdb_break_at(const struct gdb_target *target, uint64_t va);

/* Sets up how a vCPU goes on; each time before it does. `how`: KVM_GUESTDBG_SINGLESTEP for a step,
 * KVM_GUESTDBG_INJECT_BP if the INT3 that it has met is the guest's own. Returns false after a
 * message. */
bool gdb_arm(struct gdb_target *target, unsigned vcpu, uint32_t how);
/* Removes the debugger's settings from a vCPU. */
void gdb_disarm(const struct gdb_target *target, unsigned vcpu);

#endif
