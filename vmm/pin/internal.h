/* SPDX-License-Identifier: MIT */
/* For the files of pin/ only. */
#ifndef VMM_PIN_INTERNAL_H
#define VMM_PIN_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "alias_abi.h"
#include "alias_tracker.h"
#include "pin/guest_log.h"
#include "options.h"
#include "pin/tracking/uffd.h"

struct areas;
struct machine;
struct store_ops;
struct vcpu;
struct vm;

#define RETRIES_MAX   4u  /* upcalls of one vCPU within the handlers of upcalls */
#define PIN_SAID_MAX  10  /* messages of one kind that are printed; the rest are counted */
#define PIN_NAMED_MAX 256 /* aliases let through that a trace names; likewise */
#define CLOCK_FLUSHED 1   /* what the clock of write-protected tables always gives as `flushed` */

/* Counters of one kind of transition. */
struct op_count {
	uint64_t requests; /* ops answered */
	uint64_t granted, refused;
	uint64_t aliases_met;      /* of `requests`, with an alias before any upcall */
	uint64_t upcalls;          /* upcalls for them */
	uint64_t upcalls_resolved; /* of `aliases_met`, granted after an upcall */
};

/* Indices of pin_count.ops: enum at_to, then: */
#define NR_TRANSITIONS 3
#define COUNT_DEFLATE  NR_TRANSITIONS

struct pin_count {
	uint64_t calls;       /* hypercalls, including repeats after an upcall */
	uint64_t ticks;       /* TSC ticks in them, including waiting for the lock */
	uint64_t lock_ticks;  /* of these, waiting for the lock */
	uint64_t sync_ticks;  /* of these, in syncs */
	uint64_t track_ticks; /* of these, in write tracking: arming, disarming, reading what was
				 dirtied */
	uint64_t flush_ticks; /* of `ticks`, in host_flushes, including their syncs */
	struct op_count ops[NR_TRANSITIONS + 1];
	uint64_t unpins;                  /* ops answered */
	uint64_t status[ALIAS_NR_STATUS]; /* ops answered with this status */
	uint64_t host_flushes;            /* times that the host flushed vCPUs */
	uint64_t waits; /* times that a vCPU was sent to wait for the guest's own flush instead */
	uint64_t vcpus_flushed; /* vCPUs that these flushed */
	uint64_t vcpus_spared;  /* vCPUs that they did not need to flush */
	uint64_t kicks;         /* vCPUs kicked for them */
	uint64_t violations;
	uint64_t verified;     /* transitions that the oracle checked */
	uint64_t let_through;  /* of these, granted in spite of an alias */
	uint64_t disagreed;    /* of these, on which the oracle disagrees */
	uint64_t looked_again; /* of these, not judged: a device wrote to a table meanwhile, the log
				  was wrong, or an audit failed: no memory, or the machine ends */
	/* With write-protected tables: */
	uint64_t stores;         /* stores done for the guest, one by one */
	uint64_t stores_refused; /* stores and updates refused */
	uint64_t update_calls;   /* ALIAS_CALL_UPDATE made, including repeats after an upcall */
	uint64_t updates;        /* updates done */
	uint64_t frames_zapped, all_zapped; /* zaps of one frame, and of everything */
};

/* State of a vCPU between its exits; used by its own thread. */
struct pin_vcpu {
	/* Ops that had an upcall and were not tried again yet; the newest last. */
	struct pin_retry {
		uint64_t rip; /* RIP of the `out` or of the store */
		uint64_t pfn;
		struct at_transition to;
		uint32_t index;      /* index in the batch, or ALIAS_FAULT_STORE */
		bool purged, waited; /* which upcalls the op had */
		/* For the trace: number of the alias, and of its event on the vCPU's track; when
		 * the upcall was raised, and the guest's count of purged PTEs then. */
		uint32_t flow;
		uint64_t alias_event, raised, purged_before;
	} retries[RETRIES_MAX];
	unsigned nr_retries;
	/* Number of times in a row that the guest was let try again, each cause for itself: a store
	 * whose frames were writable; at `rip`, an instruction that is not known, and a frame that
	 * an event pushes. `exits` is the number of exits that the vCPU had handled at the last of
	 * them, `changes` that of changes of protections before the last of the first kind. */
	struct pin_stops {
		unsigned writable, unknown, pushed;
		uint64_t rip;
	} stops;
	uint64_t exits, changes;
	/* For the trace: number of the guest's records that were read, and what its TSC is ahead of
	 * the host's. */
	uint64_t origins_taken, tsc_offset;
	uint64_t ran_ms, ran_read; /* how long it had run, and the host's TSC when that was read */
	uint16_t let_through;      /* aliases, in the call that is served */
	bool tsc_asked, tsc_known; /* the latter was asked for; it is set */
};

/* When a sync was, by the host's TSC. */
struct pin_sync {
	uint64_t start, end;
};

