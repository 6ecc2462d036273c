/* SPDX-License-Identifier: MIT */
/* clang-format off */
/*
 * The interface between guest and host, included by both.
 *
 * Discovery. The guest finds the interface in the node /hypervisor of its flattened device tree:
 *
 *   compatible      "aliastrap,hypervisor" (ALIAS_COMPATIBLE)
 *   abi-version     ALIAS_ABI_VERSION
 *   hypercall-port  I/O port. A 32-bit `out` of an ALIAS_CALL_* code makes that call.
 *   poweroff-port   I/O port. A 32-bit `out` of an exit status, 0..ALIAS_EXIT_MAX, ends the
 *                   machine.
 *   upcall-vector   exception vector of the upcall
 *   reg             first pair: gpa and size of the shared pages, one struct alias_common_page and
 *                   then one struct alias_vcpu_page for each vCPU, in the order of the nodes under
 *                   /cpus. Second pair, optional: gpa and size of the logs, ALIAS_LOG_SIZE bytes
 *                   for each vCPU, in the same order.
 *
 * Trust. A call passes no address: each vCPU uses its own shared page, so vCPUs need no lock
 * between them. The host reads each field once, checks its own copy, and trusts none of the values.
 *
 * Words. An *op* is one operation of a batch: pin, unpin, and so on. A *pte* is an entry of a page
 * table of any level, and pte_gpa its guest physical address. The *direct map* is the guest's
 * linear mapping of all memory; the guest names it once, with ALIAS_CALL_REGISTER. An *alias* is a
 * mapping outside the direct map that an op forbids (see Transitions); it is *stale* if the guest
 * has unmapped it lazily and not yet purged it.
 *
 * A pin, step by step.
 *
 *   1. The guest writes `ops`, `count` and `flags` in its page, ALIAS_PENDING to `call_status`, and
 *      makes ALIAS_CALL_PIN.
 *   2. The host serves the ops in order, and gives each a status other than ALIAS_PENDING.
 *   3. If an op meets an alias and the batch has ALIAS_BATCH_UPCALL, the host instead fills `fault`
 *      and raises the *upcall*: the exception `upcall-vector`, without error code, with RIP still
 *      at the `out`.
 *   4. The handler purges the alias and returns by IRETQ, which executes the same `out` again. The
 *      host skips ops that have a status other than ALIAS_PENDING, so the batch continues at the op
 *      that met the alias.
 *   5. Each op gets one such upcall at most. If an alias is left after it, or if the batch does not
 *      have ALIAS_BATCH_UPCALL, the status is ALIAS_HAS_ALIAS and `fault` says where the alias is.
 *
 * So the code that pins does not see that an alias had to be purged.
 *
 * The host tells a second try from a new call by `call_status`: if it is ALIAS_PENDING, the call is
 * new, and its ops have upcalls of their own, whatever happened to the handler of an earlier call.
 * Otherwise the same `out` with the same op is its second try. Calls that a handler makes are new.
 * A store has no such sign: the handler of a store's upcall must return to it. If it leaves instead,
 * the same store to the same entry, made again, counts as the second try, and is refused if there is
 * an alias.
 *
 * TLBs. If no alias is left in the page tables, but a TLB may still hold one (`flushed` is less
 * than `cleared` was when the host found the alias gone, see struct alias_common_page), then a
 * flush is needed before the op is done. If the batch has ALIAS_BATCH_WAIT, the host raises the
 * upcall with `fault.nr` 0: the guest's own flush is under way, and the handler waits until it is
 * complete. Each op gets one such upcall at most. Otherwise the host flushes the TLBs itself.
 *
 * Transitions. A frame becomes memory of another type, or memory of the host, in the same way as it
 * becomes a page table. The transitions differ in the mappings of the frame that they forbid:
 *
 *   ALIAS_OP_PIN      the frame becomes a page table: writable mappings are forbidden
 *   ALIAS_OP_MEMTYPE  it gets another memory type: mappings with any other type are forbidden
 *   ALIAS_OP_INFLATE  it becomes the host's: all mappings are forbidden
 *
 * A frame is in one of these three states at most. A forbidden mapping that appears after the host
 * has granted the transition is a violation. The direct map is exempt: the host neither forbids its
 * mappings nor reports them. "A mapping" below means one outside the direct map.
 *
 * Memory types. To change the type of a frame the guest does three things in this order:
 *
 *   1. It asks, with ALIAS_OP_MEMTYPE. The direct map keeps the old type until the answer, since
 *      the frame is in use; then there is nothing to undo after a refusal. (If changing the direct
 *      map needs memory, the guest allocates it before it asks.)
 *   2. It changes the type in the direct map, flushes all TLBs, and flushes the frame from the
 *      caches.
 *   3. It maps the frame elsewhere, with the new type.
 *
 * The way back to type 0 is the same.
 *
 * Ballooning. After ALIAS_OP_INFLATE the frame takes no memory of the host. The direct map may keep
 * mapping it: loads there read zeroes; stores may be lost, and make the host allocate memory for
 * the frame again. ALIAS_OP_DEFLATE gives the frame back to the guest, filled with zeroes.
 *
 * Write-protected tables. If the answer to ALIAS_CALL_REGISTER has ALIAS_WRITE_PROTECTED (vmm
 * --track strict), the guest cannot write to a pinned table. The host does each store to one, after
 * it has checked that the store breaks no rule.
 *
 *   - If a store to one entry links a table that is not pinned, and breaks no other rule, the host
 *     pins that table, as if an op of a batch had asked for it. If that table has a stale alias,
 *     `fault.op` is ALIAS_FAULT_STORE, and RIP at the upcall is at the store.
 *   - A store that breaks a rule is not done. It raises #GP(0) with RIP at the store. (RIP is
 *     behind the store if KVM had already emulated it when the host learnt of it.)
 *   - What the guest reads back may differ from what it stored: the host sets the accessed bit in
 *     present entries, and the dirty bit in leaves.
 *   - ALIAS_CALL_UPDATE writes many entries with one call.
 */
