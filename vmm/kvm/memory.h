/* SPDX-License-Identifier: MIT */
/*
 * Guest memory: one or two ranges, each a sparse mapping and a KVM memory slot. RAM is at [0, 3
 * GiB) and from 4 GiB on. Slots don't change while vCPUs run, and none has dirty logging, so that
 * data keeps its large second-stage mappings; write tracking is done by userfaultfd, frame by
 * frame.
 *
 * If frames are to be write-protected (kvm/write_protect.h), the memory is mapped twice: the guest
 * and the devices use the first mapping, in which single frames can be made read-only; the host
 * writes through the second.
 */
#ifndef VMM_KVM_MEMORY_H
#define VMM_KVM_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "alias_abi.h"

#define MEMORY_LOW_END    (3ull << 30) /* start of the hole for devices */
#define MEMORY_HIGH_START (4ull << 30)
#define MEMORY_MAX_SLOTS  2

struct memory_slot {
	uint64_t gpa;
	uint64_t size;
	uint8_t *hva;
	uint8_t *back; /* the second mapping, always writable; NULL if there is none */
};

/* Which frames are write-protected. */
struct write_protect {
	/* Held while the protection of a frame changes, and while a device stores. */
	pthread_mutex_t lock;
	bool said; /* a message about a failed protection was printed; by the lock */
	/* One bit for each frame; large and sparse. Written under the lock, read by any thread
	 * (relaxed: the reader may be a moment late in any case, and the mapping's protection
	 * decides). */
	_Atomic uint64_t *protected;
	_Atomic uint64_t changes; /* of these bits; likewise */
	void *spare;              /* a page of nothing, whose slot comes and goes: zap_all() */
	/* Pages of nothing. While `reserved`, each second one is readable, which takes mappings;
	 * write_protect_undo() makes use of these. By the lock. */
	uint8_t *reserve;
	bool reserved;
};
/* Pages: 4 readable ones and what is around them are 9 mappings instead of 1, so 8 are in reserve.
 * An undo takes 2, for a frame between two that are protected; the others are for what other
 * threads take just when these are given back. */
#define WRITE_PROTECT_RESERVE 9u

struct memory {
	unsigned nr;
	struct memory_slot slot[MEMORY_MAX_SLOTS];
	struct write_protect *wp;         /* NULL: memory is mapped once */
	uint64_t shared_gpa, shared_size; /* pages of memory_share(); 0, 0 if there are none */
};

/* Reserves, without populating it, `bytes` of guest memory, a multiple of 4 KiB. Returns 0, or a
 * negated errno after a message. */
int memory_init(struct memory *mem, uint64_t bytes);
/* The same, with a second mapping. */
int memory_init_twice(struct memory *mem, uint64_t bytes);
/* Makes the content of these pages survive MADV_DONTNEED, in memory that is mapped once: KVM and
 * this process then drop their mappings and keep the content. What the pages hold now is lost,
 * and userfaultfd can't be used for them. At most once. Returns 0, or a negated errno after a
 * message. */
int memory_share(struct memory *mem, uint64_t gpa, uint64_t size);
/* Registers the slots with the VM. Returns 0, or a negated errno after a message. */
int memory_attach(const struct memory *mem, int vm_fd);
void memory_free(struct memory *mem);

/* Returns the host pointer for [gpa, gpa + len), or NULL unless len > 0 and the range lies wholly
 * in one slot. All code turns guest addresses into pointers by this function. The memory may change
 * at any time: read it once, and check the copy. */
void *memory_ptr(const struct memory *mem, uint64_t gpa, uint64_t len);
/* The same for all of a frame below memory_end_pfn(), at once for most. */
static inline void *memory_frame(const struct memory *mem, uint64_t pfn)
{
	uint64_t gpa = pfn * ALIAS_PAGE_SIZE;

	return gpa < mem->slot[0].size ? mem->slot[0].hva + gpa
				       : memory_ptr(mem, gpa, ALIAS_PAGE_SIZE);
}
/* Returns the same address in the second mapping. `gpa` must be in memory that has one. */
void *memory_back(const struct memory *mem, uint64_t gpa);
/* Stores to [to, to + len), which must be writable. The store is ordered after all earlier ones
 * (release); one of 1, 2, 4 or 8 aligned bytes is atomic. */
void memory_put(void *to, const void *from, size_t len);
/* Returns the gpa of a pointer from memory_ptr(), or UINT64_MAX for any other. */
uint64_t memory_gpa(const struct memory *mem, const void *ptr);
/* Returns the highest pfn plus 1. */
uint64_t memory_end_pfn(const struct memory *mem);
/* Gives the page at `gpa`, which must be in memory, and its content back to the host's kernel; the
 * next access gets a page of zeroes. vCPUs no longer map the old page when this returns. (If KVM
 * had mapped it as part of a large page, the kernel may keep the memory until it splits that page;
 * it no longer counts as resident.) Returns 0, or a negated errno. */
int memory_give_up(const struct memory *mem, uint64_t gpa);
/* Has this kernel MADV_POPULATE_WRITE, which memory_renew() and write tracking use? */
bool memory_can_populate(void);
/* Fills the page with zeroes and makes it resident. Returns 0, or a negated errno. */
int memory_renew(const struct memory *mem, uint64_t gpa);
/* Returns the gpa of the first page from `gpa` on, and before `*end`, that is resident in the host,
 * and lowers `*end` to that of the next one that is not; or returns `*end`. Both are multiples of 4
 * KiB, in one slot. */
uint64_t memory_next_resident(const struct memory *mem, uint64_t gpa, uint64_t *end);
/* Returns how many bytes of guest memory are resident in the host now. */
uint64_t memory_resident(const struct memory *mem);

#endif
