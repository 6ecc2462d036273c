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

struct write_protect {
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

struct write_protect *write_protect_new(struct memory *mem, int vm_fd)
{
	struct write_protect *wp = calloc(1, sizeof(*wp));

	if (!wp)
		return NULL;
	wp->mem = mem;
	wp->vm_fd = vm_fd;
	wp->held = calloc(memory_end_pfn(mem) / 64 + 1, sizeof(*wp->held));
	wp->spare = mmap(NULL, ALIAS_PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_mutex_init(&wp->lock, NULL);
	if (!wp->held || wp->spare == MAP_FAILED) {
		write_protect_free(wp);
		return NULL;
	}
	mem->wp = wp;
	return wp;
}

void write_protect_free(struct write_protect *wp)
{
	if (!wp)
		return;
	wp->mem->wp = NULL;
	if (wp->spare != MAP_FAILED)
		munmap(wp->spare, ALIAS_PAGE_SIZE);
	pthread_mutex_destroy(&wp->lock);
	free(wp->held);
	free(wp);
}

static void *front(const struct write_protect *wp, uint64_t pfn)
{
	return memory_ptr(wp->mem, pfn * ALIAS_PAGE_SIZE, ALIAS_PAGE_SIZE);
}

bool gfn_is_write_protected(const struct write_protect *wp, uint64_t pfn)
{
	return pfn < memory_end_pfn(wp->mem) &&
	       __atomic_load_n(&wp->held[pfn / 64], __ATOMIC_RELAXED) >> pfn % 64 & 1;
}

static void mark(struct write_protect *wp, uint64_t pfn, bool held)
{
	uint64_t bit = 1ull << pfn % 64, word = wp->held[pfn / 64];

	__atomic_store_n(&wp->held[pfn / 64], held ? word | bit : word & ~bit, __ATOMIC_RELAXED);
}

bool write_protect_gfn(struct write_protect *wp, uint64_t pfn)
{
	void *hva = front(wp, pfn);
	bool ok;

	if (!hva)
		return false;
	pthread_mutex_lock(&wp->lock);
	ok = mprotect(hva, ALIAS_PAGE_SIZE, PROT_READ) == 0;
	if (ok)
		mark(wp, pfn, true);
	else if (!wp->said)
		say_errno(
			"mprotect of a page table, whose pin is refused (is vm.max_map_count reached?)");
	wp->said |= !ok;
	pthread_mutex_unlock(&wp->lock);
	return ok;
}

/* Making it writable can fail only by having to split a mapping, which it is the end of. */
void write_unprotect_gfn(struct write_protect *wp, uint64_t pfn)
{
	pthread_mutex_lock(&wp->lock);
	mark(wp, pfn, false);
	if (mprotect(front(wp, pfn), ALIAS_PAGE_SIZE, PROT_READ | PROT_WRITE))
		say_errno("mprotect of a frame that is no page table any more");
	pthread_mutex_unlock(&wp->lock);
}

void write_protect_device_store(struct write_protect *wp, uint64_t gpa, const void *from,
				size_t len)
{
	const uint8_t *bytes = from;

	pthread_mutex_lock(&wp->lock);
	while (len > 0) {
		size_t step = ALIAS_PAGE_SIZE - gpa % ALIAS_PAGE_SIZE;

		if (step > len)
			step = len;
		if (!gfn_is_write_protected(wp, gpa / ALIAS_PAGE_SIZE))
			memory_put(memory_back(wp->mem, gpa), bytes, step);
		gpa += step;
		bytes += step;
		len -= step;
	}
	pthread_mutex_unlock(&wp->lock);
}

uint64_t pte_preset_accessed(uint64_t pte, unsigned level)
{
	bool leaf = level == 1 || pte & PTE_PS;

	if (!(pte & PTE_P))
		return pte;
	return pte | PTE_A | (leaf && pte & PTE_RW ? PTE_D : 0);
}

void write_protected_pte_store(struct write_protect *wp, uint64_t pte_gpa, uint64_t pte)
{
	uint64_t *entry = memory_back(wp->mem, pte_gpa);

	__atomic_store_n(entry, pte, __ATOMIC_RELEASE);
}

/* A right that is gained needs nothing: the fault that KVM takes for the lack of it walks anew. But
 * above L1 rights are part of what names the shadow table below, so there any change counts. */
enum zap zap_scope(const struct write_protect *wp, unsigned level, uint64_t old, uint64_t pte)
{
	uint64_t ignored = PTE_SOFT | PTE_A | PTE_D;
	uint64_t gained = (pte & ~old & PTE_RW) | (old & ~pte & PTE_NX);

	if (!(old & PTE_P))
		return ZAP_NOTHING;
	if (level == 1)
		ignored |= gained;
	if (!((old ^ pte) & ~ignored))
		return ZAP_NOTHING;
	if (level == 1 && front(wp, (old & PTE_ADDR) / ALIAS_PAGE_SIZE))
		return ZAP_GFN;
	return ZAP_ALL;
}

/* The memory is a file's: it stays as it is, and only what maps this page goes. */
bool zap_gfn(struct write_protect *wp, uint64_t pfn)
{
	if (madvise(front(wp, pfn), ALIAS_PAGE_SIZE, MADV_DONTNEED) == 0)
		return true;
	say_errno("madvise to flush a translation");
	return false;
}

/* KVM drops all shadow tables when a slot goes. */
bool zap_all(struct write_protect *wp)
{
	struct kvm_userspace_memory_region region = {
		.slot = MEMORY_MAX_SLOTS,
		.flags = KVM_MEM_READONLY,
		.guest_phys_addr = SPARE_GPA,
		.userspace_addr = (uintptr_t)wp->spare,
		.memory_size = ALIAS_PAGE_SIZE,
	};

	if (ioctl(wp->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) == 0) {
		region.memory_size = 0;
		if (ioctl(wp->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) == 0)
			return true;
	}
	say_errno("KVM_SET_USER_MEMORY_REGION to flush all translations");
	return false;
}
