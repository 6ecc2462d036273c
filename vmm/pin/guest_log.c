/* SPDX-License-Identifier: MIT */
#include "pin/guest_log.h"

static uint64_t load(const uint64_t *from)
{
	return __atomic_load_n(from, __ATOMIC_ACQUIRE);
}

/* Everything written so far is taken. Release: the guest writes over it after that. */
static void take_up_to(struct log_ring *ring, uint64_t tail)
{
	ring->tail = tail;
	__atomic_store_n(&ring->log->tail, tail, __ATOMIC_RELEASE);
}

void guest_log_start(struct guest_log *log)
{
	for (unsigned i = 0; i < log->nr; i++) {
		struct log_ring *ring = &log->ring[i];

		ring->lost = load(&ring->log->lost);
		take_up_to(ring, load(&ring->log->head));
		ring->end = ring->tail;
	}
}

/* More than the ring has room for can't be there; then none of them is believed. */
static bool bound(struct log_ring *ring)
{
	ring->end = load(&ring->log->head);
	if (ring->end - ring->tail <= ALIAS_LOG_RECORDS)
		return true;
	take_up_to(ring, ring->end);
	return false;
}

void guest_log_begin(struct guest_log *log, struct at_log_look *look)
{
	look->lost = false;
	look->nr_changing = 0;
	log->next = 0;
	/* Of what a vCPU had done by now all can be seen: its calls are ordered with this. */
	for (unsigned i = 0; i < log->nr; i++) {
		uint64_t changing = load(&log->ring[i].log->changing);

		if (changing)
			look->changing[look->nr_changing++] = changing;
	}
	for (unsigned i = 0; i < log->nr; i++) {
		struct log_ring *ring = &log->ring[i];
		uint64_t lost;

		look->lost |= !bound(ring);
		lost = load(&ring->log->lost);
		look->lost |= lost != ring->lost;
		ring->lost = lost;
	}
}

static struct at_record read_record(const struct log_ring *ring, uint64_t number)
{
	const struct alias_log_record *record = &ring->records[number % ALIAS_LOG_RECORDS];

	return (struct at_record){
		.pte_gpa = __atomic_load_n(&record->pte_gpa, __ATOMIC_RELAXED),
		.from = __atomic_load_n(&record->from, __ATOMIC_RELAXED),
		.to = __atomic_load_n(&record->to, __ATOMIC_RELAXED),
	};
}

size_t guest_log_next(struct guest_log *log, struct at_record *records, size_t max)
{
	for (; log->next < log->nr; log->next++) {
		struct log_ring *ring = &log->ring[log->next];
		uint64_t tail = ring->tail;
		size_t n = 0;

		while (n < max && tail != ring->end)
			records[n++] = read_record(ring, tail++);
		if (n) {
			take_up_to(ring, tail);
			return n;
		}
	}
	return 0;
}

/* Records of one ring that were not taken. */
static bool add_untaken(const struct log_ring *ring, uint64_t *entries, size_t *nr)
{
	uint64_t head = load(&ring->log->head);

	if (head - ring->end > AT_PENDING_MAX - *nr)
		return false;
	for (uint64_t i = ring->end; i != head; i++)
		entries[(*nr)++] = read_record(ring, i).pte_gpa;
	return load(&ring->log->lost) == ring->lost;
}

bool guest_log_pending(const struct guest_log *log, uint64_t *entries, size_t *nr)
{
	bool ok = true;

	*nr = 0;
	/* The entries of page tables that were read before are read before these. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	for (unsigned i = 0; i < log->nr; i++) {
		uint64_t changing = load(&log->ring[i].log->changing);

		if (changing)
			entries[(*nr)++] = changing;
	}
	for (unsigned i = 0; ok && i < log->nr; i++)
		ok = add_untaken(&log->ring[i], entries, nr);
	return ok;
}
