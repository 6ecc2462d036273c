/* SPDX-License-Identifier: MIT */
/* --track strict: changes of write-protected tables, which the host makes for the guest. */
#include <string.h>
#include "kvm/write_protect.h"
#include "machine.h"
#include "pin/internal.h"
#include "pin/strict_pte.h"
#include "pte.h"
#include "say.h"
#include "status.h"
#include "stop.h"

#define FRAMES_MAX                                                                                 \
	16 /* up to so many frames are zapped one by one; for more, everything is zapped */

static void report_refused(struct batch *batch, const struct at_violation *why,
			   enum at_verdict verdict)
{
	struct pin *pin = batch->pin;

	pin->count.stores_refused++;
	if (verdict == AT_NO_MEMORY || verdict == AT_BAD_STATE)
		return;
	if (pin->count.violations++ < PIN_SAID_MAX)
		say("violation: %s: frame 0x%llx at va 0x%llx (L%u entry at gpa 0x%llx): not done",
		    at_violation_name(why->kind), (unsigned long long)why->pfn,
		    (unsigned long long)why->va, why->level, (unsigned long long)why->pte_gpa);
	if (pin->machine->opt->on_violation == VIOLATION_STOP)
		stop_request(&pin->machine->stop, VMM_EX_VIOLATION);
}

/* The store would link this table, which isn't pinned: serves its pin. */
static enum served pin_child(struct batch *batch, const struct at_violation *why,
			     enum alias_status *status)
{
	struct pin *pin = batch->pin;
	struct at_transition to = {AT_TO_TABLE, why->level - 1u};
	enum served served;
	bool pause;

	batch->verify = verify_is_due(pin);
	pause = batch->verify && !batch->paused;
	if (pause)
		pause_all_vcpus(pin->vm, batch->vcpu);
	batch->paused |= pause;
	served = serve_transition(batch, why->pfn, to, ALIAS_FAULT_STORE, status);
	if (pause) {
		batch->paused = false;
		resume_vcpus(pin->vm);
	}
	if (served == SERVED)
		pin->count.status[*status]++;
	return served;
}

static enum at_verdict verdict_on_changes(const struct pin *pin, const struct change *changes,
					  unsigned nr, struct at_violation *why)
{
	struct at_entry entries[AT_STORE_MAX] = {0};

	for (unsigned i = 0; i < nr; i++)
		entries[i] = (struct at_entry){changes[i].pte_gpa, changes[i].pte};
	return at_store(pin->at, entries, nr, why);
}

/* Has the tracker judge these changes, all or none; for a single one also serves the pin that it
 * needs. The first has the status. */
static enum served judge_changes(struct batch *batch, struct change *changes, unsigned nr)
{
	struct alias_tracker *at = batch->pin->at;
	struct at_violation why;
	enum at_verdict verdict = verdict_on_changes(batch->pin, changes, nr, &why);

	if (verdict == AT_CHILD_UNPINNED && nr == 1 && !at_pinned_level(at, why.pfn)) {
		if (pin_child(batch, &why, &changes->status) == UPCALL)
			return UPCALL;
		if (changes->status != ALIAS_OK) {
			report_refused(batch, &why, verdict);
			return SERVED;
		}
		verdict = verdict_on_changes(batch->pin, changes, nr, &why);
	}
	changes->status = to_status(verdict);
	if (verdict != AT_OK)
		report_refused(batch, &why, verdict);
	return SERVED;
}

/* What must be zapped after the changes. */
struct stale {
	bool all;
	unsigned nr;
	uint64_t frames[FRAMES_MAX];
};

static void note_stale(const struct pin *pin, struct stale *stale, const struct change *change)
{
	enum zap what = zap_scope(&pin->vm->mem, change->level, change->old, change->pte);
	uint64_t pfn = (change->old & PTE_ADDR) / ALIAS_PAGE_SIZE;

	if (what == ZAP_NOTHING || stale->all)
		return;
	if (what == ZAP_ALL || stale->nr == FRAMES_MAX)
		stale->all = true;
	else
		stale->frames[stale->nr++] = pfn;
}

static void flush_stale(struct pin *pin, const struct stale *stale)
{
	bool ok = true;

	if (stale->all) {
		ok = zap_all(&pin->vm->mem, pin->vm->fd);
		pin->count.all_zapped++;
	}
	for (unsigned i = 0; !stale->all && i < stale->nr; i++) {
		ok &= zap_gfn(&pin->vm->mem, stale->frames[i]);
		pin->count.frames_zapped++;
	}
	if (!ok)
		stop_request(&pin->machine->stop, VMM_EX_OSERR);
}

