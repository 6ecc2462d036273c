/* SPDX-License-Identifier: MIT */
/*
 * The pin protocol, for spin: README.md says what is in it, what is not, and how to read a trail.
 *
 * A number between 0 and FRAMES - 1 is a frame and also the one entry, all in one page table, that
 * can map it; sets of them are bits of a byte, as are sets of vCPUs. A step of a process is one
 * access to what others change at the same time. What only the owner of a lock touches goes along
 * with such a step.
 */
#ifndef VCPUS
#define VCPUS 2
#endif
#ifndef FRAMES
#define FRAMES 2
#endif
/* How often all vCPUs together may. */
#ifndef MAPS
#define MAPS 2
#endif
#ifndef PINS
#define PINS 2
#endif
#ifndef PURGES
#define PURGES 0 /* of their own accord; those of upcalls come on top */
#endif
#ifndef SYNCS
#define SYNCS 0 /* of the host, other than for a call */
#endif

/* TRACKING */
#define UFFD 1 /* vmm/pin/tracking/uffd.c */
#define LOG  2 /* vmm/pin/guest_log.c */
#define PML  3 /* KVM's dirty log on a processor with PML: the road not taken (vmm/pin/tracking/uffd.h) */
#ifndef TRACKING
#define TRACKING UFFD
#endif

/* GUEST */
#define HONEST 1 /* maps no frame that is a table, pins none that is in use */
#define AWOL   2 /* does both, and its handler may do nothing; true are its clock and its log */
#ifndef GUEST
#define GUEST HONEST
#endif

/* PROOF: --flush-proof */
#define BY_GUEST 1
#define BY_HOST  2
#ifndef PROOF
#define PROOF BY_GUEST
#endif

/* BUG: what is broken on purpose. `check` says what each is. */
#define FLUSH_FIRST      1
#define CLEAR_AFTER_READ 2
#define TRUST_REPLY      3
#define NO_KICK_PML      4
#define NO_RECHECK       5
#define NO_KICK_FLUSH    6
#define NO_SECOND_SYNC   7
#define UFFD_UNLOCKED   8
#define LET_THROUGH      9
#define STAMP_EQUAL     10
#define TICK_LATE       11
#define CLOCK_EARLY     12
#define NO_UNSEEN       13
#define NO_PENDING      14
#define NAMES_LATE      15
#define NO_NAMES        16
#define LOST_UNHEEDED   17
#define NO_REPORT       18
#define HEED_LATE       19
#define HANDLERS_WORD   20
#ifndef BUG
#define BUG 0
#endif

#define BIT(i) (1 << (i))
#define ALL    (BIT(FRAMES) - 1)
#define EVERY  (BIT(VCPUS) - 1)
#define NONE   FRAMES

/* --- what must hold ------------------------------------------------------------------------------ */

/* Names that pan prints; no part of the state. */
hidden byte invariant_1_alias_in_tables, invariant_2_alias_in_tlb, invariant_4_not_reported;
hidden byte pinned_frame_was_mapped, honest_pin_refused, honest_guest_accused, more_than_one_retry;

/* Mapped since the host last synced, or last stopped the vCPUs to flush them: what no sync can have
 * seen. And the TLB entries that were loaded from such. */
byte young;
byte young_tlb[VCPUS];

/* --- the guest ------------------------------------------------------------------------------------ */

byte pte;        /* the entries that are there: writable, each */
byte tlb[VCPUS]; /* and what each vCPU's TLB holds of them */
/* guest/mm/vmap*.c: where each entry is in its life; in none of these sets it is free. */
byte live;       /* mapped, and in use */
byte busy;       /* on the way to there, or from there */
byte lazy;       /* unmapped, still there */
byte owed;       /* cleared ahead of a purge that has yet to flush it (vmap_clear()) */
byte transit;    /* claimed by the purge in flight */
bool purging;    /* purge_lock */
byte taken;      /* frames that are tables, or are about to be */
byte tables;     /* of them those whose pin was answered */
byte maps = MAPS, pins = PINS, purges = PURGES;

