/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's registers as GDB numbers them. One table gives the description for GDB (target.xml,
 * appendix G of its manual), the order in packets `g` and `G`, and the place of each register in
 * KVM's structures. Pure functions.
 */
#ifndef VMM_GDB_REGISTERS_H
#define VMM_GDB_REGISTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kvm.h>

struct gdb_registers {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
};

#define GDB_REGISTER_MAX 16 /* size of the largest register, bytes */

unsigned gdb_nr_registers(void);
/* Gets register `n` in GDB's format, little-endian. Returns its size in bytes, or 0 if there is no
 * such register. */
size_t gdb_register_get(const struct gdb_registers *from, unsigned n, uint8_t *bytes);
/* Sets register `n` from as many bytes as gdb_register_get() returns. Returns false for read-only
 * ones: selectors, control registers, the bases of FS and GS, the FPU's pointers. */
bool gdb_register_set(struct gdb_registers *to, unsigned n, const uint8_t *bytes);
/* Returns target.xml, to be freed by the caller; NULL when out of memory. */
char *gdb_registers_xml(void);

#endif
