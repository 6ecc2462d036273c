/* SPDX-License-Identifier: MIT */
/*
 * What the machine consists of, as its device tree says, or, where there is none (QEMU's PVH
 * boot), as the PVH start_info and the customs of a PC say.
 */
#ifndef PLATFORM_H
#define PLATFORM_H

#include <stdbool.h>
#include <stdint.h>
#include <alias_abi.h>
#include <cpu.h>

#define PLATFORM_RANGES 32u
#define PLATFORM_VIRTIO 8u

struct phys_range {
	uint64_t start, end; /* bytes, [start, end) */
};

struct platform {
	bool has_fdt;
	/* A host that tracks aliases: hypercall, vector and shared pages are there. */
	bool has_host;
	uint16_t hypercall_port;
	uint8_t upcall_vector;
	uint64_t shared_gpa; /* one alias_common_page, then nr_cpus alias_vcpu_page */
	uint64_t log_gpa;    /* ALIAS_LOG_SIZE for each CPU; 0: no room for a log */

	uint16_t poweroff_port; /* takes a 32-bit exit status */
	uint16_t console_port;
	uint8_t console_gsi;

	uint64_t ioapic_gpa;

	unsigned nr_memory;
	struct phys_range memory[PLATFORM_RANGES]; /* page-aligned inwards, sorted, disjoint */
	unsigned nr_reserved;
	struct phys_range reserved[PLATFORM_RANGES]; /* page-aligned outwards */

	unsigned nr_cpus; /* 1 .. MAX_CPUS */
	uint32_t apic_ids[MAX_CPUS];

	unsigned nr_virtio;
	struct {
		uint64_t gpa, size;
		uint8_t gsi;
	} virtio[PLATFORM_VIRTIO];

	char bootargs[ALIAS_CMDLINE_SIZE];
};

/* Written once by platform_init() on the boot CPU before any other runs; constant from then on. */
extern struct platform platform;

/* Fills `platform` from the PVH start_info at this physical address; panics, saying what is wrong,
 * when it cannot be understood. */
void platform_init(uint64_t start_info_gpa);

/* For platform_init(): fills in what the device tree of `size` bytes says. */
void platform_from_fdt(const void *fdt, uint64_t size);
/* Add a range of bytes to the memory (rounded inwards, sorted in, merged) or to what is reserved
 * in it (rounded outwards). */
void platform_add_memory(uint64_t start, uint64_t size);
void platform_add_reserved(uint64_t start, uint64_t size);
/* Copies the boot arguments; panics if they are too long. */
void platform_set_bootargs(const char *words, uint64_t max_len);

#endif