struct pin {
	struct machine *machine;
	struct vm *vm; /* &machine->vm */
	struct alias_common_page *common;
	struct trace_track *track_host; /* written under the lock; NULL: no trace */
	struct pin_vcpu *vcpus;         /* by vCPU index */
	struct at_ops ops;
	struct uffd_wp *uffd;    /* NULL: every table is compared */
	struct guest_log log;    /* without rings if there is no room for a log */
	const char *why_no_uffd; /* why `uffd` is NULL, if it is */
	bool strict;             /* TRACK_STRICT: pinned tables are write-protected */
	bool tracks;             /* false: every pin is granted without a check */
	bool checks;             /* false: aliases are found, and granted */
	bool flushes;            /* ALIAS_CALL_FLUSH is served */

	/* Set at most once, under the lock; read by any vCPU's thread. */
	_Atomic bool registered;   /* the guest has begun */
	_Atomic bool guest_events; /* it records its purges and flushes for the trace */

	pthread_mutex_t lock; /* guards all below; taken before vCPUs are paused */
	struct alias_tracker *at;
	enum track_mode track; /* the present one */
	uint32_t log_wanted;   /* number of the log that is wanted, or was last */
	bool logged;           /* the guest keeps a log, and the tracker uses it */
	struct pin_count count;
	struct pin_sync call_sync; /* of the call that is served, for the trace; `end` 0: none */
	struct areas *areas;       /* NULL: nobody has read the origins yet */
	uint32_t flows; /* aliases with arrows in the trace: purged for, or refused at once */
	uint32_t named; /* aliases let through that the trace names */
	/* The set, as pin/regions.h has it, of those with a frame that was ever granted a
	 * transition: only there may frames be something that tables don't tell. */
	uint64_t *regions_granted;
	bool counts_all; /* at_count_all() was called: there was a transition other than a pin */
	uint64_t violations_seen; /* violations of the tracker that are counted */
	uint64_t verify_draw; /* state of the random numbers that choose which calls to verify */
	/* A mapping that was made and removed between two syncs is unseen, and any frame may have
	 * had one. The guest's clock tells that there was one; if the guest's word does not count,
	 * there may always have been one. */
	uint64_t synced_at; /* `cleared` before the last sync */
	uint64_t unseen;    /* unseen mappings went when `cleared` was this at most; 0: none */
	uint64_t unseen_at; /* and at this time of the flush clock at most */
};

/* A request of a vCPU: a hypercall or a store. Everything in it was read once. */
struct batch {
	struct pin *pin;
	struct vcpu *vcpu;
	struct pin_vcpu *own; /* that vCPU's */
	struct alias_vcpu_page *page;
	uint32_t count;
	bool is_new;  /* a new call, not the second try after an upcall */
	bool upcalls; /* ALIAS_BATCH_UPCALL: the guest has a handler */
	bool verify;  /* the oracle checks this call */
	bool waits;   /* ALIAS_BATCH_WAIT counts: the handler can wait for the guest's flush */
	bool paused;  /* the other vCPUs are paused */
	bool cleared; /* the host has cleared a frame since the last sync, which may be a table */
};

enum served { SERVED, UPCALL };

/* --- pages.c ---------------------------------------------------------------------------------- */

/* The shared page of a vCPU; the guest may change it at any time. */
struct alias_vcpu_page *pin_vcpu_page(const struct machine *machine, unsigned index);
/* The shared page of all vCPUs; likewise. It is pin->common. */
struct alias_common_page *common_page(const struct machine *machine);

/* --- tracking/tracking.c ---------------------------------------------------------------------- */

/* Fills pin->ops, and starts write tracking if it is used or may come to be. Returns false after a
 * message: no memory. */
bool open_tracking(struct pin *pin);
void close_tracking(struct pin *pin);
/* Asks the guest to keep a log, or not, by pin->track. */
void ask_for_log(struct pin *pin);
/* Switches the tracker to the guest's log when the guest has begun to keep it, and back. The lock
 * is held. */
void follow_log(struct pin *pin);
/* Not for TRACK_OFF. */
enum at_mode to_at_mode(enum track_mode track);
/* The name of the write tracking, or why there is none; static string. */
const char *write_tracking(const struct pin *pin);

/* --- sync.c: the lock is held ----------------------------------------------------------------- */

/* Syncs the tracker, and reports the violations found. */
void sync_tables(struct pin *pin);
/* The same, but has no event in the trace: *when it was is for the caller to tell. */
void sync_tables_first(struct pin *pin, struct pin_sync *when);
/* Records that sync in the trace, if there is one. */
void trace_sync(struct pin *pin, struct pin_sync sync);
/* Audits: the same, and checks the log. Returns false if not all was followed (after a message, if
 * out of memory). */
bool audit_tables(struct pin *pin);
/* Reports the tracker's violations; ends the guest if --on-violation says so. */
void report_violations(struct pin *pin);

