/* SPDX-License-Identifier: MIT */
/* Shared by the files of pin/ alone. */
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

struct machine;
struct store_ops;
struct vcpu;
struct vm;

#define PIN_SAID_MAX  10 /* of a kind said in full; the rest is counted */
#define CLOCK_FLUSHED 1  /* what the clock of guarded tables always says is flushed */

/* What entries of one kind came to. */
struct op_count {
	uint64_t requests; /* answered */
	uint64_t granted, refused;
	uint64_t aliases_met;      /* of them that met a mapping in the way at first sight */
	uint64_t upcalls;          /* sent back into the guest for it */
	uint64_t upcalls_resolved; /* of these granted at the repeat */
};

/* By enum at_to, and after these: */
#define NR_TRANSITIONS 3
#define COUNT_DEFLATE  NR_TRANSITIONS

struct pin_count {
	uint64_t calls;       /* of the hypercall, repeats after an upcall included */
	uint64_t ticks;       /* TSC ticks spent in them, waiting for the lock included */
	uint64_t lock_ticks;  /* of them waiting for the lock */
	uint64_t sync_ticks;  /* of them bringing the tracker up to date */
	uint64_t track_ticks; /* of these arming, disarming and asking what was dirtied */
	uint64_t flush_ticks; /* of them in host_flushes, their syncs included */
	struct op_count ops[NR_TRANSITIONS + 1];
	uint64_t unpins;                  /* entries answered */
	uint64_t status[ALIAS_NR_STATUS]; /* of all entries answered, with this status */
	uint64_t host_flushes;            /* times that vCPUs were flushed for want of evidence */
	uint64_t waits;                   /* times that vCPUs were sent to wait for one instead */
	uint64_t vcpus_flushed;           /* vCPUs that these asked to flush */
	uint64_t vcpus_spared; /* and those whose stamp, or a flush to come, was enough */
	uint64_t kicks;        /* vCPUs kicked out of the guest for them */
	uint64_t violations;
	uint64_t verified;    /* transitions looked at by the oracle */
	uint64_t let_through; /* of them granted although something is in the way */
	uint64_t disagreed;   /* of them answered otherwise than the oracle would */
	/* Of guarded tables. */
	uint64_t stores;         /* of the guest, done for it one by one */
	uint64_t stores_refused; /* and such, and updates, as were not done */
	uint64_t update_calls;   /* ALIAS_CALL_UPDATE made, repeats after an upcall included */
	uint64_t updates;        /* entries written by them */
	uint64_t frames_forgotten, all_forgotten; /* flushes of one frame, of everything */
};

/* What is remembered of a vCPU between its exits; its own thread's. */
struct pin_vcpu {
	/* Between an upcall and the repeated call. */
	struct pin_retry {
		bool pending; /* an upcall was made and the `out` has not come again */
		uint64_t pfn; /* for this frame */
	} retry, wait;        /* to purge; to wait for a flush */
	/* Times in a row that a store was stopped and nothing was found to be wrong; `exits` of the
	 * vCPU had been handled by the last. */
	unsigned stops;
	uint64_t exits;
};

struct pin {
	struct machine *machine;
	struct vm *vm;          /* of the machine */
	struct pin_vcpu *vcpus; /* by index */
	struct at_ops ops;
	struct uffd_wp *uffd;     /* NULL: every table is compared */
	struct guest_log log;     /* its rings are NULL where there is no room for any */
	const char *why_no_watch; /* then */
	bool strict;              /* pinned tables are write-protected: TRACK_STRICT */
	bool looks;               /* false: every pin is granted unseen */
	bool checks;              /* false: and with whatever alias is met */
	bool flushes;             /* ALIAS_CALL_FLUSH is served */
	uint64_t shared_pfn, shared_frames;

	pthread_mutex_t lock; /* guards all below; taken before the world is paused */
	struct alias_tracker *at;
	bool registered;
	enum track_mode source; /* now; what it means where nobody looks is nothing */
	uint32_t log_wanted;    /* number of the wish for a log, the last if there is none now */
	bool logged;            /* the guest keeps one, and the tracker goes by it */
	struct pin_count count;
	bool counts_all; /* mappings of all kinds are counted: there was a transition but pins */
	uint64_t violations_seen; /* of those that the tracker has counted */
	uint64_t verify_draw;     /* random numbers that choose the calls to be verified */
	/* Mappings that come and go between two looks at the tables are never seen, and any frame
	 * may have had one. That some went shows by the guest's clock; where its word doesn't
	 * count, some may have gone at any time. */
	uint64_t looked_at; /* its `cleared` before the last look */
	uint64_t unseen;    /* what went unseen did so by this `cleared`; 0: all is flushed */
	uint64_t unseen_at; /* and by this time of the flush clock */
};

