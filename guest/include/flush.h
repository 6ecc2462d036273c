/* SPDX-License-Identifier: MIT */
/*
 * Strategies: ways to keep page tables free of stale aliases. The boot argument flush= chooses one.
 * Each is a file of guest/flush/ that declares itself:
 *
 * 	FLUSH_STRATEGY(eager, EAGER, "eager", "purge at every pin", .before_pin = eager_before_pin);
 *
 * The strategy can change while the guest runs, so whatever depends on it holds the strategy lock
 * for reading (strategy_lock.h).
 */
#ifndef FLUSH_H
#define FLUSH_H

#include <stdbool.h>
#include <stdint.h>
#include <alias_abi.h>
#include <strategy_lock.h>
#include <vmap_ops.h>

struct pin_req;

/* What a strategy does. Each function may be NULL. */
struct flush_ops {
	const char *name;
	const char *help;
	enum alias_strategy number;

	/* Called before the host is asked for these requests, at least one of which stale aliases
	 * can prevent (pin_op_minds_aliases()). May purge, must not pin. */
	void (*before_pin)(const struct pin_req *reqs, unsigned n);
	/* Called in an upcall: the host met an alias of fault->pfn. Purges it and returns how many
	 * PTEs it cleared. `ticks` is what this took so far: TSC ticks from the call to the host,
	 * or from the end of the last upcall of that call. Runs in an exception, in the middle of a
	 * pin. NULL: the host refuses at once, without an upcall. */
	uint64_t (*on_alias)(const struct alias_fault *fault, uint64_t ticks);
	/* Cleared PTEs are left in the TLBs until the host flushes them, so a pin does not wait for
	 * a flush of the guest's own. */
	bool host_flushes;
	/* The host flushes the TLBs of other CPUs, if it can, instead of IPIs. */
	bool shoots_by_host;
	/* Allocate and free the frames of page tables; NULL: alloc_frame() and free_frame(). May
	 * purge. */
	uint64_t (*take_table)(void);
	void (*give_table)(uint64_t pfn);
	/* Hooks of the kernel's vmap space. */
	struct vmap_ops vmap;

	/* Called when the strategy is switched on and off, with the strategy lock held for
	 * writing, memory available, and nothing held lazily. start() returns 0, or -1 when out
	 * of memory. */
	int (*start)(void);
	void (*stop)(void);
};

#define FLUSH_STRATEGY(ident, nr, label, text, ...)                                                \
	static const struct flush_ops flush_strategy_##ident                                       \
		__attribute__((section("strategies"), used, aligned(8))) = {                       \
			.name = (label), .help = (text), .number = ALIAS_FLUSH_##nr, __VA_ARGS__}

/* Returns the strategy. After flush_strategy_init(). */
const struct flush_ops *flush_strategy(void);

/*
 * Changes the strategy to `name`. First purges all that is held lazily; then the old strategy gives
 * back the frames that it keeps. Returns 0. Returns -1, after a message, if there is no strategy of
 * that name, if it is or was `none`, or if memory is short: then the old strategy stays. On any
 * CPU, without the strategy lock.
 */
int flush_strategy_set(const char *name);
/* Changes the strategy if the host has asked for it and this CPU does not hold the strategy lock;
 * else does nothing. */
void flush_strategy_poll(void);

#endif
