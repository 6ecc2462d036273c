/* SPDX-License-Identifier: MIT */
/* Requests for one frame or for many, made of batches. */
#include "panic.h"
#include "pin.h"

static void fill_reqs(struct pin_req *reqs, const uint64_t *pfns, unsigned n, struct pin_req like)
{
	for (unsigned i = 0; i < n; i++) {
		reqs[i] = like;
		reqs[i].pfn = pfns[i];
	}
}

/* Leaves those that were granted, as the request `back`. Returns how many these are. */
static unsigned turn_back(struct pin_req *reqs, unsigned n, struct pin_req back)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < n; i++) {
		back.pfn = reqs[i].pfn;
		if (reqs[i].granted)
			reqs[nr++] = back;
	}
	return nr;
}

/* The caller takes a frame that can't be taken back for one that was never changed. */
static void take_back(struct pin_req *reqs, unsigned n)
{
	struct pin_refusal why;

	if (n > 0 && pin_batch_try(reqs, n, &why))
		panic("pin: frame %#lx can't be taken back: it %s", why.req.pfn,
		      pin_status_name(why.status));
}

int pin_frames(const uint64_t *pfns, unsigned n, struct pin_req to, struct pin_req back)
{
	struct pin_req reqs[ALIAS_BATCH_MAX];
	unsigned granted = 0, nr = 0; /* of batches that were granted as a whole; of the last one */

	for (int result = 0; !result; granted += result ? 0 : nr) {
		if (granted == n)
			return 0;
		nr = n - granted < ALIAS_BATCH_MAX ? n - granted : ALIAS_BATCH_MAX;
		fill_reqs(reqs, pfns + granted, nr, to);
		result = pin_batch(reqs, nr);
	}
	take_back(reqs, turn_back(reqs, nr, back));
	for (; granted > 0; granted -= ALIAS_BATCH_MAX) {
		fill_reqs(reqs, pfns + granted - ALIAS_BATCH_MAX, ALIAS_BATCH_MAX, back);
		take_back(reqs, ALIAS_BATCH_MAX);
	}
	return -1;
}

int pin_table(uint64_t pfn, unsigned level)
{
	struct pin_req req = {.pfn = pfn, .level = (uint8_t)level, .op = PIN_OP_PIN};

	return pin_batch(&req, 1);
}

int unpin_table(uint64_t pfn)
{
	struct pin_req req = {.pfn = pfn, .op = PIN_OP_UNPIN};

	return pin_batch(&req, 1);
}

static void pin_list_hand_over(struct pin_list *list)
{
	if (list->nr && pin_batch(list->reqs, list->nr))
		list->result = -1;
	list->nr = 0;
}

void pin_list_add(struct pin_list *list, uint64_t pfn, unsigned level, enum pin_op op)
{
	list->reqs[list->nr++] = (struct pin_req){.pfn = pfn, .level = (uint8_t)level, .op = op};
	if (list->nr == ALIAS_BATCH_MAX)
		pin_list_hand_over(list);
}

int pin_list_submit(struct pin_list *list)
{
	pin_list_hand_over(list);
	return list->result;
}
