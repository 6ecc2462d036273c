/* SPDX-License-Identifier: MIT */
#include "kvm/write_protect.h"

#include <linux/kvm.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "alias_abi.h"
#include "say.h"

/* gpa of the spare page: in the hole for devices, below the identity map. */
#define SPARE_GPA 0xfeffb000ull

static void *guest_mapping(const struct memory *mem, uint64_t pfn)
{
	return memory_ptr(mem, pfn * ALIAS_PAGE_SIZE, ALIAS_PAGE_SIZE);
}

bool gfn_is_write_protected(const struct memory *mem, uint64_t pfn)
{
	return mem->wp && pfn < memory_end_pfn(mem) &&
	       atomic_load_explicit(&mem->wp->protected[pfn / 64], memory_order_relaxed) >>
			       pfn % 64 &
		       1;
}

uint64_t write_protect_changes(const struct memory *mem)
{
	return atomic_load_explicit(&mem->wp->changes, memory_order_relaxed);
}

/* The lock is held. */
static void mark_protected(struct write_protect *wp, uint64_t pfn, bool protect)
{
	_Atomic uint64_t *word = &wp->protected[pfn / 64];
	uint64_t bit = 1ull << pfn % 64, old = atomic_load_explicit(word, memory_order_relaxed);

	atomic_store_explicit(word, protect ? old | bit : old & ~bit, memory_order_relaxed);
	atomic_fetch_add_explicit(&wp->changes, 1, memory_order_relaxed);
}

/* Says, the first time, what is refused since mprotect() has failed. The lock is held. */
static void say_refused(struct write_protect *wp, const char *refused)
{
	if (!wp->said)
		say_errno(
			"mprotect of a page table, whose %s is refused (is vm.max_map_count reached?)",
			refused);
	wp->said = true;
}

/* Takes mappings from the host's limit, or gives them back. If that fails, there is no whole
 * reserve any more. The lock is held. */
static bool set_reserved(struct write_protect *wp, bool reserve)
{
	wp->reserved = false;
	for (unsigned i = 1; i < WRITE_PROTECT_RESERVE; i += 2)
		if (mprotect(wp->reserve + i * ALIAS_PAGE_SIZE, ALIAS_PAGE_SIZE,
			     reserve ? PROT_READ : PROT_NONE))
			return false;
	wp->reserved = reserve;
	return true;
}

/* The lock is held. */
static bool set_protected(const struct memory *mem, uint64_t pfn, bool protect)
{
	if (mprotect(guest_mapping(mem, pfn), ALIAS_PAGE_SIZE,
		     protect ? PROT_READ : PROT_READ | PROT_WRITE))
		return false;
	mark_protected(mem->wp, pfn, protect);
	return true;
}

bool write_protect_gfn(const struct memory *mem, uint64_t pfn)
{
	struct write_protect *wp = mem->wp;
	bool ok;

	if (!guest_mapping(mem, pfn))
		return false;
	pthread_mutex_lock(&wp->lock);
	ok = (wp->reserved || set_reserved(wp, true)) && set_protected(mem, pfn, true);
	if (!ok)
		say_refused(wp, "pin");
	pthread_mutex_unlock(&wp->lock);
	return ok;
}

bool write_unprotect_gfn(const struct memory *mem, uint64_t pfn)
{
	struct write_protect *wp = mem->wp;
	bool ok;

	pthread_mutex_lock(&wp->lock);
	ok = set_protected(mem, pfn, false);
	if (!ok)
		say_refused(wp, "unpin");
	pthread_mutex_unlock(&wp->lock);
	return ok;
}

bool write_protect_undo(const struct memory *mem, uint64_t pfn)
{
	struct write_protect *wp = mem->wp;
	bool ok;

	pthread_mutex_lock(&wp->lock);
	ok = set_protected(mem, pfn, false) ||
	     (set_reserved(wp, false) && set_protected(mem, pfn, false));
	if (!ok)
		say_errno("mprotect to make a page writable again, with mappings kept in reserve");
	pthread_mutex_unlock(&wp->lock);
	return ok;
}

/* The lock keeps the protection of a frame from changing during a store. */
void memory_store_unprotected(const struct memory *mem, uint64_t gpa, const void *from, size_t len)
{
	const uint8_t *bytes = from;

	pthread_mutex_lock(&mem->wp->lock);
	while (len > 0) {
		size_t step = ALIAS_PAGE_SIZE - gpa % ALIAS_PAGE_SIZE;

		if (step > len)
			step = len;
		if (!gfn_is_write_protected(mem, gpa / ALIAS_PAGE_SIZE))
			memory_put(memory_back(mem, gpa), bytes, step);
		gpa += step;
		bytes += step;
		len -= step;
	}
	pthread_mutex_unlock(&mem->wp->lock);
}

void memory_store(const struct memory *mem, void *to, const void *from, size_t len)
{
	if (mem->wp)
		memory_store_unprotected(mem, memory_gpa(mem, to), from, len);
	else
		memory_put(to, from, len);
}

/* The memory is a file's, so its content stays; only mappings of this page go. */
bool zap_gfn(const struct memory *mem, uint64_t pfn)
{
	if (madvise(guest_mapping(mem, pfn), ALIAS_PAGE_SIZE, MADV_DONTNEED) == 0)
		return true;
	say_errno("madvise to flush a translation");
	return false;
}

/* KVM drops all shadow page tables when a slot is deleted. */
bool zap_all(const struct memory *mem, int vm_fd)
{
	struct kvm_userspace_memory_region region = {
		.slot = MEMORY_MAX_SLOTS,
		.flags = KVM_MEM_READONLY,
		.guest_phys_addr = SPARE_GPA,
		.userspace_addr = (uintptr_t)mem->wp->spare,
		.memory_size = ALIAS_PAGE_SIZE,
	};

	if (ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region) == 0) {
		region.memory_size = 0;
		if (ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region) == 0)
			return true;
	}
	say_errno("KVM_SET_USER_MEMORY_REGION to flush all translations");
	return false;
}