/* alias_abi.h: the common page, and of each vCPU's page what counts here. */
byte cleared, flushed;
#if BUG == HANDLERS_WORD
byte gone_by[VCPUS];
#endif
#if TRACKING == LOG
byte changing[VCPUS]; /* 0: nothing */
byte ring[VCPUS];     /* room for one record; 0: none */
byte lost;            /* vCPUs that have lost some since the host last asked */
#endif

/* --- the vmm --------------------------------------------------------------------------------------- */

/* Where a vCPU is. ENTERING: `in_guest` is set, it does what is in `todo`. */
#define OUT      0
#define ENTERING 1
#define IN       2
byte where[VCPUS] = IN;
byte want;    /* those that are out with nothing left to do there */
byte paused;  /* pause.h */
byte todo;    /* VCPU_FLUSH_TLB */
byte now = 1; /* flush_clock.h */
byte stamp[VCPUS];

/* Calls of the hypercall: 1 + frame, or 1 + FRAMES + frame for an unpin; 0 when it is answered. */
byte call[VCPUS];
#define GRANTED 1
#define REFUSED 2
#define UPCALL  3
byte answer[VCPUS];
byte retry[VCPUS]; /* vcpu->retry: 1 + frame; 0: not pending */

byte pinned;
#if TRACKING != LOG
bool armed, noted; /* struct uffd_wp's */
bool protected;          /* in the host's own tables */
bool uffd_lock;
byte waits;              /* vCPUs whose store waits in the kernel */
byte buffered;           /* PML: vCPUs whose buffer holds it */
#endif

/*
 * A TLB may load an entry whenever its vCPU runs the guest, and drop one at any time. As nothing
 * that anybody does depends on what a TLB holds, the worst that it can do is all there is to check:
 * it loads what is there at once, and keeps it until it is flushed.
 */
inline load_tlb(u)
{
	if
	:: where[u] == IN ->
		young_tlb[u] = young_tlb[u] | (young & pte & ~tlb[u]);
		tlb[u] = tlb[u] | pte
	:: else
	fi
}

/* --- a vCPU ----------------------------------------------------------------------------------------- */

#define ME BIT(v)

#if TRACKING == LOG
#define CAN_RUN(u) (where[u] == IN)
#else
#define CAN_RUN(u) (where[u] == IN && !(waits & BIT(u)))
#endif
#define RUNS CAN_RUN(v)

inline leave_guest(u)
{
	where[u] = OUT;
#if TRACKING == PML
	if
	:: buffered & BIT(u) -> buffered = buffered & ~BIT(u); noted = true
	:: else
	fi
#endif
}

/* With a log the store is several steps; else one, unless it has to wait. */
#if TRACKING == LOG || BUG == TICK_LATE
#define MERGED
#else
#define MERGED atomic
#endif

/* Any of them. */
inline pick(i, set)
{
	if
	:: (set) & 1 -> i = 0
	:: (set) & 2 -> i = 1
	:: (set) & 4 -> i = 2
	fi
}

inline set_pte(there)
{
	if
	:: there ->
		pinned_frame_was_mapped = (pinned & BIT(i)) != 0;
		assert(GUEST == AWOL || !pinned_frame_was_mapped);
		printf("vCPU %d maps frame %d\n", v, i);
		pte = pte | BIT(i);
		young = young | BIT(i);
		for (k : 0 .. VCPUS - 1) {
			load_tlb(k)
		}
		k = 0
	:: else ->
		printf("vCPU %d clears the entry of frame %d\n", v, i);
		pte = pte & ~BIT(i);
		young = young & ~BIT(i)
	fi
}

