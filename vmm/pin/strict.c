/* SPDX-License-Identifier: MIT */
/* --track strict: pins of tables, which are write-protected from then on. */
#include "kvm/write_protect.h"
#include "machine.h"
#include "pin/internal.h"
#include "pin/strict_pte.h"
#include "say.h"
#include "status.h"
#include "stop.h"
#include "pte.h"

static bool lacks_presets(const struct pin *pin, uint64_t pfn, unsigned level)
{
	for (unsigned i = 0; i < PT_ENTRIES; i++) {
		uint64_t pte =
			strict_read_pte(&pin->vm->mem, pfn * ALIAS_PAGE_SIZE + i * sizeof(pte));

		if (pte != pte_preset_accessed(pte, level))
			return true;
	}
	return false;
}

static void preset_table(const struct pin *pin, uint64_t pfn, unsigned level)
{
	for (unsigned i = 0; i < PT_ENTRIES; i++) {
		uint64_t gpa = pfn * ALIAS_PAGE_SIZE + i * sizeof(uint64_t);
		uint64_t pte = strict_read_pte(&pin->vm->mem, gpa);

		if (pte != pte_preset_accessed(pte, level))
			strict_write_pte(&pin->vm->mem, gpa, pte_preset_accessed(pte, level));
	}
}

/* at_become(), with the evidence that the frame is out of all TLBs, since it was write-protected.
 * (For large mappings the tracker keeps the evidence for the whole; then everything is zapped.) */
static enum at_verdict become_flushed(struct batch *batch, uint64_t pfn, struct at_transition to)
{
	struct alias_tracker *at = batch->pin->at;
	enum at_verdict verdict;

	at_gone_by(at, pfn, to, CLOCK_FLUSHED);
	verdict = at_become(at, pfn, to);
	if (verdict == AT_STALE_TLB) {
		host_flush(batch->pin, batch->vcpu, batch->paused, pfn, to);
		verdict = at_become(at, pfn, to);
	}
	return verdict;
}

static void undo_protection(struct pin *pin, uint64_t pfn)
{
	if (write_protect_undo(&pin->vm->mem, pfn))
		return;
	say("frame 0x%llx, whose pin is refused, stays read-only: the guest cannot go on",
	    (unsigned long long)pfn);
	stop_request(pin->vm->stop, VMM_EX_OSERR);
}

enum at_verdict write_protected_pin(struct batch *batch, uint64_t pfn, unsigned level)
{
	struct pin *pin = batch->pin;
	enum at_verdict verdict = at_check(pin->at, pfn, level);
	bool pause;

	if (verdict != AT_OK && verdict != AT_STALE_TLB && (verdict != AT_ALIAS || pin->checks))
		return verdict;
	/* A table in use must not be walked before it has the bits that a walk would set. */
	pause = !batch->paused && lacks_presets(pin, pfn, level);
	if (pause)
		pause_all_vcpus(pin->vm, batch->vcpu);
	batch->paused |= pause;
	verdict = AT_NO_MEMORY;
	if (write_protect_gfn(&pin->vm->mem, pfn)) {
		verdict = become_flushed(batch, pfn, (struct at_transition){AT_TO_TABLE, level});
		if (verdict == AT_OK)
			preset_table(pin, pfn, level);
		else
			undo_protection(pin, pfn);
	}
	if (pause) {
		batch->paused = false;
		resume_vcpus(pin->vm);
	}
	return verdict;
}

/* If the frame can't be made writable, it is pinned again. No store can have changed it meanwhile,
 * so its content is still allowed. */
enum at_verdict write_protected_unpin(struct batch *batch, uint64_t pfn)
{
	struct pin *pin = batch->pin;
	struct at_transition to = {AT_TO_TABLE, at_pinned_level(pin->at, pfn)};
	enum at_verdict verdict = at_unpin(pin->at, pfn);

	if (verdict != AT_OK || write_unprotect_gfn(&pin->vm->mem, pfn))
		return verdict;
	if (become_flushed(batch, pfn, to) != AT_OK) {
		say("frame 0x%llx can neither be unpinned nor stay pinned: the guest cannot go on",
		    (unsigned long long)pfn);
		stop_request(pin->vm->stop, VMM_EX_OSERR);
	}
	return AT_NO_MEMORY;
}

enum at_verdict write_protected_become(struct batch *batch, uint64_t pfn, struct at_transition to)
{
	struct pin *pin = batch->pin;
	enum at_verdict verdict = at_may(pin->at, pfn, to);

	if (verdict != AT_STALE_TLB)
		return at_become(pin->at, pfn, to);
	pin->count.frames_zapped++;
	return zap_gfn(&pin->vm->mem, pfn) ? become_flushed(batch, pfn, to) : AT_NO_MEMORY;
}
