/* SPDX-License-Identifier: MIT */
/* TLBs that may still hold mappings which are gone from the page tables: which vCPUs', and the
 * host's flushes. */
#include <x86intrin.h>
#include "machine.h"
#include "pin/internal.h"
#include "say.h"
#include "kvm/tlb_flush.h"
#include "trace.h"

/* Returns when the last alias that a TLB may still hold was found gone; 0: no TLB holds any. */
static uint64_t gone_at(const struct pin *pin, uint64_t pfn, struct at_transition to)
{
	uint64_t at = at_gone_at(pin->at, pfn, to);

	return pin->unseen && pin->unseen_at > at ? pin->unseen_at : at;
}

/* Will this vCPU flush before it runs guest code again? */
static bool will_flush(const struct vcpu *vcpu)
{
	return atomic_load(&vcpu->todo) & VCPU_FLUSH_TLB;
}

/* Returns the vCPUs, as bits, that may hold a mapping found gone at that time. */
static uint64_t vcpus_due(const struct vm *vm, uint64_t at)
{
	uint64_t due = 0;

	for (unsigned i = 0; at && i < vm->nr_vcpus; i++) {
		const struct vcpu *vcpu = &vm->vcpus[i];

		if (!will_flush(vcpu) && flush_is_due(flush_stamp_get(&vcpu->flushed), at))
			due |= 1ull << i;
	}
	return due;
}

/* Mappings found gone before that time are out of all TLBs, or will be before the TLBs are used. */
static void flushed_since(struct pin *pin, uint64_t since)
{
	at_flushed(pin->at, since);
	if (!flush_is_due(since, pin->unseen_at))
		pin->unseen = 0;
}

/* Notes what the stamps of all vCPUs say: mappings older than the oldest stamp are flushed, or will
 * be before a vCPU runs on. */
static void heed_stamps(struct pin *pin)
{
	const struct vm *vm = pin->vm;
	uint64_t since = flush_clock_now(&vm->flush_clock) + 1;

	for (unsigned i = 0; i < vm->nr_vcpus; i++) {
		const struct vcpu *vcpu = &vm->vcpus[i];
		uint64_t stamp = flush_stamp_get(&vcpu->flushed);

		if (!will_flush(vcpu) && stamp < since)
			since = stamp;
	}
	flushed_since(pin, since);
}

/* Asks these vCPUs to flush; they are paused. */
static void ask_for_flush(struct pin *pin, uint64_t who)
{
	struct vm *vm = pin->vm;
	unsigned nr = (unsigned)__builtin_popcountll(who);

	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		if (who >> i & 1)
			atomic_fetch_or(&vm->vcpus[i].todo, VCPU_FLUSH_TLB);
	pin->count.host_flushes += nr > 0;
	pin->count.vcpus_flushed += nr;
	pin->count.vcpus_spared += vm->nr_vcpus - nr;
}

/* Pauses these vCPUs, in addition to those that are paused. If any are paused already, pauses all
 * others, too: then no more mappings can go. Returns the paused vCPUs. */
static uint64_t keep_out(struct pin *pin, struct vcpu *self, uint64_t out, uint64_t due)
{
	if (out == ALL_VCPUS)
		return out;
	if (out) {
		resume_vcpus(pin->vm);
		due = ALL_VCPUS;
	}
	pin->count.kicks += pause_vcpus(pin->vm, self, due);
	return due;
}

/* Pause the vCPUs that are due, and sync again, since mappings may have come and gone since the
 * last sync; repeat until the sync finds nothing that concerns other vCPUs. A vCPU that was not due
 * because it would flush may be flushing by now, without a stamp yet; what was found about `at`
 * holds all the same. */
void host_flush(struct pin *pin, struct vcpu *self, bool paused, uint64_t pfn,
		struct at_transition to)
{
	uint64_t start = __rdtsc(), at, due, out = paused ? ALL_VCPUS : 0;

	heed_stamps(pin);
	at = gone_at(pin, pfn, to);
	due = vcpus_due(pin->vm, at);
	if (!due) {
		pin->count.vcpus_spared += pin->vm->nr_vcpus;
		flushed_since(pin, at + 1);
		return;
	}
	do {
		out = keep_out(pin, self, out, due);
		sync_tables(pin);
		at = gone_at(pin, pfn, to);
		due = vcpus_due(pin->vm, at);
	} while (due & ~out);
	ask_for_flush(pin, due);
	heed_stamps(pin);
	flushed_since(pin, at + 1);
	if (!paused)
		resume_vcpus(pin->vm);
	pin->count.flush_ticks += __rdtsc() - start;
	trace_end(pin->track_host, TRACE_FLUSH, start, pfn, 0, 0);
}

bool open_flushes(struct pin *pin)
{
	struct machine *machine = pin->machine;
	const char *why;

	if (machine->opt->track == TRACK_STRICT || !tlb_flush_is_possible(&why))
		return true;
	pin->flushes =
		memory_share(&machine->vm.mem, SHARED_GPA, machine_shared_size(machine)) == 0;
	return pin->flushes;
}

enum alias_status serve_flush(struct pin *pin, struct vcpu *vcpu)
{
	uint64_t start = trace_now(vcpu->track);
	int err;

	if (!pin->flushes)
		return ALIAS_BAD_CALL;
	count_one(&vcpu->stats.flush_calls);
	err = tlb_flush_all(pin_vcpu_page(pin->machine, vcpu->index));
	if (err) {
		say_error(err, "madvise to flush the guest's TLBs");
		return ALIAS_NO_MEMORY;
	}
	trace_end(vcpu->track, TRACE_FLUSH, start, UINT64_MAX, 0, 0);
	return ALIAS_OK;
}
