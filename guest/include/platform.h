/* SPDX-License-Identifier: MIT */
/*
 * What the machine consists of, as its device tree says, or, where there is none (QEMU's PVH
 * boot), as the PVH start_info and the customs of a PC say.
 */
#ifndef PLATFORM_H
#define PLATFORM_H

#include <stdbool.h>
#include <stdint.h>
#include <cpu.h>

#define PLATFORM_RANGES   32u
#define PLATFORM_VIRTIO   8u
#define PLATFORM_BOOTARGS 2048u

struct phys_range {
	uint64_t start, end; /* bytes, [start, end) */
};

struct platform {
	/* A host that tracks aliases: doorbell, vector and shared pages are there. */
	bool has_host;
	uint16_t doorbell_port;
	uint8_t upcall_vector;
	uint64_t shared_gpa; /* one alias_common_page, then nr_cpus alias_vcpu_page */

	uint16_t poweroff_port; /* takes a 32-bit exit status */
	uint16_t console_port;
	uint8_t console_gsi;

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

	char bootargs[PLATFORM_BOOTARGS];
};

/* Written once by platform_init() on the boot CPU before any other runs; constant from then on. */
extern struct platform platform;

/* Fills `platform` from the PVH start_info at this physical address; panics, saying what is wrong,
 * when it cannot be understood. */
void platform_init(uint64_t start_info_gpa);

#endif