/* --- unseen.c --------------------------------------------------------------------------------- */

/* After a sync that began when the guest's `cleared` was `before`: notes whether mappings may have
 * come and gone unseen. The lock is held. */
void note_unseen(struct pin *pin, uint64_t before);

/* --- flush.c ---------------------------------------------------------------------------------- */

/* Flushes the vCPUs that may still hold an alias that was found gone or went unseen; syncs once
 * more. `self` calls in its exit handler; with `paused` it has paused the others. The lock is
 * held. */
void host_flush(struct pin *pin, struct vcpu *self, bool paused, uint64_t pfn,
		struct at_transition to);
/* Decides whether to offer ALIAS_CALL_FLUSH. Returns false after a message: no memory. */
bool open_flushes(struct pin *pin);
/* Serves that call. Own thread, no lock. */
enum alias_status serve_flush(struct pin *pin, struct vcpu *vcpu);

/* --- verify.c: the lock is held --------------------------------------------------------------- */

/* Is this call to be verified? */
bool verify_is_due(struct pin *pin);
/* Compares this answer with the oracle's. vCPUs are paused. */
void verify(struct pin *pin, uint64_t pfn, struct at_transition to, enum alias_status status);

/* --- strict.c: where pinned tables are write-protected; the lock is held ---------------------- */

/* at_pin(), with the frame write-protected before it is checked, and no longer if it is refused. */
enum at_verdict write_protected_pin(struct batch *batch, uint64_t pfn, unsigned level);
/* at_unpin(), after which the frame is writable; AT_NO_MEMORY if it can't be made so: then it stays
 * pinned. */
enum at_verdict write_protected_unpin(struct batch *batch, uint64_t pfn);
/* at_become() for the other transitions. */
enum at_verdict write_protected_become(struct batch *batch, uint64_t pfn, struct at_transition to);

/* --- retry.c ---------------------------------------------------------------------------------- */

/* Returns the record of the upcalls that this op has had, NULL if it had none. Sets op->rip.
 * Forgets the records of handlers that ran since then. */
struct pin_retry *retry_find(const struct batch *batch, struct pin_retry *op);
/* Makes a record of an op that gets its first upcall. */
struct pin_retry *retry_add(const struct batch *batch, const struct pin_retry *op);
/* The op is answered: forgets its record. */
void retry_end(const struct batch *batch, const struct pin_retry *retry);

/* --- transition.c: the lock is held ----------------------------------------------------------- */

/* The facts that decide the next step of a transition; the frame has been tried once by then, and
 * may have become it. */
struct transition_facts {
	enum at_verdict verdict;
	bool final;     /* the verdict stays, whatever is done */
	bool unflushed; /* a TLB may hold an alias that is gone from the tables */
	bool can_wait;  /* the guest can be sent to wait for a flush of its own */
	bool can_purge; /* the guest can be sent to purge the alias */
};

enum transition_step {
	STEP_WAIT,   /* upcall: the guest waits for its flush, and asks again */
	STEP_FLUSH,  /* the host flushes */
	STEP_BECOME, /* the frame becomes it, if it may: that verdict is final */
	STEP_PURGE,  /* upcall: the guest purges, and asks again */
	STEP_ANSWER, /* granted or refused, by the verdict */
};

/* Pure. */
enum transition_step transition_next(const struct transition_facts *facts);
/* Serves an op that asks for this transition. Returns SERVED, with the answer in *status and
 * counted; or UPCALL, if the guest is to purge an alias first, with `fault` written and its `op`
 * set to `index`. */
enum served serve_transition(struct batch *batch, uint64_t pfn, struct at_transition to,
			     uint32_t index, enum alias_status *status);
/* Serves ALIAS_OP_DEFLATE. Returns the answer, counted. */
enum alias_status serve_deflate(struct batch *batch, uint64_t pfn);
/* Raises the upcall, with RIP at the `out` of the current exit. Returns ALIAS_BAD_CALL, and raises
 * nothing, if that is no `out` but a string instruction: the answer to the call. */
enum alias_status send_upcall(struct batch *batch);
enum alias_status to_status(enum at_verdict verdict);

/* --- change.c: write-protected tables; the lock is held --------------------------------------- */

/* A change of one entry, and its result. */
struct change {
	uint64_t pte_gpa, old, pte;
	uint8_t level; /* level of the table */
	enum alias_status status;
};

/* Makes all of these changes (AT_STORE_MAX at most) or none; the first has the status. Returns
 * UPCALL only for a single change. */
enum served change_entries(struct batch *batch, struct change *changes, unsigned nr);
/* Serves the updates in this frame, which the guest chose. */
enum alias_status serve_updates(struct batch *batch, uint64_t pfn);

/* --- store.c ---------------------------------------------------------------------------------- */

/* For struct vm, with write-protected tables; the context is the struct pin. */
extern const struct store_ops pin_store_ops;

#endif
