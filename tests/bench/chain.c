/* SPDX-License-Identifier: MIT */
/*
 * A word a frame, as KVM's rmap (arch/x86/kvm/mmu, "struct kvm_rmap_head"): 0, or the one entry
 * that maps the frame, or, with bit 0 set, a chain of groups of entries of which only the first is
 * not full.
 */
#include <stdlib.h>

#include "contender.h"

#define GROUP 14u

struct group {
	struct group *next;
	uint64_t nr;
	uint64_t gpas[GROUP];
};

struct chain {
	uint64_t frames;
	uint64_t heads[];
};

static struct group *group_of(uint64_t head)
{
	return head & 1 ? (struct group *)(uintptr_t)(head & ~1ull) : NULL;
}

static uint64_t head_of(const struct group *group)
{
	return group ? (uintptr_t)group | 1 : 0;
}

static void *chain_open(uint64_t frames)
{
	struct chain *chain = must_calloc(1, sizeof(*chain) + frames * sizeof(chain->heads[0]));

	chain->frames = frames;
	return chain;
}

static void chain_close(void *self)
{
	struct chain *chain = self;

	for (uint64_t pfn = 0; pfn < chain->frames; pfn++) {
		struct group *group = group_of(chain->heads[pfn]);

		while (group) {
			struct group *next = group->next;

			free(group);
			group = next;
		}
	}
	free(chain);
}

static void chain_add(void *self, uint64_t pfn, uint64_t gpa)
{
	uint64_t *head = &((struct chain *)self)->heads[pfn];
	struct group *group = group_of(*head);

	if (!*head) {
		*head = gpa;
		return;
	}
	if (!group || group->nr == GROUP) {
		struct group *first = must_calloc(1, sizeof(*first));

		first->next = group;
		if (!group)
			first->gpas[first->nr++] = *head;
		group = first;
		*head = head_of(group);
	}
	group->gpas[group->nr++] = gpa;
}

static void chain_drop(void *self, uint64_t pfn, uint64_t gpa)
{
	uint64_t *head = &((struct chain *)self)->heads[pfn];
	struct group *first = group_of(*head);

	if (!first) {
		*head = 0;
		return;
	}
	for (struct group *group = first; group; group = group->next) {
		for (uint64_t i = 0; i < group->nr; i++) {
			if (group->gpas[i] != gpa)
				continue;
			group->gpas[i] = first->gpas[--first->nr];
			if (!first->nr) {
				*head = head_of(first->next);
				free(first);
			}
			return;
		}
	}
}

static bool chain_has(const void *self, uint64_t pfn)
{
	const struct chain *chain = self;

	return pfn < chain->frames && chain->heads[pfn];
}

static uint64_t chain_count(const void *self, uint64_t pfn)
{
	uint64_t head = ((const struct chain *)self)->heads[pfn];
	uint64_t n = head && !(head & 1);

	for (const struct group *group = group_of(head); group; group = group->next)
		n += group->nr;
	return n;
}

const struct contender contender_chain = {
	"rmap", chain_open, chain_close, chain_add, chain_drop, chain_has, chain_count,
};
