/* SPDX-License-Identifier: MIT */
#include "pin/guest_log.h"

#define STUCK_MS    1000u /* an entry named for longer, while its vCPU runs, is not being changed */
#define PUT_OFF_MAX 4u    /* syncs in a row that may leave their judgement to the next */
/* Maximum time counted between two syncs: an emulated host's processor may have slept unnoticed. */
#define STEP_MS 250u

static uint64_t load_u64(const uint64_t *from)
{
	return __atomic_load_n(from, __ATOMIC_ACQUIRE);
}

/* All records so far are read. Release: the guest overwrites them after it has seen this. No other
 * `tail` is ever stored, so a vCPU that has seen a later one than a sync began with has seen at
 * least the one that the next sync begins with. A change that loads the `tail` before is under way
 * or done when the head is loaded, behind the fence. */
static void take_up_to(struct log_ring *ring, uint64_t tail)
{
	bool same = tail == ring->stored_tail;

	ring->tail = ring->stored_tail = tail;
	__atomic_store_n(&ring->log->tail, tail, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!same)
		ring->head_then = load_u64(&ring->log->head);
}

static void note_fault(struct guest_log *log, struct log_ring *ring, enum log_fault fault)
{
	ring->fault = fault;
	log->faulty = true;
}

void guest_log_start(struct guest_log *log)
{
	log->put_off = 0;
	log->unread = 0;
	log->faulty = false;
	for (unsigned i = 0; i < log->nr; i++) {
		struct log_ring *ring = &log->ring[i];

		ring->lost = load_u64(&ring->log->lost);
		ring->known_tail = ring->tail_before = ring->stored_tail = ring->tail;
		ring->head_then = ring->tail;
		take_up_to(ring, load_u64(&ring->log->head));
		ring->end = ring->tail;
		ring->changing = 0;
		ring->finished = 0;
		ring->at_rest = false;
		ring->fault = LOG_SOUND;
	}
}

void guest_log_stopped(struct guest_log *log)
{
	log->stopped = true;
}

void guest_log_called(struct guest_log *log, unsigned vcpu)
{
	struct log_ring *ring = &log->ring[vcpu];

	ring->finished = load_u64(&ring->log->changing);
}

/* --- a sync ----------------------------------------------------------------------------------- */

/* More records than the ring has room for can't be there; then none is believed. */
static bool bound_head(struct log_ring *ring)
{
	ring->end = load_u64(&ring->log->head);
	if (ring->end - ring->tail <= ALIAS_LOG_RECORDS)
		return true;
	take_up_to(ring, ring->end);
	return false;
}

/* What a ring shows when a sync begins. */
struct log_begin {
	uint64_t head, lost; /* loaded before `changing` */
	uint64_t changing;
};

/* Has the guest counted a loss since the last sync, and may its ring have been full then? The
 * change may have been under way when the last sync began: the head was `last_end` at most, and its
 * vCPU knew known_tail. Or it began after that, and loaded tail_before: the head was head_then at
 * most. Or it loaded the present `tail`. */
static bool has_lost(struct guest_log *log, struct log_ring *ring, uint64_t last_end)
{
	uint64_t lost = load_u64(&ring->log->lost);
	bool more = lost != ring->lost;

	ring->lost = lost;
	if (more && last_end - ring->known_tail < ALIAS_LOG_RECORDS &&
	    ring->head_then - ring->tail_before < ALIAS_LOG_RECORDS &&
	    load_u64(&ring->log->head) - ring->tail < ALIAS_LOG_RECORDS) {
		note_fault(log, ring, LOG_FALSE_LOSS);
		more = false;
	}
	return more;
}

/* What did the change know that was under way when this sync began? If it isn't the one that the
 * last sync found, it began after that sync had begun, and knew tail_before. If more records than
 * fit behind that were written before it, it knew a later `tail`. */
static void note_known_tail(struct log_ring *ring, const struct log_begin *now, bool another)
{
	if (!now->changing || now->changing == ring->finished) {
		ring->known_tail = ring->end; /* none was */
		return;
	}
	if (another || now->changing != ring->changing)
		ring->known_tail = ring->tail_before;
	if (ring->known_tail == ring->tail_before &&
	    now->head - ring->tail_before > ALIAS_LOG_RECORDS)
		ring->known_tail = ring->tail;
}

__attribute__((noinline)) static void begin_busy(struct guest_log *log, struct log_ring *ring,
						 struct at_log_state *state)
{
	uint64_t last_end = ring->end;
	struct log_begin now;
	bool another;

