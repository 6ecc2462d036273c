/* SPDX-License-Identifier: MIT */
/*
 * Asks the host for transitions of frames: to become a page table (a pin), memory of another type,
 * the host's, and back. All these requests go by the names with `pin_`. The strategy decides what
 * is purged before and after the question (guest/flush/). Without a host, and before pin_init(),
 * every call succeeds and does nothing; pin_init() then pins all tables there are.
 *
 * The host may meet a stale alias, and then raises an upcall within the request, whose handler
 * purges. So call with interrupts on, and hold no lock that vm_unmap_aliases() takes. A request
 * within a request (in the upcall's handler or an interrupt) panics.
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
		uint8_t level;   /* PIN_OP_PIN: 1..4 */
		uint8_t memtype; /* PIN_OP_MEMTYPE: enum memory_type */
	};
	uint8_t op;   /* enum pin_op */
	bool granted; /* the answer, written by pin_batch() if there is a host */
};

/* Can a stale alias prevent it? */
static inline bool pin_op_minds_aliases(enum pin_op op)
{
	return op == PIN_OP_PIN || op == PIN_OP_MEMTYPE || op == PIN_OP_INFLATE;
}

/* The first request of a batch that the host refused, and its answer. */
struct pin_refusal {
	struct pin_req req;
	enum alias_status status;
	struct alias_fault fault; /* valid if `status` is ALIAS_HAS_ALIAS */
};

/* At boot, once, with all CPUs up and idle: installs the upcall's handler, registers the direct
 * map, and pins the kernel's tree, bottom up. Returns 0, or -1 after a message if the host
 * refused. */
int pin_init(void);

/* Pins a table. Before the call its entries must be complete and the tables that they link pinned,
 * and no entry may link it yet. Returns 0, or -1 after a message if the host refused: then it is
 * not pinned. */
int pin_table(uint64_t pfn, unsigned level);
/* Unpins a table that no entry links any more. Returns 0, or -1 after a message. */
int unpin_table(uint64_t pfn);
/* Makes these requests, in order, with as few calls to the host as possible. Returns 0, or -1 after
 * a message if any was refused; the others, before and after it, are done nevertheless. */
int pin_batch(struct pin_req *reqs, unsigned n);

/* A list that collects requests: pin_list_add() hands over each full batch, pin_list_submit() the
 * rest. */
struct pin_list {
	unsigned nr;
	int result; /* 0, or -1 if any request was refused so far */
	struct pin_req reqs[ALIAS_BATCH_MAX];
};

static inline void pin_list_init(struct pin_list *list)
{
	list->nr = 0;
	list->result = 0;
}

void pin_list_add(struct pin_list *list, uint64_t pfn, unsigned level, enum pin_op op);
/* Returns list->result. */
int pin_list_submit(struct pin_list *list);

/* Makes the request `to` for each of these frames: for all or none. If any is refused, makes the
 * request `back` for those that were granted, and panics if the host refuses that. `pfn` of `to`
 * and `back` is not used. Returns 0, or -1 after a message. */
int pin_frames(const uint64_t *pfns, unsigned n, struct pin_req to, struct pin_req back);

/* pin_batch() without a message. If it returns -1, *why says what was refused first. */
int pin_batch_try(struct pin_req *reqs, unsigned n, struct pin_refusal *why);
/* "has a writable alias" and the like; for any value, never NULL. */
const char *pin_status_name(enum alias_status status);

#endif
