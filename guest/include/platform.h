/* SPDX-License-Identifier: MIT */
/* The description of the machine, for the whole kernel. It comes from the device tree, or without
 * one (QEMU's PVH boot) from the PVH memory map. */
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
	bool has_host; /* the host has the interface of alias_abi.h; else the next four are 0 */
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

/* Written by platform_init() on the boot CPU, before any other CPU runs; constant afterwards. */
extern struct platform platform;

/* Fills `platform` from the PVH start_info at this physical address. Panics with one line if it
 * makes no sense. */
void platform_init(uint64_t start_info_gpa);

/* For pvh_parse() and fdt_parse(). */

/* Adds the bytes [start, start + size) to the memory: rounded inwards to pages, sorted in, merged
 * with ranges that it touches. Panics if there are more than PLATFORM_RANGES ranges. */
void platform_add_memory(struct platform *to, uint64_t start, uint64_t size);
/* Adds them to the reserved memory, which is not free: rounded outwards to pages. */
void platform_add_reserved(struct platform *to, uint64_t start, uint64_t size);
/* Copies the boot arguments: up to a '\0' or `max_len` bytes. Panics if they are too long. */
void platform_set_bootargs(struct platform *to, const char *words, uint64_t max_len);

#endif
