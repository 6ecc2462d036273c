/* SPDX-License-Identifier: MIT */
/* Stores to page tables, entry by entry: judged, and done as a whole or not at all. */
#include <string.h>
#include "kvm/vm.h"
#include "kvm/write_protect.h"
#include "pin/store.h"
#include "status.h"
#include "stop.h"

/* 16 bytes in two frames touch three entries at most. */
#define CHANGES_MAX AT_STORE_MAX

unsigned count_write_protected(const struct memory *mem, const struct piece *pieces, unsigned nr)
{
	unsigned count = 0;

	for (unsigned i = 0; i < nr; i++)
		count += gfn_is_write_protected(mem, pieces[i].gpa / ALIAS_PAGE_SIZE);
	return count;
}

/* Splits the piece into changes of entries, merged with the entries' present values. */
static unsigned split_piece(const struct pin *pin, const struct piece *piece,
			    struct change *changes)
{
	uint64_t first = piece->gpa & ~7ull, end = piece->gpa + piece->len;
	unsigned nr = 0;

	for (uint64_t gpa = first; gpa < end; gpa += sizeof(uint64_t)) {
		uint64_t from = gpa > piece->gpa ? gpa : piece->gpa;
		uint64_t to = gpa + sizeof(uint64_t) < end ? gpa + sizeof(uint64_t) : end;
		uint64_t pte;

		memcpy(&pte, memory_back(&pin->vm->mem, gpa), sizeof(pte));
		memcpy((uint8_t *)&pte + (from - gpa), piece->bytes + (from - piece->gpa),
		       to - from);
		changes[nr++] = (struct change){.pte_gpa = gpa, .pte = pte};
	}
	return nr;
}

enum served commit_store(struct batch *batch, const struct piece *pieces, unsigned nr,
			 enum alias_status *status)
{
	struct change changes[CHANGES_MAX];
	unsigned nr_changes = 0;

	*status = ALIAS_BAD_STATE;
	if (count_write_protected(&batch->pin->vm->mem, pieces, nr) < nr)
		return SERVED; /* part of it is not in a page table, so it can't be done as a whole
				*/
	for (unsigned i = 0; i < nr; i++)
		nr_changes += split_piece(batch->pin, &pieces[i], &changes[nr_changes]);
	if (change_entries(batch, changes, nr_changes) == UPCALL)
		return UPCALL;
	*status = changes[0].status;
	batch->pin->count.stores += *status == ALIAS_OK;
	return SERVED;
}

/* The frames are no longer protected, but KVM may still shadow them. */
static void store_released(const struct batch *batch, const struct piece *pieces, unsigned nr)
{
	struct pin *pin = batch->pin;

	for (unsigned i = 0; i < nr; i++)
		memory_store_unprotected(&pin->vm->mem, pieces[i].gpa, pieces[i].bytes,
					 pieces[i].len);
	if (!zap_all(&pin->vm->mem, pin->vm->fd))
		stop_request(pin->vm->stop, VMM_EX_OSERR);
	pin->count.all_zapped++;
}

/* Pieces after the first may be outside of memory. */
static bool all_in_memory(const struct memory *mem, const struct piece *pieces, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		if (!memory_ptr(mem, pieces[i].gpa, pieces[i].len))
			return false;
	return true;
}

enum served commit_emulated(struct batch *batch, const struct piece *pieces, unsigned nr,
			    enum alias_status *status)
{
	const struct memory *mem = &batch->pin->vm->mem;
	struct piece kept[PIECES_MAX], released[PIECES_MAX];
	unsigned nr_kept = 0, nr_released = 0;

	*status = ALIAS_BAD_STATE;
	if (!all_in_memory(mem, pieces, nr))
		return SERVED;
	for (unsigned i = 0; i < nr; i++) {
		if (count_write_protected(mem, &pieces[i], 1))
			kept[nr_kept++] = pieces[i];
		else
			released[nr_released++] = pieces[i];
	}
	*status = ALIAS_OK;
	if (nr_kept && commit_store(batch, kept, nr_kept, status) == UPCALL)
		return UPCALL;
	if (*status == ALIAS_OK && nr_released)
		store_released(batch, released, nr_released);
	return SERVED;
}
