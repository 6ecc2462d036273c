/* SPDX-License-Identifier: MIT */
/*
 * Strategies: what is done so that no page table has a stale alias. The boot argument flush= names
 * one; each is a file of guest/flush/ and declares itself:
 *
 *	FLUSH_STRATEGY(eager, "eager", "purge at every pin", .before_pin = eager_before_pin);
 */
#ifndef FLUSH_H
#define FLUSH_H

#include <stdint.h>
#include <alias_abi.h>

struct flush_ops {
	const char *name;
	const char *help;
	/* Before the host is called to pin `n` tables, or NULL. May purge, must not pin. */
	void (*before_pin)(unsigned n);
	/* The host met an alias of the frame that is being pinned: have it purged. Returns how many
	 * PTEs that cleared. Runs in an exception, on top of the pin. NULL: the host is not to trap
	 * back, but to refuse. */
	uint64_t (*on_alias)(const struct alias_fault *fault);
};

#define FLUSH_STRATEGY(ident, label, text, ...)                                                    \
	static const struct flush_ops flush_strategy_##ident                                       \
		__attribute__((section("strategies"), used, aligned(8))) = {                       \
			.name = (label), .help = (text), __VA_ARGS__}

/* The chosen one; after flush_strategy_init(). */
const struct flush_ops *flush_strategy(void);

#endif