	/* What told that it is not idle is loaded anew, in the order that counts. */
	now.head = load_u64(&ring->log->head);
	now.lost = load_u64(&ring->log->lost);
	now.changing = load_u64(&ring->log->changing);
	another = now.head != last_end || now.lost != ring->lost;
	if (now.changing)
		state->changing[state->nr_changing++] = now.changing;
	if (bound_head(ring)) {
		state->lost |= has_lost(log, ring, last_end);
		note_known_tail(ring, &now, another);
	} else { /* no excuse: what is missing is found by the audit */
		note_fault(log, ring, LOG_OVERRUN);
		ring->lost = load_u64(&ring->log->lost);
		ring->known_tail = ring->tail;
	}
	ring->changing = now.changing;
}

/* Of most rings of many: nothing has come since the last sync, and no change was under way. (In
 * this order: a change that is named no more has left a record, or a loss.) */
static inline bool is_idle(const struct log_ring *ring)
{
	const struct alias_log *log = ring->log;

	return !load_u64(&log->changing) && load_u64(&log->head) == ring->end &&
	       load_u64(&log->lost) == ring->lost;
}

static inline void begin_ring(struct guest_log *log, struct log_ring *ring,
			      struct at_log_state *state)
{
	bool idle = is_idle(ring);

	if (idle && ring->at_rest)
		return;
	if (idle) {
		ring->known_tail = ring->end;
		ring->changing = 0;
	} else {
		begin_busy(log, ring, state);
	}
	ring->tail_before = ring->tail;
	ring->at_rest = idle && ring->tail == ring->end;
	if (ring->tail != ring->end)
		log->unread |= 1ull << (ring - log->ring);
}

/* A sync that was stopped has read some records of a ring, or none. */
static void end_stopped(struct guest_log *log)
{
	for (; log->unread; log->unread &= log->unread - 1) {
		struct log_ring *ring = &log->ring[__builtin_ctzll(log->unread)];

		if (ring->tail != ring->stored_tail)
			take_up_to(ring, ring->tail);
	}
}

_Static_assert(AT_CHANGING_MAX <= 64, "a ring has a bit in `unread`");

void guest_log_begin(struct guest_log *log, struct at_log_state *state)
{
	struct log_ring *ring = log->ring;

	state->lost = false;
	state->nr_changing = 0;
	end_stopped(log);
	/* A change that isn't named yet loads `tail` after this: the guest names it, with a full
	 * fence, before it does. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* all that a vCPU had done by its last call is visible: its calls are ordered with this */
	for (struct log_ring *const end = ring + log->nr; ring < end; ring++)
		begin_ring(log, ring, state);
	state->audit = log->faulty;
}

static const struct alias_log_record *record_at(const struct log_ring *ring, uint64_t number)
{
	return &ring->records[number % ALIAS_LOG_RECORDS];
}

/* At most as many as there are up to the end of the ring. */
static size_t read_records(const struct log_ring *ring, struct at_record *records, size_t max)
{
	const struct alias_log_record *from = record_at(ring, ring->tail);
	uint64_t left = ring->end - ring->tail;
	uint64_t row = ALIAS_LOG_RECORDS - ring->tail % ALIAS_LOG_RECORDS;
	size_t n = left < max ? left : max;

	n = row < n ? row : n;
#pragma GCC unroll 4
	for (size_t i = 0; i < n; i++) {
		records[i].pte_gpa = __atomic_load_n(&from[i].pte_gpa, __ATOMIC_RELAXED);
		records[i].from = __atomic_load_n(&from[i].from, __ATOMIC_RELAXED);
		records[i].to = __atomic_load_n(&from[i].to, __ATOMIC_RELAXED);
	}
	return n;
}

size_t guest_log_next(struct guest_log *log, struct at_record *records, size_t max)
{
	struct log_ring *ring;
	size_t n;

	if (!log->unread)
		return 0;
	ring = &log->ring[__builtin_ctzll(log->unread)];
	n = read_records(ring, records, max);
	ring->tail += n;
	if (ring->tail == ring->end) {
		take_up_to(ring, ring->tail);
		log->unread &= log->unread - 1;
	}
	return n;
}

/* --- what is pending -------------------------------------------------------------------------- */

/* Is the vCPU changing this entry? Not if it has made a call since, nor if it has made no progress
 * for longer than any change takes. Of two changes the first must have left a record or a loss, so
 * with no progress there is one other name at most: that of the next change. */
