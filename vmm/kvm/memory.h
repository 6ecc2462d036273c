/* SPDX-License-Identifier: MIT */
/*
 * Guest memory: one sparse mapping per range, one KVM slot each. RAM lies at [0, 3 GiB)
 * and from 4 GiB up. No slot is ever changed while vCPUs run and none has dirty logging on, so data
 * keeps its large second-stage mappings; write tracking is by userfaultfd, frame by frame.
 *
 * Where frames are to be write-protected (kvm/write_protect.h), the memory is mapped twice: guest
 * and devices reach it through a mapping in which single frames can be made read-only, the host
 * writes by the other.
 */
#ifndef VMM_KVM_MEMORY_H
#define VMM_KVM_MEMORY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMORY_LOW_END    (3ull << 30) /* the device hole begins */
#define MEMORY_HIGH_START (4ull << 30)
#define MEMORY_MAX_SLOTS  2

struct memory_slot {
	uint64_t gpa;
	uint64_t size;
	uint8_t *hva;
	uint8_t *back; /* the same memory, always writable; NULL if it is mapped once */
};

/* Which frames are write-protected. */
struct write_protect {
	pthread_mutex_t lock; /* held while a frame changes sides and while a device stores */
	bool said;            /* that one could not be protected; under the lock */
	/* A bit a frame, large and sparse: written under the lock, read by anyone (relaxed: who
	 * acts on it can do so a moment too late anyway, and the protection itself decides). */
	uint64_t *protected;
	void *spare; /* a page of nothing, whose slot comes and goes: zap_all() */
};

struct memory {
	unsigned nr;
	struct memory_slot slot[MEMORY_MAX_SLOTS];
	struct write_protect *wp;         /* NULL: memory is mapped once */
	uint64_t shared_gpa, shared_size; /* memory_share(); 0, 0: none */
};

/* Reserves (not populates) `bytes` of guest memory, a multiple of 4 KiB. Returns 0, or a negated
 * errno after saying why. */
int memory_init(struct memory *mem, uint64_t bytes);
/* The same, mapped twice. */
int memory_init_twice(struct memory *mem, uint64_t bytes);
/* What these pages hold, in memory that is mapped once, survives their being forgotten by KVM and
 * by this process (MADV_DONTNEED); they lose what they hold now, and are of no use to userfaultfd.
 * At most once. Returns 0, or a negated errno after saying why. */
int memory_share(struct memory *mem, uint64_t gpa, uint64_t size);
/* Makes the slots known to the VM. Returns 0, or a negated errno after saying why. */
int memory_attach(const struct memory *mem, int vm_fd);
void memory_free(struct memory *mem);

/* The one way from a guest address to a host pointer: [gpa, gpa + len) wholly inside one slot, len
 * > 0, no overflow; else NULL. What it points to may change at any time: read once, judge the copy.
 */
void *memory_ptr(const struct memory *mem, uint64_t gpa, uint64_t len);
/* The same place in the second mapping. `gpa` is in memory that is mapped twice. */
void *memory_back(const struct memory *mem, uint64_t gpa);
/* Stores to [to, to + len), wherever that is writable. What was stored before is seen before it
 * (release); 1, 2, 4 or 8 bytes that are aligned are seen whole. */
void memory_put(void *to, const void *from, size_t len);
/* The gpa of a pointer that memory_ptr() has given; UINT64_MAX for any other. */
uint64_t memory_gpa(const struct memory *mem, const void *ptr);
/* The number after the highest frame. */
uint64_t memory_end_pfn(const struct memory *mem);
/* The page at gpa, which memory_ptr() knows, is given back to the host's system, with what it held;
 * who touches it again gets a new one, of zeroes. vCPUs that have it mapped lose that before the
 * return. (What KVM had mapped as a part of a large page may be kept by the host's system until it
 * splits that, but no longer counts as resident.) False, with errno, if it could not be. */
bool memory_give_up(const struct memory *mem, uint64_t gpa);
/* The page, whatever it held, holds zeroes and is resident. False, with errno, if it is not. */
bool memory_renew(const struct memory *mem, uint64_t gpa);
/* Bytes of guest memory that are resident in the host now. */
uint64_t memory_resident(const struct memory *mem);

#endif
