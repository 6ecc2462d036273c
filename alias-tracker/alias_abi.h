/* SPDX-License-Identifier: MIT */
/*
 * What guest and host say to each other, used by both sides.
 *
 * The guest finds everything here through the flattened device tree, in the node /hypervisor:
 *
 *   compatible      "aliastrap,hypervisor"
 *   abi-version     ALIAS_ABI_VERSION
 *   hypercall-port   I/O port: a 32-bit `out` of an ALIAS_CALL_* code
 *   poweroff-port   I/O port: a 32-bit `out` of the exit status (0..ALIAS_EXIT_MAX) ends the
 * machine reg             gpa and size of the shared pages: first one struct alias_common_page,
 * then one struct alias_vcpu_page for each vCPU, in the order of the nodes under /cpus
 *   upcall-vector   exception vector at which the host raises an alias fault
 *
 * and, if there is a second pair in `reg`, room for a log: ALIAS_LOG_SIZE bytes for each vCPU, in
 * the same order.
 *
 * A call names no address: each vCPU speaks through its own page, so vCPUs need no lock between
 * them. The host reads every field once, judges its copy, and trusts nothing that it finds there.
 *
 * The way of a pin. The guest fills `entries`, sets `count`, and does `out hypercall,
 * ALIAS_CALL_PIN`. The host answers every entry with a status. When an entry meets a stale alias
 * and the batch says ALIAS_BATCH_UPCALL, the host fills `fault` and raises exception
 * `upcall-vector` (no error code) with RIP still *at* the `out`. The handler has the alias purged
 * and returns by IRETQ, which does the same `out` again; entries that have a status other than
 * ALIAS_PENDING are not looked at again, so the batch goes on where it stopped. An entry is given
 * one such chance; if an alias is still there, the answer is ALIAS_HAS_ALIAS and `fault` says
 * where. The code that pins therefore never sees that an alias had to be purged.
 *
 * A frame can become something else than a page table by the very same way: batch, verdict, upcall,
 * repeat. What differs is which mappings are in the way; a frame is at most one of these at a time:
 *
 *   ALIAS_OP_PIN    a page table: writable ones
 *   ALIAS_OP_MEMTYPE   memory of another type: those of any other type than the one it gets
 *   ALIAS_OP_INFLATE   the host's: all
 *
 * A mapping of the kind that comes after the grant is a violation. The direct map is exempt from
 * all three, and what it says is the guest's own affair. To change a memory type it
 *
 *   1. asks. At that time the leaf in the direct map still says the old type, as the frame is used
 *      by it until the answer is there; if that is a refusal, nothing is to be taken back. (If the
 *      leaf can't be changed without memory, that is seen to before.)
 *   2. gives the leaf the new type, has all TLBs forget the old, and empties the caches of the
 *      frame;
 *   3. only then maps the frame elsewhere, by the new type.
 *
 * And so back to type 0. A frame that is given away leaves the memory that the host has resident.
 * Its place in the direct map may stay: who reads there reads zeroes, and who writes there loses
 * what he wrote and makes the host pay for it once more. ALIAS_OP_DEFLATE gets it back, zeroed.
 *
 * If no alias is left, but a TLB may hold one that went, as `flushed` is behind `cleared`, and the
 * batch says ALIAS_BATCH_WAIT, the same exception is raised with a `fault` that names no address:
 * the flush is under way, and the handler waits until it is through. An entry is given one such
 * chance, too; then the host flushes by itself.
 *
 * Where tables are guarded (ALIAS_WRITE_PROTECTED in the answer to the registration: vmm --track
 * strict) a store to a pinned table is done by the host, after it has found that it breaks no rule.
 * A store that links a table which isn't pinned, and breaks none but by that, pins it, as if the
 * batch had asked for it: with a stale alias `fault` is filled, its `entry` being
 * ALIAS_FAULT_STORE, and the exception raised with RIP at the store. A store that is refused is not
 * done, and raises #GP(0) with RIP at it. (Where the host met it only after KVM had emulated it,
 * RIP is behind it.) What is written to a table is read back with the accessed bit set in present
 * entries, and the dirty bit in writable leaves. ALIAS_CALL_UPDATE writes many entries for the
 * price of one.
 */
