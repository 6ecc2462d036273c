/* SPDX-License-Identifier: MIT */
/*
 * Pinning frames as page tables with the host, and the other things that a frame can become, the
 * way the chosen strategy does it (guest/pin/, guest/flush/): all of them are *pins* here. Without
 * a host every call succeeds and does nothing, and so it is before pin_init(), which pins all there
 * is.
 *
 * A pin may meet a stale alias: the host then raises an alias fault within the call, and the
 * handler purges. So hold no lock that vm_unmap_aliases() takes, and have interrupts on. A pin
 * within a pin (from the alias fault handler, or an interrupt) is a panic.
 */
#ifndef PIN_H
#define PIN_H

#include <stdbool.h>
#include <stdint.h>
#include <alias_abi.h>

enum pin_op {
	PIN_OP_PIN = ALIAS_OP_PIN,
	PIN_OP_UNPIN = ALIAS_OP_UNPIN,
	PIN_OP_MEMTYPE = ALIAS_OP_MEMTYPE,
	PIN_OP_INFLATE = ALIAS_OP_INFLATE,
	PIN_OP_DEFLATE = ALIAS_OP_DEFLATE,
};

struct pin_req {
	uint64_t pfn;
	union {
		uint8_t level; /* PIN_OP_PIN: 1..4 */
		uint8_t type;  /* PIN_OP_MEMTYPE: enum memory_type */
	};
	uint8_t op; /* enum pin_op */
};

/* Can a stale alias be in its way? */
static inline bool pin_op_minds_aliases(enum pin_op op)
{
	return op == PIN_OP_PIN || op == PIN_OP_MEMTYPE || op == PIN_OP_INFLATE;
}

/* The host's answer to the first request that it refused. */
struct pin_refusal {
	struct pin_req req;
	enum alias_status status;
	struct alias_fault fault; /* where the alias is, if `status` is ALIAS_HAS_ALIAS */
};

/* Boot, once, with all CPUs up and idle: installs the alias fault handler, registers the direct map
 * and pins the whole kernel tree, bottom up. Returns 0, or -1 if the host refused. */
int pin_init(void);

/* Before an entry points to the table; its contents must be complete, tables under it pinned.
 * Returns 0, or -1 if the host refused: the frame is then not pinned. Says why on the console. */
int pin_table(uint64_t pfn, unsigned level);
/* After the last entry that pointed to it is gone. */
int unpin_table(uint64_t pfn);
/* In order, with as few calls as possible. Returns 0, or -1 if any was refused; those before and
 * after it are done nevertheless. */
int pin_batch(const struct pin_req *reqs, unsigned n);

/* Requests that are put together: a full batch is handed over, the rest by pin_list_submit(). */
struct pin_list {
	unsigned nr;
	int result; /* 0, or -1 if anything was refused so far */
	struct pin_req reqs[ALIAS_BATCH_MAX];
};

static inline void pin_list_init(struct pin_list *list)
{
	list->nr = 0;
	list->result = 0;
}

void pin_list_add(struct pin_list *list, uint64_t pfn, unsigned level, enum pin_op op);
/* Returns `result`. */
int pin_list_submit(struct pin_list *list);

/* The same for each of these frames, all or none: if any is refused, `back` is asked for all of
 * them (and refused for those that need it not). `pfn` of the two is nothing. */
int pin_frames(const uint64_t *pfns, unsigned n, struct pin_req to, struct pin_req back);

/* pin_batch() for those who expect a refusal: says nothing, but why in *why. */
int pin_batch_try(const struct pin_req *reqs, unsigned n, struct pin_refusal *why);
/* "has an alias" and the like; for any value. */
const char *pin_status_name(enum alias_status status);

#endif