/* change_pte() in guest/pin/log.c; without a log the store alone. */
inline change_pte(there)
{
#if TRACKING == LOG
#if BUG != NO_NAMES
	atomic { RUNS -> changing[v] = 1 + i };
#endif
	atomic { RUNS -> set_pte(there) };
	atomic {
		RUNS ->
		if
		:: ring[v] -> lost = lost | ME
		:: else -> ring[v] = 1 + i
		fi
	};
#if BUG != NO_NAMES
	atomic { RUNS -> changing[v] = 0 }
#endif
#else
	do
	:: atomic { RUNS && protected -> waits = waits | ME }
	:: atomic {
		RUNS && !protected ->
		set_pte(there);
#if TRACKING == PML
		if
		:: armed -> armed = false; buffered = buffered | ME
		:: else
		fi;
#endif
		break
	   }
	od
#endif
}

/* vmap_purge.c: clear_ptes(). The clock ticks, then the entry goes. All ticks are made under the
 * purge lock, so the epoch of what was cleared last is `cleared`. */
#if BUG == TICK_LATE
#define TICK_BEFORE skip
#define TICK_AFTER  atomic { RUNS -> tick_clock() }
#else
#define TICK_BEFORE tick_clock()
#define TICK_AFTER  skip
#endif

inline tick_clock()
{
	cleared++;
	printf("vCPU %d: cleared = %d\n", v, cleared)
}

inline tick_for_next()
{
	if
	:: left ->
		pick(i, left);
		left = left & ~BIT(i);
		TICK_BEFORE
	:: else -> i = NONE
	fi
}

inline shoot(u)
{
	atomic {
		RUNS && CAN_RUN(u) ->
		printf("vCPU %d has vCPU %d flush\n", v, u);
		tlb[u] = tlb[u] & ~mine
	}
}

/* vm_unmap_aliases_in() where it is for all, vm_purge_ranges_in() where it isn't; with what is owed
 * (purge_begin()). tlb.c: each vCPU that is asked flushes when it runs. */
inline purge()
{
	atomic {
		RUNS && !purging ->
		purging = true;
		left = lazy & left;
		mine = left | owed;
		lazy = lazy & ~left;
		owed = 0;
		transit = mine;
		tick_for_next()
	};
	do
	:: MERGED {
		i != NONE ->
		change_pte(false);
		TICK_AFTER;
		atomic { RUNS -> tick_for_next() }
	   }
	:: else -> break
	od;
	i = 0;
	if
	:: mine ->
#if BUG == CLOCK_EARLY
		atomic { RUNS -> flushed = cleared };
#endif
		shoot(0);
		shoot(1)
#if VCPUS > 2
		; shoot(2)
#endif
	:: else
	fi;
	atomic {
		RUNS ->
		if
		:: mine -> flushed = cleared; printf("vCPU %d: flushed = %d\n", v, flushed)
		:: else
		fi;
		transit = 0;
		purging = false;
		mine = 0;
		i = 0
	}
}

#if GUEST == HONEST
#define MAY_MAP (ALL & ~(live | busy | lazy | owed | transit | taken))
#define MAY_PIN (ALL & ~(live | busy | taken))
#else
#define MAY_MAP (ALL & ~(live | busy | lazy | owed | transit))
#define MAY_PIN (ALL & ~taken)
#endif