#ifndef ALIAS_ABI_H
#define ALIAS_ABI_H

#include <stddef.h>
#include <stdint.h>

#define ALIAS_ABI_VERSION 1u
#define ALIAS_COMPATIBLE  "aliastrap,hypervisor"

#define ALIAS_PAGE_SIZE 4096u

/* How the guest keeps stale aliases off its page tables (guest/flush/, vmm --flush). */
enum alias_strategy {
	ALIAS_FLUSH_NONE = 0, /* nobody looks, the host neither; for a whole run or not at all */
	ALIAS_FLUSH_LEGACY,
	ALIAS_FLUSH_EAGER,
	ALIAS_FLUSH_NOLAZY,
	ALIAS_FLUSH_EAGER_PTE,
	ALIAS_FLUSH_QUICKLIST,
	ALIAS_FLUSH_PAGE_BIT,
	ALIAS_FLUSH_TRAP,
	ALIAS_FLUSH_TRAP_RANGE,
	ALIAS_NR_FLUSH,
};

/* Codes written to the hypercall port. */
enum alias_call {
	/* Register: the direct map of this guest is in `direct_base`, `direct_size` of the vCPU
	 * page of the caller. Once, before the first pin. Answer in `call_status`. */
	ALIAS_CALL_REGISTER = 1,
	/* Serve the batch in the vCPU page of the caller. */
	ALIAS_CALL_PIN = 2,
	/* Write the entries of pinned tables that the frame `updates_pfn` lists, in their order,
	 * each as a store would. The host reads that frame once, and never writes it; what the
	 * updates make stale is flushed once, after the last, if they took a right away. An upcall
	 * comes as in a batch; those before it are done. Only where tables are guarded. It may be
	 * made while a batch is under way (by the handler of its upcall); after an upcall of its
	 * own all is read again, so the handler must leave updates and their answers alone. */
	ALIAS_CALL_UPDATE = 3,
	/* Flush the TLBs of all vCPUs, of everything. Once `call_status` is ALIAS_OK none of them
	 * uses a translation older than the call any more. With any other answer nothing is known
	 * to be flushed. Only where ALIAS_FLUSHES was answered to the registration. It may be made
	 * while a batch is under way, by the handler of its upcall. The caller writes to its page
	 * (`call_status`) before the call, and after it has changed its tables. */
	ALIAS_CALL_FLUSH = 4,
};

/* Exit statuses a guest may give; above these the program's own begin (sysexits). */
#define ALIAS_EXIT_MAX 63u

enum alias_opcode {
	/* Pin the frame as page table of `level`; 4 makes it a root whose whole tree is tracked. */
	ALIAS_OP_PIN = 1,
	/* The frame is no page table any more. It must not be linked under a pinned table. */
	ALIAS_OP_UNPIN = 2,
	/* The frame becomes memory of `type`, an index into the PAT, 0..7; 0 is what all are at
	 * first. All processors have the same PAT, each type that is used at one index of it. */
	ALIAS_OP_MEMTYPE = 3,
	/* The frame, of type 0, is given away: what it held is gone. */
	ALIAS_OP_INFLATE = 4,
	/* It is wanted back, to hold zeroes. */
	ALIAS_OP_DEFLATE = 5,
};

enum alias_status {
	ALIAS_PENDING = 0, /* not looked at yet: what the guest writes before the call */
	ALIAS_OK,          /* done */
	ALIAS_HAS_ALIAS,   /* a mapping is (still) in the way: `fault` says where */
	ALIAS_BAD_FRAME,   /* frame outside of memory, or one of the shared pages */
	ALIAS_BAD_LEVEL,   /* level not 1..4 */
	ALIAS_BAD_OP,      /* unknown operation */
	ALIAS_BAD_STATE,   /* pinned already; unpin of a frame that is not; still linked; a table,
			      or of a type, where it must be neither; not given away */
	ALIAS_CHILD_UNPINNED,   /* a table under it is not pinned (at the level below) */
	ALIAS_MAPS_TABLE,       /* the tree under the root maps a pinned table writable */
	ALIAS_BAD_TABLE,        /* its tree can't be walked: outside of memory, reserved bits */
	ALIAS_BAD_CALL,         /* malformed call: count too large, not registered, ... */
	ALIAS_BAD_MEMTYPE,      /* type not 0..7 */
	ALIAS_IS_BALLOONED,     /* it was given away, and not taken back */
	ALIAS_MAPS_BALLOONED,   /* the tree under the root maps a frame that was given away */
	ALIAS_MEMTYPE_CONFLICT, /* it maps a frame by another type than the frame has */
	ALIAS_NO_MEMORY,        /* the host has none to do it with */
	ALIAS_NR_STATUS,
};

