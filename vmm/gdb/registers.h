/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's registers as GDB numbers them: one table gives the description that GDB is sent
 * (target.xml, appendix G of its manual), the order in packets `g` and `G`, and the place of each
 * in KVM's structures. Pure.
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

#define GDB_REGISTER_MAX 16 /* bytes of the largest */

unsigned gdb_nr_registers(void);
/* Register `n` as GDB wants it, little-endian; returns its size in bytes, 0 if there is none. */
size_t gdb_register_get(const struct gdb_registers *from, unsigned n, uint8_t *bytes);
/* Sets it from as many bytes as gdb_register_get() gives. False for those that are only shown:
 * selectors, control registers, the bases of FS and GS, the pointers of the FPU. */
bool gdb_register_set(struct gdb_registers *to, unsigned n, const uint8_t *bytes);
/* target.xml; the caller frees it. NULL when out of memory. */
char *gdb_registers_xml(void);

#endif