proctype Vcpu(byte v)
{
	byte i, k, frame, left, mine;
	bool again;

end:
	do
	:: MERGED {
		atomic { RUNS && maps && MAY_MAP -> maps--; pick(i, MAY_MAP); busy = busy | BIT(i) };
		change_pte(true);
		atomic { RUNS -> busy = busy & ~BIT(i); live = live | BIT(i); i = 0 }
	   }

	/* vunmap(), lazily; and with the PTE cleared at once (eager-pte) */
	:: atomic { RUNS && live -> pick(i, live); live = live & ~BIT(i); lazy = lazy | BIT(i); i = 0 }
	:: atomic {
		RUNS && live && !purging ->
		purging = true;
		pick(i, live);
		live = live & ~BIT(i);
		busy = busy | BIT(i);
		TICK_BEFORE
	   };
		MERGED {
			change_pte(false);
			TICK_AFTER;
			atomic {
				RUNS ->
				busy = busy & ~BIT(i);
				owed = owed | BIT(i);
				purging = false;
				i = 0
			}
		}

	:: atomic { RUNS && purges && (lazy | owed) -> purges-- };
		left = ALL;
		purge()

	/* guest/pin/pin.c. call_host(), and the same `out` once more when an upcall's handler has
	 * returned; alias_fault(). */
	:: atomic {
		RUNS && pins && MAY_PIN ->
		pins--;
		pick(frame, MAY_PIN);
		taken = taken | BIT(frame);
		leave_guest(v);
		call[v] = 1 + frame;
		printf("vCPU %d pins frame %d\n", v, frame)
	   };
		do
		:: atomic { RUNS && !call[v] && answer[v] == UPCALL -> answer[v] = 0 };
			more_than_one_retry = again;
			assert(!more_than_one_retry);
			again = true;
			if
			:: left = ALL
			:: left = BIT(frame)
#if GUEST == AWOL
			:: left = 0
#endif
			fi;
			if
			:: left -> purge()
			:: else
			fi;
#if BUG == HANDLERS_WORD
			atomic { RUNS -> gone_by[v] = flushed };
#endif
			atomic { RUNS -> leave_guest(v); call[v] = 1 + frame; printf("vCPU %d pins frame %d again\n", v, frame) }
		:: atomic {
			RUNS && !call[v] && answer[v] == GRANTED ->
			tables = tables | BIT(frame);
			break
		   }
		:: atomic {
			RUNS && !call[v] && answer[v] == REFUSED ->
			honest_pin_refused = GUEST == HONEST;
			assert(!honest_pin_refused);
			taken = taken & ~BIT(frame);
			break
		   }
		od;
		atomic { answer[v] = 0; frame = 0; again = false }

	:: atomic {
		RUNS && tables ->
		pick(frame, tables);
		tables = tables & ~BIT(frame);
		leave_guest(v);
		call[v] = 1 + FRAMES + frame;
		printf("vCPU %d unpins frame %d\n", v, frame)
	   };
		atomic { RUNS && !call[v] -> taken = taken & ~BIT(frame); frame = 0 }
	od
}

/* Into the guest: run_once(), vcpu_enter_guest(), vcpu_flush_tlb(). */
proctype Kvm(byte v)
{
	byte tick;

end:
	do
	:: atomic {
		(want & ME) && !(paused & ME) ->
		want = want & ~ME;
		if
		:: todo & ME -> printf("vCPU %d takes what it has to do\n", v); todo = todo & ~ME; where[v] = ENTERING
		:: else -> printf("vCPU %d enters\n", v); where[v] = IN; load_tlb(v)
		fi
	   }
	:: atomic { where[v] == ENTERING && !tick -> now++; tick = now }
	:: d_step {
		where[v] == ENTERING && tick ->
		printf("vCPU %d is flushed and enters, stamp %d\n", v, tick);
		stamp[v] = tick;
		tick = 0;
		tlb[v] = 0;
		young_tlb[v] = 0;
		where[v] = IN;
		load_tlb(v)
	   }
	od
}

/* --- the uffd thread: note_write() in tracking/uffd.c ----------------------------------------- */

#if TRACKING == UFFD
inline note()
{
	if
	:: armed -> armed = false; noted = true
	:: else
	fi
}

active proctype Uffd()
{
end:
	do
	:: atomic {
		waits && !uffd_lock ->
#if BUG == LET_THROUGH
		protected = false;
		waits = 0
#else
		note()
#endif
#if BUG != UFFD_UNLOCKED && BUG != LET_THROUGH
		; uffd_lock = true
#endif
	   };
		atomic {
#if BUG == LET_THROUGH
			note();
#else
			protected = false;
			waits = 0; /* all that wait for the page go on */
#endif
			uffd_lock = false
		}
	od
}
#endif

/* --- the hypercall, under pin->lock ------------------------------------------------------------------ */

#if PROOF == BY_GUEST
#define CLEARED cleared
#define FLUSHED flushed
#else
#define CLEARED 1 /* no_guest_clock() */
#define FLUSHED 0
#endif