static void make_change(const struct pin *pin, struct stale *stale, const struct change *change)
{
	if (change->pte == change->old)
		return;
	strict_write_pte(&pin->vm->mem, change->pte_gpa, change->pte);
	note_stale(pin, stale, change);
}

/* Reads the old value, and presets bits in the new. */
static void prepare_change(const struct pin *pin, struct change *change)
{
	change->level = (uint8_t)at_pinned_level(pin->at, change->pte_gpa / ALIAS_PAGE_SIZE);
	change->old = strict_read_pte(&pin->vm->mem, change->pte_gpa);
	change->pte = pte_preset_accessed(change->pte, change->level);
}

enum served change_entries(struct batch *batch, struct change *changes, unsigned nr)
{
	struct pin *pin = batch->pin;
	struct stale stale = {0};

	for (unsigned i = 0; i < nr; i++)
		prepare_change(pin, &changes[i]);
	if (judge_changes(batch, changes, nr) == UPCALL)
		return UPCALL;
	if (changes->status != ALIAS_OK)
		return SERVED;
	for (unsigned i = 0; i < nr; i++)
		make_change(pin, &stale, &changes[i]);
	flush_stale(pin, &stale);
	return SERVED;
}

/* --- updates ---------------------------------------------------------------------------------- */

static bool is_entry(const struct pin *pin, uint64_t gpa)
{
	return gpa % sizeof(uint64_t) == 0 &&
	       memory_ptr(&pin->vm->mem, gpa, sizeof(uint64_t)) != NULL;
}

static enum served serve_update(struct batch *batch, const struct alias_update *update,
				struct stale *stale, enum alias_status *status)
{
	struct pin *pin = batch->pin;
	struct change change = {.pte_gpa = update->pte_gpa, .pte = update->pte};

	*status = ALIAS_BAD_FRAME;
	if (!is_entry(pin, update->pte_gpa))
		return SERVED;
	*status = ALIAS_BAD_STATE;
	if (!gfn_is_write_protected(&pin->vm->mem, update->pte_gpa / ALIAS_PAGE_SIZE))
		return SERVED;
	prepare_change(pin, &change);
	if (judge_changes(batch, &change, 1) == UPCALL)
		return UPCALL;
	*status = change.status;
	if (*status == ALIAS_OK) {
		make_change(pin, stale, &change);
		pin->count.updates++;
	}
	return SERVED;
}

/* Copies the updates of the call. Returns false if they are not in memory. */
static bool read_updates(const struct batch *batch, uint64_t pfn, struct alias_update *updates,
			 uint8_t *status)
{
	const struct memory *mem = &batch->pin->vm->mem;
	const void *list = NULL;

	if (pfn < memory_end_pfn(mem))
		list = memory_ptr(mem, pfn * ALIAS_PAGE_SIZE, ALIAS_PAGE_SIZE);
	if (!list)
		return false;
	memcpy(updates, list, batch->count * sizeof(*updates));
	memcpy(status, batch->page->update_status, batch->count);
	__asm__ volatile("" : : : "memory"); /* the copy must not be read from guest memory again */
	return true;
}

/* No answer is given before the zaps: other vCPUs of the guest must not take an update for done. */
enum alias_status serve_updates(struct batch *batch, uint64_t pfn)
{
	struct alias_update updates[ALIAS_UPDATE_MAX];
	uint8_t status[ALIAS_UPDATE_MAX];
	enum served served = SERVED;
	struct stale stale = {0};
	uint32_t done = 0;

	if (!read_updates(batch, pfn, updates, status))
		return ALIAS_BAD_CALL;
	batch->pin->count.update_calls++;
	for (; done < batch->count && !stop_requested(&batch->pin->machine->stop); done++) {
		enum alias_status answer;

		if (status[done] != ALIAS_PENDING)
			continue;
		served = serve_update(batch, &updates[done], &stale, &answer);
		if (served == UPCALL)
			break;
		status[done] = (uint8_t)answer;
	}
	flush_stale(batch->pin, &stale);
	memcpy(batch->page->update_status, status, done);
	return served == UPCALL ? send_upcall(batch) : ALIAS_OK;
}