/* One operation of a batch. `status` is ALIAS_PENDING before and the host's answer after. */
struct alias_op {
	uint64_t pfn;
	uint16_t op;
	union {
		uint16_t level;
		uint16_t type; /* ALIAS_OP_MEMTYPE */
	};
	uint32_t status;
};

#define ALIAS_BATCH_MAX  128u
#define ALIAS_FAULT_VAS  16u
#define ALIAS_UPDATE_MAX 256u

/* One entry of a pinned table to be written; a frame holds ALIAS_UPDATE_MAX. Its answer,
 * ALIAS_PENDING before, is in update_status: ALIAS_OK, what the pin of the table that it links
 * would have answered, ALIAS_MAPS_TABLE (it maps a pinned table writable), ALIAS_MAPS_BALLOONED,
 * ALIAS_MEMTYPE_CONFLICT, ALIAS_BAD_TABLE (it links what is no memory, or has reserved bits),
 * ALIAS_BAD_FRAME (not aligned, or outside of memory) or ALIAS_BAD_STATE (no pinned table). */
struct alias_update {
	uint64_t pte_gpa;
	uint64_t pte;
};

/* Flags of a batch, and of updates and stores as they stand. */
#define ALIAS_BATCH_UPCALL 1u /* the guest has a handler at `upcall-vector` */
#define ALIAS_BATCH_WAIT   2u /* which can wait; of a batch alone */

/* Features, answered to the registration. */
#define ALIAS_WRITE_PROTECTED 1u /* pinned tables can't be written past the host */
#define ALIAS_FLUSHES         2u /* ALIAS_CALL_FLUSH works */

#define ALIAS_FAULT_STORE UINT32_MAX /* alias_fault.entry: not one of a batch */

/* What the host says of the alias it met; written before the upcall and before a refusal. */
struct alias_fault {
	uint64_t pfn;                 /* the frame that was asked for */
	uint32_t op;                  /* index into `ops` */
	uint32_t nr;                  /* valid elements of `va` */
	uint32_t more;                /* 1: there are further aliases than those listed */
	uint32_t reserved;            /* 0 */
	uint64_t va[ALIAS_FAULT_VAS]; /* page-aligned virtual addresses that map the frame */
};

/*
 * What the guest counts, for the statistics of the host; each vCPU owns the copy in its page and
 * alone writes it, with plain 8-byte stores. The host reads them for its report and for nothing
 * else.
 */
