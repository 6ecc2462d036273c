/* SPDX-License-Identifier: MIT */
/* TLBs that may still hold what is gone from the tables: which, and what the host does about it. */
#include <x86intrin.h>
#include "machine.h"
#include "pin/internal.h"
#include "say.h"
#include "kvm/tlb_flush.h"

/* When the youngest of what is in the way and TLBs may hold was found gone; 0: they hold nothing.
 */
static uint64_t gone_at(const struct pin *pin, uint64_t pfn, struct at_transition to)
{
	uint64_t at = at_gone_at(pin->at, pfn, to);

	return pin->unseen && pin->unseen_at > at ? pin->unseen_at : at;
}

/* It flushes before it runs anything of the guest again. */
static bool will_flush(const struct vcpu *vcpu)
{
	return atomic_load(&vcpu->todo) & VCPU_FLUSH_TLB;
}

/* The vCPUs, by their bits, that may hold what was found gone at that time. */
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

/* What was found gone before that time is out of all TLBs, or will be before they are used. */
static void flushed_since(struct pin *pin, uint64_t since)
{
	at_flushed(pin->at, since);
	if (!flush_is_due(since, pin->unseen_at))
		pin->unseen = 0;
}

/* What all vCPUs have been flushed after, or will be before they go on, is over. */
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

/* While they are kept out of the guest. */
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

/* Keeps these vCPUs out of the guest, besides those that are already. If some are, all others are,
 * too: then nothing more can go. Returns who is out now. */
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

/* The sync is repeated while those that are due are kept out, as mappings may have come and gone
 * since the last, until it finds nothing that concerns others. A vCPU that was not due, as it would
 * flush, may have begun with that since, and has no stamp for it yet: what was found out about `at`
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
}

bool open_flushes(struct pin *pin)
{
	struct machine *machine = pin->machine;
	uint64_t size = pin->shared_frames * ALIAS_PAGE_SIZE;
	const char *why;

	if (machine->opt->track == TRACK_STRICT || !tlb_flush_is_possible(&why))
		return true;
	pin->flushes = memory_share(&machine->vm.mem, SHARED_GPA, size) == 0;
	return pin->flushes;
}

enum alias_status serve_flush(struct pin *pin, struct vcpu *vcpu)
{
	if (!pin->flushes)
		return ALIAS_BAD_CALL;
	vcpu->stats.flush_calls++;
	if (tlb_flush_all(pin_vcpu_page(pin->machine, vcpu->index)))
		return ALIAS_OK;
	say_errno("madvise to flush the guest's TLBs");
	return ALIAS_NO_MEMORY;
}