__attribute__((noinline)) static bool is_at_it(struct guest_log *log, struct log_ring *ring,
					       uint64_t changing)
{
	struct log_stall *stall = &ring->stall;
	uint64_t head = load_u64(&ring->log->head), ran, step;
	bool progress = head != stall->head || ring->lost != stall->lost || !stall->changing;

	if (changing == ring->finished)
		return false;
	ran = log->ran_ms(log->ctx, (unsigned)(ring - log->ring));
	if (progress || (changing != stall->changing && !stall->renamed)) {
		*stall = (struct log_stall){.changing = changing,
					    .head = head,
					    .lost = ring->lost,
					    .ran_ms = ran,
					    .renamed = !progress};
		return true;
	}
	step = ran - stall->ran_ms;
	stall->ran_ms = ran;
	stall->age_ms += step < STEP_MS ? step : STEP_MS;
	if (stall->age_ms < STUCK_MS)
		return true;
	if (!stall->told)
		note_fault(log, ring, LOG_NAME_KEPT);
	stall->told = true;
	return false;
}

__attribute__((noinline)) static bool add_some(const struct log_ring *ring, uint64_t head,
					       uint64_t *entries, size_t *nr)
{
	if (head - ring->end > AT_PENDING_MAX - *nr)
		return false;
	for (uint64_t i = ring->end; i != head; i++)
		entries[(*nr)++] = __atomic_load_n(&record_at(ring, i)->pte_gpa, __ATOMIC_RELAXED);
	return true;
}

/* Adds the entries of the records of one ring that are not read yet: mostly none. */
static bool add_untaken(const struct log_ring *ring, uint64_t *entries, size_t *nr)
{
	uint64_t head = load_u64(&ring->log->head);

	return (head == ring->end || add_some(ring, head, entries, nr)) &&
	       load_u64(&ring->log->lost) == ring->lost;
}

/* No vCPU runs: there is no record but those that this sync has read. */
__attribute__((noinline)) static void expect_unmoved(struct guest_log *log)
{
	for (unsigned i = 0; i < log->nr; i++) {
		struct log_ring *ring = &log->ring[i];
		bool moved = load_u64(&ring->log->head) != ring->end ||
			     load_u64(&ring->log->lost) != ring->lost;

		if (moved && ring->fault == LOG_SOUND)
			note_fault(log, ring, LOG_MOVED);
	}
}

/* Adds what is pending of these rings: first what is named, for which there always is room. */
__attribute__((noinline)) static bool add_pending(struct guest_log *log, uint64_t busy,
						  uint64_t *entries, size_t *nr)
{
	bool ok = true;

	for (uint64_t left = busy; left; left &= left - 1) {
		struct log_ring *ring = &log->ring[__builtin_ctzll(left)];
		uint64_t changing = load_u64(&ring->log->changing);

		if (!changing)
			ring->stall.changing = 0;
		else if (is_at_it(log, ring, changing))
			entries[(*nr)++] = changing;
	}
	if (log->quiet)
		expect_unmoved(log);
	else
		for (uint64_t left = busy; ok && left; left &= left - 1)
			ok = add_untaken(&log->ring[__builtin_ctzll(left)], entries, nr);
	return ok;
}

bool guest_log_pending(struct guest_log *log, uint64_t *entries, size_t *nr)
{
	uint64_t busy = 0; /* bit i: something of ring i may be pending */
	bool ok;

	*nr = 0;
	/* the page table entries read before are read before these */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	for (struct log_ring *ring = log->ring, *const end = ring + log->nr; ring < end; ring++) {
		if (is_idle(ring))
			ring->stall.changing = 0;
		else
			busy |= 1ull << (ring - log->ring);
	}
	ok = !busy || add_pending(log, busy, entries, nr);
	log->put_off = ok ? 0 : log->put_off + 1;
	return ok;
}

bool guest_log_needs_pause(const struct guest_log *log)
{
	return log->put_off >= PUT_OFF_MAX;
}

/* --- faults ----------------------------------------------------------------------------------- */

bool guest_log_next_fault(struct guest_log *log, unsigned *vcpu, enum log_fault *fault)
{
	if (log->stopped) {
		log->stopped = false;
		*vcpu = 0;
		*fault = LOG_STOPPED;
		return true;
	}
	for (unsigned i = 0; log->faulty && i < log->nr; i++) {
		if (log->ring[i].fault == LOG_SOUND)
			continue;
		*vcpu = i;
		*fault = log->ring[i].fault;
		log->ring[i].fault = LOG_SOUND;
		return true;
	}
	log->faulty = false;
	return false;
}

const char *log_fault_name(enum log_fault fault)
{
	switch (fault) {
	case LOG_FALSE_LOSS:
		return "records are said to be lost, with room for them";
	case LOG_OVERRUN:
		return "there are more records than it has room for";
	case LOG_NAME_KEPT:
		return "an entry is named as being changed for longer than any change takes";
	case LOG_MOVED:
		return "it was written to while no vCPU ran";
	case LOG_STOPPED:
		return "ended unasked";
	default:
		return "sound";
	}
}