#define HELD(f) (gone_cleared[f]) /* TLB-pending; what is over is 0 at once */

inline forget_young()
{
	young = 0;
	for (u : 0 .. VCPUS - 1) {
		young_tlb[u] = 0
	}
	u = 0
}

/* table_update(): one entry of the table is read. */
inline read_entry(i)
{
	young = young & ~BIT(i);
	if
	:: (pte & ~copy) & BIT(i) ->
		printf("host sees frame %d mapped\n", i);
		copy = copy | BIT(i);
		changed = true
	:: (copy & ~pte) & BIT(i) ->
		printf("host sees frame %d no longer mapped\n", i);
		copy = copy & ~BIT(i);
		reported = reported & ~BIT(i);
		gone = gone | BIT(i);
		changed = true
	:: else
	fi
}

inline read_if(set, i)
{
	if
	:: (set) & BIT(i) -> read_entry(i)
	:: else
	fi
}

/* table_compare(), of the entries that are in the set. */
inline compare(set)
{
	d_step { read_if(set, 0) };
	d_step { read_if(set, 1) }
#if FRAMES > 2
	; d_step { read_if(set, 2) }
#endif
}

#if TRACKING == LOG

/* guest_log_begin(): first the names of all, then the records of all, then what they have lost. */
inline take_name(u)
{
	d_step {
		if
		:: changing[u] -> set = set | BIT(changing[u] - 1)
		:: else
		fi
	}
}

inline take_names()
{
	take_name(0);
	take_name(1)
#if VCPUS > 2
	; take_name(2)
#endif
}

inline take_record(u)
{
	d_step {
		if
		:: ring[u] -> set = set | BIT(ring[u] - 1); ring[u] = 0
		:: else
		fi;
		if
#if BUG != LOST_UNHEEDED
		:: lost & BIT(u) -> set = ALL; lost = lost & ~BIT(u)
#endif
		:: else
		fi
	}
}

inline take_records()
{
	take_record(0);
	take_record(1)
#if VCPUS > 2
	; take_record(2)
#endif
}

/* log_sync(); an audit would compare all */
inline take_writes()
{
#if BUG == NAMES_LATE
	take_records();
	take_names();
#else
	take_names();
	take_records();
#endif
	if
	:: set -> compare(set); set = 0; changed = false
	:: else
	fi
}

#else

/* A kick has the processor write its buffer out. */
inline kick(u)
{
	atomic {
		if
		:: where[u] == IN -> leave_guest(u); where[u] = IN
		:: else
		fi
	}
}

/* tables_compare(): take_dirtied(), table_sync(), table_arm(). When a table has been quiet for long
 * enough is anybody's guess. */
inline take_writes()
{
#if TRACKING == PML && BUG != NO_KICK_PML
	kick(0);
	kick(1);
#endif
	atomic {
		!uffd_lock ->
		if
		:: noted -> noted = false; cold = false
		:: else
		fi
	};
	if
	:: cold
	:: else ->
		compare(ALL);
		if
		:: !changed ->
			atomic { !uffd_lock -> armed = true };
#if TRACKING == UFFD
			protected = true;
#endif
			cold = true;
#if BUG != CLEAR_AFTER_READ
			compare(ALL)
#endif
		:: skip
		fi;
		changed = false
	fi
}

#endif

/* Those that are over are nobody's concern any more. */
inline drop_stamps()
{
	for (i : 0 .. FRAMES - 1) {
		if
		:: gone_cleared[i] <= seen_flushed || flushed_all > gone_now[i] ->
			gone_cleared[i] = 0;
			gone_now[i] = 0
		:: else
		fi
	}
	i = 0
}

/* tlb_pending_settle() */
inline settle()
{
	c = CLEARED;
	d_step {
		seen_flushed = FLUSHED;
		drop_stamps();
#if BUG != NO_PENDING
		for (i : 0 .. FRAMES - 1) {
			if
			:: seen_flushed < c && (gone & ~copy & BIT(i)) ->
				gone_cleared[i] = c;
				gone_now[i] = now
			:: else
			fi
		}
		i = 0;
#endif
		gone = 0
	}
}

