/* SPDX-License-Identifier: MIT */
#include "pin/write_protect.h"

#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "alias_abi.h"
#include "kvm/memory.h"
#include "say.h"

/* A page of nothing, whose slot comes and goes: in the hole for devices, below the identity map. */
#define SPARE_GPA 0xfeffb000ull

#define PTE_P    (1ull << 0)
#define PTE_RW   (1ull << 1)
#define PTE_A    (1ull << 5)
#define PTE_D    (1ull << 6)
#define PTE_PS   (1ull << 7)
#define PTE_NX   (1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull
/* Ignored by processors: bits 9-11 and 52-58. */
#define PTE_SOFT (0xe00ull | 0x07f0000000000000ull)

struct guard {
	struct memory *mem;
	int vm_fd;
	void *spare;
	/* Held while a frame changes sides and while a device stores. */
	pthread_mutex_t lock;
	bool said; /* that one could not be guarded; under the lock */
	/* A bit a frame, large and sparse: written under the lock, read by anyone (relaxed: who
	 * acts on it can do so a moment too late anyway, and the protection itself decides). */
	uint64_t *held;
};

struct guard *guard_new(struct memory *mem, int vm_fd)
{
	struct guard *guard = calloc(1, sizeof(*guard));

	if (!guard)
		return NULL;
	guard->mem = mem;
	guard->vm_fd = vm_fd;
	guard->held = calloc(memory_end_pfn(mem) / 64 + 1, sizeof(*guard->held));
	guard->spare = mmap(NULL, ALIAS_PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_mutex_init(&guard->lock, NULL);
	if (!guard->held || guard->spare == MAP_FAILED) {
		guard_free(guard);
		return NULL;
	}
	mem->guard = guard;
	return guard;
}

void guard_free(struct guard *guard)
{
	if (!guard)
		return;
	guard->mem->guard = NULL;
	if (guard->spare != MAP_FAILED)
		munmap(guard->spare, ALIAS_PAGE_SIZE);
	pthread_mutex_destroy(&guard->lock);
	free(guard->held);
	free(guard);
}

static void *front(const struct guard *guard, uint64_t pfn)
{
	return memory_ptr(guard->mem, pfn * ALIAS_PAGE_SIZE, ALIAS_PAGE_SIZE);
}

bool guard_holds(const struct guard *guard, uint64_t pfn)
{
	return pfn < memory_end_pfn(guard->mem) &&
	       __atomic_load_n(&guard->held[pfn / 64], __ATOMIC_RELAXED) >> pfn % 64 & 1;
}

static void mark(struct guard *guard, uint64_t pfn, bool held)
{
	uint64_t bit = 1ull << pfn % 64, word = guard->held[pfn / 64];

	__atomic_store_n(&guard->held[pfn / 64], held ? word | bit : word & ~bit, __ATOMIC_RELAXED);
}

bool guard_hold(struct guard *guard, uint64_t pfn)
{
	void *hva = front(guard, pfn);
	bool ok;

	if (!hva)
		return false;
	pthread_mutex_lock(&guard->lock);
	ok = mprotect(hva, ALIAS_PAGE_SIZE, PROT_READ) == 0;
	if (ok)
		mark(guard, pfn, true);
	else if (!guard->said)
		say_errno(
			"mprotect of a page table, whose pin is refused (is vm.max_map_count reached?)");
	guard->said |= !ok;
	pthread_mutex_unlock(&guard->lock);
	return ok;
}

/* Making it writable can fail only by having to split a mapping, which it is the end of. */
void guard_release(struct guard *guard, uint64_t pfn)
{
	pthread_mutex_lock(&guard->lock);
	mark(guard, pfn, false);
	if (mprotect(front(guard, pfn), ALIAS_PAGE_SIZE, PROT_READ | PROT_WRITE))
		say_errno("mprotect of a frame that is no page table any more");
	pthread_mutex_unlock(&guard->lock);
}

void guard_store(struct guard *guard, uint64_t gpa, const void *from, size_t len)
{
	const uint8_t *bytes = from;

	pthread_mutex_lock(&guard->lock);
	while (len > 0) {
		size_t step = ALIAS_PAGE_SIZE - gpa % ALIAS_PAGE_SIZE;

		if (step > len)
			step = len;
		if (!guard_holds(guard, gpa / ALIAS_PAGE_SIZE))
			memory_put(memory_back(guard->mem, gpa), bytes, step);
		gpa += step;
		bytes += step;
		len -= step;
	}
	pthread_mutex_unlock(&guard->lock);
}

uint64_t guard_preset(uint64_t pte, unsigned level)
{
	bool leaf = level == 1 || pte & PTE_PS;

	if (!(pte & PTE_P))
		return pte;
	return pte | PTE_A | (leaf && pte & PTE_RW ? PTE_D : 0);
}

void guard_write(struct guard *guard, uint64_t pte_gpa, uint64_t pte)
{
	uint64_t *entry = memory_back(guard->mem, pte_gpa);

	__atomic_store_n(entry, pte, __ATOMIC_RELEASE);
}

/* A right that is gained needs nothing: the fault that KVM takes for the lack of it walks anew. But
 * above L1 rights are part of what names the shadow table below, so there any change counts. */
enum guard_stale guard_stale(const struct guard *guard, unsigned level, uint64_t old, uint64_t pte)
{
	uint64_t ignored = PTE_SOFT | PTE_A | PTE_D;
	uint64_t gained = (pte & ~old & PTE_RW) | (old & ~pte & PTE_NX);

	if (!(old & PTE_P))
		return GUARD_NOTHING;
	if (level == 1)
		ignored |= gained;
	if (!((old ^ pte) & ~ignored))
		return GUARD_NOTHING;
	if (level == 1 && front(guard, (old & PTE_ADDR) / ALIAS_PAGE_SIZE))
		return GUARD_FRAME;
	return GUARD_TRANSLATION;
}

/* The memory is a file's: it stays as it is, and only what maps this page goes. */
bool guard_forget_frame(struct guard *guard, uint64_t pfn)
{
	if (madvise(front(guard, pfn), ALIAS_PAGE_SIZE, MADV_DONTNEED) == 0)
		return true;
	say_errno("madvise to flush a translation");
	return false;
}

/* KVM drops all shadow tables when a slot goes. */
bool guard_forget_all(struct guard *guard)
{
	struct kvm_userspace_memory_region region = {
		.slot = MEMORY_MAX_SLOTS,
		.flags = KVM_MEM_READONLY,
		.guest_phys_addr = SPARE_GPA,
		.userspace_addr = (uintptr_t)guard->spare,
		.memory_size = ALIAS_PAGE_SIZE,
	};

	if (ioctl(guard->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) == 0) {
		region.memory_size = 0;
		if (ioctl(guard->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) == 0)
			return true;
	}
	say_errno("KVM_SET_USER_MEMORY_REGION to flush all translations");
	return false;
}