/* What a vCPU asks for: a call of the hypercall, or a store. What was read of it was read once. */
struct batch {
	struct pin *pin;
	struct vcpu *vcpu;
	struct pin_vcpu *own; /* of that vCPU */
	struct alias_vcpu_page *page;
	uint32_t count;
	bool upcalls; /* the guest has a handler */
	bool verify;  /* the oracle is to look at its pins */
	bool waits;   /* which can wait for flushes, whose end the guest's clock tells */
	bool paused;  /* the other vCPUs are */
};

enum served { SERVED, UPCALL };

/* --- pages.c ---------------------------------------------------------------------------------- */

/* The shared page of that vCPU; the guest may change it at any time. */
struct alias_vcpu_page *pin_vcpu_page(const struct machine *machine, unsigned index);
/* That of all; likewise. */
struct alias_common_page *common_page(const struct machine *machine);

/* --- tracking/tracking.c ---------------------------------------------------------------------- */

/* Fills ops, and starts write tracking where it is or may come to be of use. False after saying
 * why: no memory. */
bool open_tracking(struct pin *pin);
void close_tracking(struct pin *pin);
/* Tells the guest whether to keep a log, by the source. */
void ask_for_log(struct pin *pin);
/* Goes by the guest's log from when it says that it keeps one, and no longer. The lock is held. */
void follow_log(struct pin *pin);
/* Not of TRACK_OFF. */
enum at_mode to_at_mode(enum track_mode source);
/* How, or why not; static storage. */
const char *write_tracking(const struct pin *pin);

/* --- sync.c: the lock is held ----------------------------------------------------------------- */

/* Brings the tracker up to date, and says what is found on the way. */
void sync_tables(struct pin *pin);
/* The same, and checks what log there is. */
void audit_tables(struct pin *pin);
/* After a look that began when the guest's `cleared` was `before`: has something gone unseen? */
void note_unseen(struct pin *pin, uint64_t before);
/* Says what the tracker has found against the rules, and ends the guest if so asked. */
void report_violations(struct pin *pin);

/* --- flush.c ---------------------------------------------------------------------------------- */

/* Flushes those vCPUs that may hold what was found gone of what is in the way, or went unseen.
 * `self` calls from its exit handler; `paused`: it has paused the others. The lock is held. The
 * tables are looked at once more. */
void host_flush(struct pin *pin, struct vcpu *self, bool paused, uint64_t pfn,
		struct at_transition to);
/* Finds out whether ALIAS_CALL_FLUSH is to be served. False after saying why: no memory. */
bool open_flushes(struct pin *pin);
/* That call. Own thread, no lock. */
enum alias_status serve_flush(struct pin *pin, struct vcpu *vcpu);

/* --- verify.c: the lock is held --------------------------------------------------------------- */

/* Is this call one of those that --verify is for? */
bool verify_is_due(struct pin *pin);
/* Does a full walk agree with this answer? vCPUs are paused. */
void verify(struct pin *pin, uint64_t pfn, struct at_transition to, enum alias_status status);

/* --- strict.c: where pinned tables are write-protected; the lock is held ---------------------- */

/* at_pin(), the frame being write-protected from before it is judged; no longer if it is refused.
 */
enum at_verdict write_protected_pin(struct batch *batch, uint64_t pfn, unsigned level);
/* at_become() for what else a frame becomes. */
enum at_verdict write_protected_become(struct batch *batch, uint64_t pfn, struct at_transition to);

/* --- transition.c: the lock is held ----------------------------------------------------------- */

/* An op that asks for this: its answer in *status, and counted, unless a stale alias is to be
 * purged first; then the guest has been told where, `index` being that of the op. */
enum served serve_transition(struct batch *batch, uint64_t pfn, struct at_transition to,
			     uint32_t index, enum alias_status *status);
/* ALIAS_OP_DEFLATE: its answer, counted. */
enum alias_status serve_deflate(struct batch *batch, uint64_t pfn);
/* Raises the upcall with RIP at the `out` of the current exit. */
void send_upcall(struct batch *batch);
enum alias_status to_status(enum at_verdict verdict);

/* --- change.c: write-protected tables; the lock is held --------------------------------------- */

/* An entry that is to get a new value, and what became of that. */
struct change {
	uint64_t pte_gpa, old, pte;
	uint8_t level; /* of the table */
	enum alias_status status;
};

/* All of them or none. UPCALL is for one alone, if at all. */
enum served change_entries(struct batch *batch, struct change *changes, unsigned nr);
/* Those that the frame lists; it may be any. */
enum alias_status serve_updates(struct batch *batch, uint64_t pfn);

/* --- store.c ---------------------------------------------------------------------------------- */

/* Where pinned tables are write-protected. Its context is the struct pin. */
extern const struct store_ops pin_store_ops;

#endif