/* run_sync(), at_sync(), recheck_report(), note_unseen() */
inline sync()
{
	d_step { forget_young(); before = CLEARED; printf("host syncs, before = %d\n", before) };
	take_writes();
	d_step {
#if BUG != NO_REPORT
		reported = reported | (copy & pinned);
#endif
		invariant_4_not_reported = (pte & ~young & pinned & ~reported) != 0;
		assert(!invariant_4_not_reported);
		honest_guest_accused = GUEST == HONEST && reported;
		assert(!honest_guest_accused)
	};
	settle();
	c = CLEARED;
	d_step {
#if BUG != NO_UNSEEN
		if
		:: PROOF == BY_HOST || c != synced_at -> unseen = c; unseen_at = now
		:: else
		fi;
#endif
		if
		:: FLUSHED >= unseen -> unseen = 0; unseen_at = 0
		:: else
		fi;
		printf("host: settled at cleared %d, flushed %d, now %d, unseen %d at %d\n", c, FLUSHED, now, unseen, unseen_at);
		synced_at = before;
		before = 0;
		c = 0
	}
}

/* at_flushed(), of what was found gone before `since` */
inline flushed_since(since)
{
	if
	:: (since) > flushed_all -> flushed_all = since
	:: else
	fi;
	drop_stamps();
	if
	:: (since) > unseen_at -> unseen = 0; unseen_at = 0
	:: else
	fi
}

inline heed_stamps()
{
	t = now + 1;
	for (u : 0 .. VCPUS - 1) {
		if
		:: !(todo & BIT(u)) && stamp[u] < t -> t = stamp[u]
		:: else
		fi
	}
	u = 0;
	flushed_since(t);
	t = 0
}

/* gone_at(), vcpus_due(), flush_is_due(). The stamp of what has none is 0, before all flushes. */
inline find_due()
{
	at = gone_now[frame];
	if
	:: unseen && unseen_at > at -> at = unseen_at
	:: else
	fi;
	due = 0;
	printf("host: gone at %d\n", at);
	for (u : 0 .. VCPUS - 1) {
		if
#if BUG == STAMP_EQUAL
		:: at && !(todo & BIT(u)) && stamp[u] < at -> due = due | BIT(u)
#else
		:: at && !(todo & BIT(u)) && stamp[u] <= at -> due = due | BIT(u)
#endif
		:: else
		fi
	}
	u = 0
}

inline fetch(u)
{
	atomic {
		!(paused & BIT(u)) || where[u] == OUT || CAN_RUN(u) ->
		if
		:: (paused & BIT(u)) && where[u] == IN ->
			leave_guest(u);
			want = want | BIT(u)
		:: else
		fi
	}
}

/* pause_vcpus(): a vCPU whose store waits for the uffd thread comes out after it. */
inline pause(who)
{
	d_step { paused = (who) | BIT(self); printf("host pauses %d\n", paused) };
#if BUG != NO_KICK_FLUSH
	fetch(0);
	fetch(1);
#if VCPUS > 2
	fetch(2);
#endif
#endif
	d_step { forget_young() }
}

inline host_flush()
{
	d_step { heed_stamps() };
	d_step { find_due() };
	if
	:: due ->
		out = due;
		pause(out);
#if BUG == FLUSH_FIRST
		d_step { todo = todo | due; printf("host asks %d to flush\n", due) };
		paused = 0;
		sync();
		d_step { flushed_since(now + 1) };
#else
#if BUG != NO_SECOND_SYNC
		sync();
		d_step { find_due() };
		if
		:: due & ~out ->
			paused = 0;
			pause(EVERY);
			sync();
			d_step { find_due() }
		:: else
		fi;
#endif
		d_step { todo = todo | due; printf("host asks %d to flush\n", due) };
#if BUG == HEED_LATE
		d_step { heed_stamps() };
#else
		d_step { heed_stamps(); flushed_since(at + 1) };
#endif
		paused = 0;
#endif
		due = 0;
		out = 0
	:: else ->
#if BUG != HEED_LATE
		d_step { flushed_since(at + 1) }
#endif
	fi;
	at = 0
}