struct alias_guest_stats {
	uint64_t vmaps;           /* vmap + vm_map_ram calls */
	uint64_t vunmaps;         /* vunmap + vm_unmap_ram calls */
	uint64_t unmap_aliases;   /* vm_unmap_aliases calls, whoever made them */
	uint64_t purges;          /* purges that had at least something to flush */
	uint64_t purged_pages;    /* PTEs cleared, by purges or ahead of them, and flushed */
	uint64_t shootdowns;      /* flushes of all CPUs' TLBs, by IPIs or by the host */
	uint64_t shootdown_ipis;  /* IPIs sent for them */
	uint64_t local_flushes;   /* TLB flushes done here (own or asked for by IPI), and those that
				     the host has all CPUs do for a call from here */
	uint64_t shootdown_wait;  /* TSC ticks spent waiting for acknowledgements */
	uint64_t pins;            /* entries with ALIAS_OP_PIN submitted */
	uint64_t unpins;          /* entries with ALIAS_OP_UNPIN submitted */
	uint64_t pin_calls;       /* ALIAS_CALL_PIN made (not counting an upcall's repeat) */
	uint64_t upcalls;         /* alias faults taken */
	uint64_t upcall_pages;    /* PTEs cleared on behalf of them */
	uint64_t tables_recycled; /* frames taken as page table that had been vmapped before */
	uint64_t address_spaces;  /* address spaces created */
	uint64_t lazy_pages_max;  /* most pages ever held lazily, as seen here */
	uint64_t tables;          /* frames taken as page table */
	uint64_t tables_aliased;  /* of them still mapped where they had been vmapped last */
	uint64_t workload_ticks;  /* TSC ticks from the start of what all CPUs do to its end */
	uint64_t shootdown_spin;  /* of shootdown_wait, those in which this CPU really ran */
	uint64_t lock_spin;       /* TSC ticks this CPU ran while it waited for spinlocks */
	uint64_t pin_ticks;       /* TSC ticks in ALIAS_CALL_PIN, upcalls and the host included */
	uint64_t upcall_ticks;    /* of them in the handler of upcalls */
	uint64_t purge_ticks;     /* TSC ticks in purges, flushes included */
	uint64_t flush_ticks;     /* TSC ticks in flushes of kernel ranges, waits included */
	uint64_t retyped;         /* entries with ALIAS_OP_MEMTYPE submitted */
	uint64_t given;           /* entries with ALIAS_OP_INFLATE submitted */
	uint64_t taken_back;      /* entries with ALIAS_OP_DEFLATE submitted */
	uint64_t host_shootdowns; /* of shootdowns, those by the host (ALIAS_CALL_FLUSH) */
	uint64_t reserved[2];
};

/*
 * The log: each vCPU's is a ring of its own. The guest may keep one of all changes of entries of
 * page tables that are, or are about to be, reachable from a pinned root; the host then looks
 * there, and not at all tables. It checks the log now and then, and reports what is wrong with it.
 *
 * Of each change a vCPU, in this order, each store visible before the next (release),
 *
 *   1. stores the gpa of the entry in `changing`;
 *   2. changes the entry, knowing the value that this replaces;
 *   3. if there is room (head - tail < ALIAS_LOG_RECORDS; `tail` is read with acquire) writes the
 *      record with number `head`, at that modulo ALIAS_LOG_RECORDS, and advances `head`; else
 *      advances `lost`: it never waits;
 *   4. stores 0 in `changing`.
 *
 * So a record is never ahead of its entry, and who sees the entry changed finds it named, or else,
 * if he looks after that, recorded or counted. Bits that the processor sets (accessed, dirty) are
 * no change.
 *
 * When: the host stores a number in `log_wanted` of the common page, 0 for no log. A vCPU that
 * begins a pin call and finds another number in `logging` sees to it that all vCPUs log from now
 * on, or none for 0, and then, while none is between 1. and 4., stores the number there.
 */
#define ALIAS_LOG_RECORDS 4096u
#define ALIAS_LOG_SIZE    (ALIAS_LOG_RECORDS * 24u)

struct alias_log_record {
	uint64_t pte_gpa;  /* gpa of the entry */
	uint64_t from, to; /* its values before and after */
};

struct alias_log {
	_Alignas(64) uint64_t changing; /* guest */
	uint64_t head;                  /* guest: records written */
	uint64_t lost;                  /* guest: changes that found no room */
	_Alignas(64) uint64_t tail;     /* host: records taken */
};

/*
 * Shared by all vCPUs.
 *
 *   wanted_strategy  the host stores the strategy that it would like (enum alias_strategy). A vCPU
 *                    that begins a pin call exchanges it for 0, which is no wish, and switches if
 *                    it can; ALIAS_FLUSH_NONE, as the host does not follow, can't be wished.
 *   strategy         the guest's, for the host's reports: which one it is.
 *   log_wanted       the host's, and
 *   logging          the guest's: as above.
 *
 * The two counters are the guest's evidence about its TLBs, `dirty` mode
 * and its kin (never `strict`) use it unless told not to:
 *
 *   cleared  is advanced (release) *before* the guest removes or weakens entries whose
 *            translations a TLB may go on holding after the host can see them gone, and *after*
 *            those entries were made: what came and went between two looks of the host has
 *            advanced it, too;
 *   flushed  becomes s (release, only ever upwards) when a flush of every TLB that began after
 *            `cleared` was s, and after those entries were written, has been acknowledged by all.
 *
 * So an entry that the host finds gone when `cleared` reads c is out of all TLBs once
 * `flushed` >= c. A guest that flushes before an entry goes out of sight need not advance
 * `cleared`.
 */
