/* SPDX-License-Identifier: MIT */
/*
 * Strategies: what is done so that no page table has a stale alias. The boot argument flush= names
 * one; each is a file of guest/flush/ and declares itself:
 *
 *	FLUSH_STRATEGY(eager, EAGER, "eager", "purge at every pin", .before_pin = eager_before_pin);
 *
 * It may be changed at any time. So whatever depends on it (mapping and unmapping in the kernel's
 * vmap space, taking and giving back page tables, pinning) is done between strategy_read_lock() and
 * strategy_read_unlock(), and finds the same strategy all the way.
 */
#ifndef FLUSH_H
#define FLUSH_H

#include <stdbool.h>
#include <stdint.h>
#include <alias_abi.h>
#include <vmap_ops.h>

struct pin_req;

/* Each function may be NULL. */
struct flush_ops {
	const char *name;
	const char *help;
	enum alias_strategy number;

	/* Before the host is called with these requests, at least one of which minds aliases. May
	 * purge, must not pin. */
	void (*before_pin)(const struct pin_req *reqs, unsigned n);
	/* The host met an alias of the frame that is asked for: have it purged. Returns how many
	 * PTEs that cleared. It took `ticks` of the TSC from where the host was called, or where
	 * the last upcall of that call ended, to here. Runs in an exception, on top of the pin.
	 * NULL: the host is not to trap back, but to refuse. */
	uint64_t (*on_alias)(const struct alias_fault *fault, uint64_t ticks);
	/* What is cleared is left for the host to flush: there is nothing to wait for. */
	bool host_flushes;
	/* TLBs of other CPUs are flushed by the host, where it can, and not by IPIs. */
	bool shoots_by_host;
	/* Instead of alloc_frame() and free_frame() for the frames of page tables. May purge. */
	uint64_t (*take_table)(void);
	void (*give_table)(uint64_t pfn);
	/* What happens when frames are mapped and unmapped in the kernel's vmap space. */
	struct vmap_ops vmap;

	/* It becomes, or ceases to be, the strategy: memory is there, nothing is held lazily, and
	 * nobody else is between strategy_read_lock() and strategy_read_unlock(). start() returns
	 * 0, or -1: no memory. */
	int (*start)(void);
	void (*stop)(void);
};

#define FLUSH_STRATEGY(ident, nr, label, text, ...)                                                \
	static const struct flush_ops flush_strategy_##ident                                       \
		__attribute__((section("strategies"), used, aligned(8))) = {                       \
			.name = (label), .help = (text), .number = ALIAS_FLUSH_##nr, __VA_ARGS__}

/* The chosen one; after flush_strategy_init(). */
const struct flush_ops *flush_strategy(void);

/*
 * Work that depends on the strategy begins, and ends; may be nested. strategy_read_lock() waits
 * while another CPU is changing the strategy: interrupts are on, and no lock is held that purges or
 * mappings take. Not from interrupt handlers.
 */
void strategy_read_lock(void);
void strategy_read_unlock(void);
/* Is this CPU between the two? */
bool flush_inside(void);
/* Runs fn() while no CPU is; nor is this one. */
void flush_alone(void (*fn)(void));

/*
 * Changes the strategy once all CPUs have left. Nothing is lost: what was held lazily is purged,
 * what the old one kept is given back. Returns 0, or -1, and says why, if there is none of that
 * name, if it is or was `none` (the host does not follow), or if it finds no memory. Any CPU, not
 * between strategy_read_lock() and strategy_read_unlock().
 */
int flush_strategy_set(const char *name);
/* The same if the host has asked for it, and this CPU may; else does nothing. */
void flush_strategy_poll(void);

#endif