/* Before it runs anything of the guest. */
#define WILL_FLUSH(u) (where[u] == ENTERING || (where[u] == OUT && (todo & BIT(u))))

/* at_pin() */
inline grant()
{
	invariant_1_alias_in_tables =
		(pte & BIT(frame)) && (GUEST == HONEST || !(young & BIT(frame)));
	assert(!invariant_1_alias_in_tables);
	for (u : 0 .. VCPUS - 1) {
		invariant_2_alias_in_tlb = (tlb[u] & BIT(frame)) && !WILL_FLUSH(u) &&
			(GUEST == HONEST || !(young_tlb[u] & BIT(frame)));
		assert(!invariant_2_alias_in_tlb)
	}
	u = 0;
	printf("host grants frame %d\n", frame);
	pinned = pinned | BIT(frame);
	answer[self] = GRANTED
}

#define RETRIED (retry[self] == 1 + frame)

/* serve_batch() of one op, serve_transition() */
inline serve_pin()
{
	frame = call[self] - 1;
#if BUG == TRUST_REPLY || BUG == NO_RECHECK
	if
	:: !RETRIED -> sync()
	:: else -> d_step { copy = copy & ~BIT(frame) }
	fi;
#else
	sync();
#endif
#if BUG == HANDLERS_WORD
	d_step {
		if
		:: RETRIED && gone_by[self] && gone_by[self] < HELD(frame) ->
			gone_cleared[frame] = gone_by[self];
			drop_stamps()
		:: else
		fi;
		gone_by[self] = 0
	};
#endif
	if
#if BUG == TRUST_REPLY
	:: RETRIED
#endif
	:: !((copy | pinned) & BIT(frame)) && (HELD(frame) || unseen) -> host_flush()
	:: else
	fi;
	d_step {
		if
		:: pinned & BIT(frame) -> answer[self] = REFUSED
		:: (copy & BIT(frame)) && !RETRIED -> answer[self] = UPCALL
		:: (copy & BIT(frame)) && RETRIED -> answer[self] = REFUSED
#if BUG == TRUST_REPLY
		:: else -> grant()
#else
		:: !((copy | pinned) & BIT(frame)) && HELD(frame) -> answer[self] = REFUSED
		:: else -> grant()
#endif
		fi;
		if
		:: answer[self] == UPCALL -> retry[self] = 1 + frame
		:: RETRIED -> retry[self] = 0
		:: else
		fi
	}
}

active proctype Host()
{
	byte syncs = SYNCS;
	byte self, frame, before, c, at, due, out, i, u, t;
	bool changed;
#if TRACKING == LOG
	byte set;
#else
	bool cold; /* table->armed */
#endif
	/* The tracker: the last copy of the entries, what has been found gone, and the stamps of it. */
	byte copy, gone, reported;
	byte gone_cleared[FRAMES], gone_now[FRAMES];
	byte seen_flushed, flushed_all;
	/* struct pin */
	byte synced_at, unseen, unseen_at;

end:
	do
	:: syncs ->
		syncs--;
		sync()
	:: atomic {
		if
		:: call[0] -> self = 0
		:: call[1] -> self = 1
#if VCPUS > 2
		:: call[2] -> self = 2
#endif
		fi
	   };
		if
		:: call[self] <= FRAMES -> serve_pin()
		:: else ->
			frame = call[self] - 1 - FRAMES;
			sync();
			d_step { pinned = pinned & ~BIT(frame); reported = reported & ~BIT(frame) }
		fi;
		d_step { call[self] = 0; want = want | BIT(self); frame = 0; self = 0 }
	od
}

init {
	atomic {
		byte v;

		for (v : 0 .. VCPUS - 1) {
			run Vcpu(v);
			run Kvm(v)
		}
	}
}