struct alias_common_page {
	_Alignas(64) uint64_t cleared;
	_Alignas(64) uint64_t flushed;
	_Alignas(64) uint32_t wanted_strategy;
	uint32_t strategy;
	uint32_t log_wanted;
	uint32_t logging;
	uint8_t pad[ALIAS_PAGE_SIZE - 144];
};

/* One for each vCPU; only that vCPU and, during its calls, the host write it. */
struct alias_vcpu_page {
	uint32_t count;       /* guest: valid entries, 1..ALIAS_BATCH_MAX */
	uint32_t flags;       /* guest: ALIAS_BATCH_* */
	uint32_t call_status; /* host: enum alias_status of the call as a whole */
	uint32_t features;    /* host, ALIAS_CALL_REGISTER: ALIAS_WRITE_PROTECTED, ALIAS_FLUSHES */
	uint64_t direct_base; /* guest, ALIAS_CALL_REGISTER: va of gpa 0, multiple of 512 GiB */
	uint64_t direct_size; /* guest: bytes, multiple of 512 GiB */
	uint64_t unused;      /* 0 */
	struct alias_fault fault;
	struct alias_guest_stats stats;
	struct alias_op ops[ALIAS_BATCH_MAX];
	struct alias_log log;
	uint64_t updates_pfn; /* guest: any frame of memory, filled with struct alias_update */
	uint32_t nr_updates;  /* guest: valid updates, 1..ALIAS_UPDATE_MAX */
	uint32_t reserved;
	uint8_t update_status[ALIAS_UPDATE_MAX]; /* enum alias_status */
	uint8_t pad[ALIAS_PAGE_SIZE - 44 - sizeof(struct alias_fault) -
		    sizeof(struct alias_guest_stats) - ALIAS_BATCH_MAX * sizeof(struct alias_op) -
		    sizeof(struct alias_log) - 16 - ALIAS_UPDATE_MAX];
};

_Static_assert(sizeof(struct alias_op) == 16, "ABI");
_Static_assert(sizeof(struct alias_fault) == 24 + 8 * ALIAS_FAULT_VAS, "ABI");
_Static_assert(sizeof(struct alias_guest_stats) == 256, "ABI");
_Static_assert(offsetof(struct alias_common_page, flushed) == 64, "ABI");
_Static_assert(offsetof(struct alias_common_page, wanted_strategy) == 128, "ABI");
_Static_assert(offsetof(struct alias_common_page, strategy) == 132, "ABI");
_Static_assert(offsetof(struct alias_common_page, log_wanted) == 136, "ABI");
_Static_assert(offsetof(struct alias_common_page, logging) == 140, "ABI");
_Static_assert(sizeof(struct alias_common_page) == ALIAS_PAGE_SIZE, "ABI");
_Static_assert(offsetof(struct alias_vcpu_page, fault) == 40, "ABI");
_Static_assert(offsetof(struct alias_vcpu_page, stats) == 192, "ABI");
_Static_assert(offsetof(struct alias_vcpu_page, ops) == 448, "ABI");
_Static_assert(offsetof(struct alias_vcpu_page, log) == 2496, "ABI");
_Static_assert(sizeof(struct alias_log_record) == 24, "ABI");
_Static_assert(sizeof(struct alias_log) == 128, "ABI");
_Static_assert(ALIAS_LOG_SIZE % ALIAS_PAGE_SIZE == 0, "ABI");
_Static_assert(offsetof(struct alias_vcpu_page, updates_pfn) == 2624, "ABI");
_Static_assert(offsetof(struct alias_vcpu_page, update_status) == 2640, "ABI");
_Static_assert(ALIAS_UPDATE_MAX * sizeof(struct alias_update) == ALIAS_PAGE_SIZE, "ABI");
_Static_assert(sizeof(struct alias_vcpu_page) == ALIAS_PAGE_SIZE, "ABI");

#endif