/* clang-format on */
#ifndef ALIAS_ABI_H
#define ALIAS_ABI_H

#include <stddef.h>
#include <stdint.h>

#define ALIAS_ABI_VERSION 1u
#define ALIAS_COMPATIBLE  "aliastrap,hypervisor"

/* The ELF note that says that a guest image uses this interface: its name, its type, and as
 * description ALIAS_ABI_VERSION in 32 bits. A guest without the note gets no node /hypervisor. */
#define ALIAS_NOTE_NAME  "aliastrap"
#define ALIAS_NOTE_GUEST 1u

#define ALIAS_PAGE_SIZE 4096u

/* The guest's strategy against stale aliases of page tables (guest/flush/, vmm --flush). README
 * describes each. */
enum alias_strategy {
	/* Neither guest nor host acts on an alias: unsafe. Only for a whole run; it can't be
	 * switched to or from. */
	ALIAS_FLUSH_NONE = 0,
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

/* Calls: the codes written to the hypercall port, each by an `out` of its own. Not by a string
 * instruction (OUTS): if that makes several calls, registers, or needs an upcall, the answer is
 * ALIAS_BAD_CALL. (If it does none of this, the host can't tell it from an `out`.) */
enum alias_call {
	/* Registers the guest. `direct_base` and `direct_size` of the caller's page say where the
	 * direct map is. Made once, before the first pin. The host answers in `call_status` and
	 * `features`. */
	ALIAS_CALL_REGISTER = 1,
	/* Serves the batch in the caller's page. `call_status` is the answer to the call as a
	 * whole, `ops[i].status` the answer to each op. */
	ALIAS_CALL_PIN = 2,
	/* Writes entries of pinned tables: the frame `updates_pfn` holds `nr_updates` elements of
	 * struct alias_update, and the host does them in order, each as a store would be done, with
	 * its answer in `update_status`. Only if the features have ALIAS_WRITE_PROTECTED.
	 *
	 * The host reads that frame once, and never writes it. If an update took a right away, the
	 * host flushes the TLBs once, after the last update. An upcall comes as it does in a batch;
	 * the updates before it are done by then. After it the host reads everything again, so the
	 * handler must not change the updates or their answers. The handler of a batch's upcall may
	 * make this call. */
	ALIAS_CALL_UPDATE = 3,
	/* Flushes all entries from the TLBs of all vCPUs. If `call_status` is ALIAS_OK, no vCPU
	 * uses a translation from before the call any more; with any other answer the guest must
	 * assume that nothing was flushed. Only if the features have ALIAS_FLUSHES.
	 *
	 * The caller must write to its shared page (to `call_status`) before the call and after it
	 * has changed its page tables: the host flushes by dropping its mapping of that page, and
	 * the write makes sure that there is one. The handler of a batch's upcall may make this
	 * call. */
	ALIAS_CALL_FLUSH = 4,
};

/* Maximum size of the guest's command line, bytes, with the terminating NUL. It is Linux's. */
#define ALIAS_CMDLINE_SIZE 2048u

/* The highest exit status of a guest. Higher ones are those of vmm itself (vmm/status.h). */
#define ALIAS_EXIT_MAX 63u

enum alias_opcode {
	/* Pins the frame as page table of `level`, 1..4. Level 4 makes it a root: the host tracks
	 * the whole tree below it. */
	ALIAS_OP_PIN = 1,
	/* Makes a page table an ordinary frame again. No pinned table may link it any more. */
	ALIAS_OP_UNPIN = 2,
	/* Gives the frame the memory type `memtype`: an index into the PAT, 0..7. All frames begin
	 * with 0. All processors must have the same PAT, and each memory type that is used must
	 * stand at one index of it only. */
	ALIAS_OP_MEMTYPE = 3,
	/* Gives the frame to the host. Its memory type must be 0. Its content is lost. */
	ALIAS_OP_INFLATE = 4,
	/* Takes the frame back from the host, filled with zeroes. */
	ALIAS_OP_DEFLATE = 5,
};

/* The host's answer to a call, an op or an update. */
enum alias_status {
	ALIAS_PENDING = 0, /* no answer yet: the guest writes this before the call */
	ALIAS_OK,          /* done */
	ALIAS_HAS_ALIAS,   /* refused: the frame has a forbidden mapping; `fault` says where */
	ALIAS_BAD_FRAME,   /* the frame is outside of memory, or of the shared pages or logs */
	ALIAS_BAD_LEVEL,   /* level is not 1..4 */
	ALIAS_BAD_OP,      /* unknown op */
	/* The frame's state does not allow the op. PIN: it is pinned, or has a memory type other
	 * than 0. MEMTYPE, INFLATE: it is pinned, or linked as a table under a pinned root; for
	 * INFLATE also if its memory type is not 0. UNPIN: it is not pinned, or still linked.
	 * DEFLATE: it is not the host's. */
	ALIAS_BAD_STATE,
	/* It links a table that is not pinned one level below; or, for a root, a table of its tree
	 * does. */
	ALIAS_CHILD_UNPINNED,
	ALIAS_MAPS_TABLE,       /* the tree of this root maps a pinned table writable */
	ALIAS_BAD_TABLE,        /* in it or its tree: a link outside of memory, or reserved bits */
	ALIAS_BAD_CALL,         /* malformed call: count too large, not registered, ... */
	ALIAS_BAD_MEMTYPE,      /* memtype is not 0..7 */
	ALIAS_IS_BALLOONED,     /* the frame is the host's (ALIAS_OP_INFLATE) */
	ALIAS_MAPS_BALLOONED,   /* the tree of this root maps a frame that is the host's */
	ALIAS_MEMTYPE_CONFLICT, /* its tree maps a frame with another memory type than it has */
	ALIAS_NO_MEMORY,        /* the host is out of memory */
	ALIAS_NR_STATUS,
};

/* One op of a batch. The guest writes it with status ALIAS_PENDING, the host writes the status. */
struct alias_op {
	uint64_t pfn;
	uint16_t op; /* enum alias_opcode */
	union {
		uint16_t level;   /* ALIAS_OP_PIN */
		uint16_t memtype; /* ALIAS_OP_MEMTYPE */
	};
	uint32_t status; /* enum alias_status */
};

#define ALIAS_BATCH_MAX  128u
#define ALIAS_FAULT_VAS  16u
#define ALIAS_UPDATE_MAX 256u /* fills one frame */

/*
 * One update (ALIAS_CALL_UPDATE): the entry at `pte_gpa`, in a pinned table, becomes `pte`.
 * Answers:
 *
 *   ALIAS_OK                 done
 *   ALIAS_BAD_FRAME          pte_gpa is not a multiple of 8, or outside of memory
 *   ALIAS_BAD_STATE          pte_gpa is not in a pinned table
 *   ALIAS_BAD_TABLE          pte links a frame outside of memory, or has reserved bits set
 *   ALIAS_MAPS_TABLE         pte maps a pinned table writable
 *   ALIAS_MAPS_BALLOONED     pte maps a frame that is the host's
 *   ALIAS_MEMTYPE_CONFLICT   pte maps a frame with another memory type than it has
 *   any answer of a pin      pte links a table that is not pinned, and its pin was refused so
 */
struct alias_update {
	uint64_t pte_gpa;
	uint64_t pte;
};

/* Flags: `flags` of the vCPU page. ALIAS_BATCH_UPCALL holds for updates and for stores, too, with
 * the value that it has at that time. */
#define ALIAS_BATCH_UPCALL 1u /* the guest has a handler for the upcall */
#define ALIAS_BATCH_WAIT   2u /* the handler can wait for the guest's own flush; for batches only */

/* Features, the host's answer to ALIAS_CALL_REGISTER. */
#define ALIAS_WRITE_PROTECTED 1u /* only the host can write to pinned tables */
#define ALIAS_FLUSHES         2u /* ALIAS_CALL_FLUSH works */
#define ALIAS_TRACES          4u /* the host would have records of purges and flushes (Origins) */

#define ALIAS_FAULT_STORE UINT32_MAX /* value of alias_fault.op: a store, and no op of a batch */

/* Where the alias is that the host met. Written before an upcall, and before the status
 * ALIAS_HAS_ALIAS. */
struct alias_fault {
	uint64_t pfn;                 /* the frame that has the alias */
	uint32_t op;                  /* index into `ops`, or ALIAS_FAULT_STORE */
	uint32_t nr;                  /* number of addresses in `va`; 0: wait for a flush */
	uint32_t more;                /* 1: there are further aliases, which are not in `va` */
	uint32_t reserved;            /* 0 */
	uint64_t va[ALIAS_FAULT_VAS]; /* page-aligned virtual addresses that map the frame */
};

/*
 * Counters of the guest. Each vCPU writes those in its own page, with plain 8-byte stores. The host
 * reads them for its statistics (vmm --stats) and uses them for nothing else. "Ticks" are ticks of
 * the TSC.
 */
struct alias_guest_stats {
	uint64_t vmaps;           /* calls of vmap and vm_map_ram */
	uint64_t vunmaps;         /* calls of vunmap and vm_unmap_ram */
	uint64_t unmap_aliases;   /* calls of vm_unmap_aliases, from anywhere */
	uint64_t purges;          /* purges that had something to flush */
	uint64_t purged_pages;    /* PTEs cleared and flushed, by purges or before them */
	uint64_t shootdowns;      /* flushes of all CPUs' TLBs, by IPIs or by the host */
	uint64_t shootdown_ipis;  /* IPIs sent for them */
	uint64_t local_flushes;   /* TLB flushes of this CPU, its own and those that an IPI asked
				     for; and for each flush that it had the host make, one for
				     each CPU */
	uint64_t shootdown_wait;  /* ticks spent waiting for acknowledgements of IPIs */
	uint64_t pins;            /* ops submitted with ALIAS_OP_PIN */
	uint64_t unpins;          /* ops submitted with ALIAS_OP_UNPIN */
	uint64_t pin_calls;       /* ALIAS_CALL_PIN made, without the repeat after an upcall */
	uint64_t upcalls;         /* upcalls for an alias */
	uint64_t upcall_pages;    /* PTEs cleared by their handler */
	uint64_t tables_recycled; /* of `tables`, those frames that had been vmapped before */
	uint64_t address_spaces;  /* address spaces created */
	uint64_t lazy_pages_max;  /* the most pages held lazily, as seen by this CPU */
	uint64_t tables;          /* frames allocated as page tables */
	uint64_t tables_aliased;  /* of `tables`, those still mapped where they were vmapped last */
	uint64_t workload_ticks;  /* ticks from the start of the work on all CPUs to its end */
	uint64_t shootdown_spin;  /* of shootdown_wait, the ticks in which this CPU really ran */
	uint64_t lock_spin;       /* ticks that this CPU ran waiting for spinlocks */
	uint64_t pin_ticks;       /* ticks in ALIAS_CALL_PIN, upcalls and the host included */
	uint64_t upcall_ticks;    /* of pin_ticks, those in the upcall's handler */
	uint64_t purge_ticks;     /* ticks in purges, flushes included */
	uint64_t flush_ticks;     /* ticks in flushes of kernel ranges, waits included */
	uint64_t memtypes;        /* ops submitted with ALIAS_OP_MEMTYPE */
	uint64_t inflates;        /* ops submitted with ALIAS_OP_INFLATE */
	uint64_t deflates;        /* ops submitted with ALIAS_OP_DEFLATE */
	uint64_t host_shootdowns; /* of shootdowns, those by the host (ALIAS_CALL_FLUSH) */
	uint64_t reserved[2];
};

/*
 * The log of changes. The guest may log each change of an entry of a page table that is reachable
 * from a pinned root, or is about to be. The host then reads the changed entries only, instead of
 * all tables. Now and then it audits the log against the tables, and reports every mismatch.
 *
 * Each vCPU has a ring of its own: the records, and struct alias_log in its shared page. For each
 * change it does this, in this order, each store visible before the next one (release):
 *
 *   1. stores the entry's gpa in `changing`, with a full fence behind it (xchg);
 *   2. changes the entry; the vCPU must know the value that it replaces;
 *   3. if there is room (head - tail < ALIAS_LOG_RECORDS; `tail` is loaded with acquire), writes
 *      the record at index head % ALIAS_LOG_RECORDS, then increments `head`; if there is none,
 *      increments `lost`. It never waits for room.
 *   4. stores 0 in `changing`.
 *
 * So a record is never written before its entry has changed. If the host sees that an entry has
 * changed, it either sees the entry named in `changing`, or, if it looks after that, finds the
 * change recorded or counted as lost. Accessed and dirty bits that the processor sets are not
 * logged.
 *
 * The host also reports a log mismatch if a loss is counted while the ring has room, if there are
 * more records than the ring holds, if the log is turned off while `log_wanted` is unchanged, and
 * if a vCPU names the same entry for a second, without a record, while it runs. (Only the time in
 * which it does run counts, and of that at most 250 ms from one sync to the next.) Steps 1 to 4
 * must follow each other at once: no access to a port, and so no call, in between.
 *
 * Turning it on and off. The host stores a number in `log_wanted` of the common page; 0 means no
 * log. A vCPU that begins a pin call and finds another number in `logging` makes all vCPUs log from
 * then on (or stop, for 0). It stores the number in `logging` while no vCPU is between steps 1 and
 * 4.
 */
#define ALIAS_LOG_RECORDS 4096u
#define ALIAS_LOG_SIZE    (ALIAS_LOG_RECORDS * 24u)

struct alias_log_record {
	uint64_t pte_gpa;  /* gpa of the entry */
	uint64_t from, to; /* the entry's value before and after the change */
};

struct alias_log {
	_Alignas(64) uint64_t changing; /* written by the guest: gpa of the entry being changed */
	uint64_t head;                  /* written by the guest: number of records written */
	uint64_t lost;                  /* written by the guest: changes that found no room */
	_Alignas(64) uint64_t tail;     /* written by the host: number of records read */
};

/*
 * Origins: who has made a mapping, and who has removed it. Each vCPU may keep the last
 * ALIAS_ORIGINS records of that in a ring, in any of the guest's memory, and name it in its shared
 * page. The host reads them when it tells somebody of an alias.
 *
 * If the host answers ALIAS_TRACES, the guest may also keep records of its purges there, and of its
 * flushes of other CPUs' TLBs, each when it is over, and the host shows them in its trace. The
 * record of a purge tells of its flush, which needs none of its own. They take room of the others:
 * the ring then reaches less far back, and fewer origins are known.
 *
 * The host takes the records for the guest's word, and decides nothing by them.
 */
#define ALIAS_ORIGINS 512u

enum alias_origin_kind {
	ALIAS_ORIGIN_NONE,
	ALIAS_ORIGIN_MAPPED,
	ALIAS_ORIGIN_UNMAPPED,
	ALIAS_ORIGIN_PURGE,
	ALIAS_ORIGIN_FLUSH,
};

struct alias_origin {
	union {
		uint64_t va;    /* MAPPED, UNMAPPED: of the first page */
		uint64_t start; /* PURGE, FLUSH: the vCPU's TSC when it began */
	};
	union {
		uint64_t caller; /* the return address of the call that mapped or unmapped */
		uint64_t end;    /* the vCPU's TSC when it was over */
	};
	uint32_t nr_pages; /* MAPPED: how many pages; PURGE: PTEs cleared */
	uint16_t kind;     /* enum alias_origin_kind */
	uint16_t cpus;     /* PURGE, FLUSH: how many CPUs' TLBs were flushed */
	union {
		uint32_t purges;      /* MAPPED, UNMAPPED: the common page's `purges` then, modulo
					 2^32 */
		uint32_t flush_start; /* PURGE: when its flush began, in ticks after `start` */
	};
	union {
		uint32_t pins;      /* MAPPED, UNMAPPED: the vCPU's stats.pins then, modulo 2^32 */
		uint32_t flush_end; /* PURGE: when its flush was over, in ticks after `start` */
	};
};

/*
 * The page that all vCPUs share.
 *
 *   wanted_strategy  The host stores the strategy that it wants (enum alias_strategy), or 0 for no
 *                    wish. A vCPU that begins a pin call exchanges it for 0, and switches to that
 *                    strategy if it can. ALIAS_FLUSH_NONE, which is 0, can't be asked for.
 *   strategy         The guest stores the strategy that it uses, for the host's statistics.
 *   log_wanted       The host stores the number of the log that it wants, or 0 for none (above).
 *   logging          The guest stores the number of the log that it keeps, or 0 for none (above).
 *   lazy_pages       The guest stores how many pages it holds lazily, for the host's statistics.
 *   purges           The guest stores how many purges there have been on all CPUs, for the ages of
 *                    mappings (below).
 *
 * `cleared` and `flushed` are the guest's word about its TLBs. The host uses them with --track
 * dirty, log and scan, unless --flush-proof host is given; with strict it never does.
 *
 *   cleared  The guest increments it (release) whenever it removes or weakens entries that a TLB
 *            may still hold after the host can see them gone: after these entries were made, and
 *            before they are removed. So a mapping that was made and removed between two syncs of
 *            the host has incremented it, too.
 *   flushed  The guest sets it to s (release, and never to a smaller value) when all CPUs have
 *            acknowledged a flush of their TLBs that began after `cleared` was s and after the
 *            entries of that time were removed.
 *
 * So an entry that the host finds gone when `cleared` is c is in no TLB any more once `flushed` is
 * c or more. A guest that flushes before the host can see an entry gone need not increment
 * `cleared`.
 */
struct alias_common_page {
	_Alignas(64) uint64_t cleared;
	_Alignas(64) uint64_t flushed;
	_Alignas(64) uint32_t wanted_strategy;
	uint32_t strategy;
	uint32_t log_wanted;
	uint32_t logging;
	uint64_t lazy_pages;
	uint64_t purges;
	uint8_t pad[ALIAS_PAGE_SIZE - 160];
};

/* The page of one vCPU. Only that vCPU writes it, and the host during that vCPU's calls and stores
 * to write-protected tables, and `log.tail` at any time. */
struct alias_vcpu_page {
	/* Written by the guest: */
	uint32_t count; /* ALIAS_CALL_PIN: number of ops, 1..ALIAS_BATCH_MAX */
	uint32_t flags; /* ALIAS_BATCH_* */
	/* Written by the guest (ALIAS_PENDING) before the call, and by the host: */
	uint32_t call_status; /* enum alias_status of the call as a whole */
	/* Written by the host: */
	uint32_t features; /* ALIAS_CALL_REGISTER: ALIAS_WRITE_PROTECTED, ... */
	/* Written by the guest, for ALIAS_CALL_REGISTER: */
	uint64_t direct_base; /* virtual address of gpa 0, a multiple of 512 GiB */
	uint64_t direct_size; /* bytes, a multiple of 512 GiB */
	uint64_t unused;      /* 0 */
	struct alias_fault fault;
	struct alias_guest_stats stats;
	struct alias_op ops[ALIAS_BATCH_MAX];
	struct alias_log log;
	/* Written by the guest, for ALIAS_CALL_UPDATE: */
	uint64_t updates_pfn; /* any frame of memory; it holds the struct alias_update */
	uint32_t nr_updates;  /* 1..ALIAS_UPDATE_MAX */
	uint32_t reserved;
	/* Written by the guest (ALIAS_PENDING) before the call, and by the host: */
	uint8_t update_status[ALIAS_UPDATE_MAX]; /* enum alias_status of each update */
	/* Written by the guest: */
	uint64_t origins_gpa; /* of ALIAS_ORIGINS struct alias_origin; a multiple of 8; 0: none */
	uint64_t nr_origins;  /* records written; the last is at (nr_origins - 1) % ALIAS_ORIGINS */
	uint8_t pad[ALIAS_PAGE_SIZE - 44 - sizeof(struct alias_fault) -
		    sizeof(struct alias_guest_stats) - ALIAS_BATCH_MAX * sizeof(struct alias_op) -
		    sizeof(struct alias_log) - 32 - ALIAS_UPDATE_MAX];
};

_Static_assert(sizeof(struct alias_op) == 16, "ABI");
_Static_assert(sizeof(struct alias_fault) == 24 + 8 * ALIAS_FAULT_VAS, "ABI");
_Static_assert(sizeof(struct alias_guest_stats) == 256, "ABI");
_Static_assert(offsetof(struct alias_common_page, flushed) == 64, "ABI");
_Static_assert(offsetof(struct alias_common_page, wanted_strategy) == 128, "ABI");
_Static_assert(offsetof(struct alias_common_page, strategy) == 132, "ABI");
_Static_assert(offsetof(struct alias_common_page, log_wanted) == 136, "ABI");
_Static_assert(offsetof(struct alias_common_page, logging) == 140, "ABI");
_Static_assert(offsetof(struct alias_common_page, lazy_pages) == 144, "ABI");
_Static_assert(offsetof(struct alias_common_page, purges) == 152, "ABI");
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
_Static_assert(offsetof(struct alias_vcpu_page, origins_gpa) == 2896, "ABI");
_Static_assert(sizeof(struct alias_origin) == 32, "ABI");
_Static_assert(ALIAS_UPDATE_MAX * sizeof(struct alias_update) == ALIAS_PAGE_SIZE, "ABI");
_Static_assert(sizeof(struct alias_vcpu_page) == ALIAS_PAGE_SIZE, "ABI");

#endif
