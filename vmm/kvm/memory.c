/* SPDX-License-Identifier: MIT */
#include "kvm/memory.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "alias_abi.h"
#include "say.h"

#define LARGE_PAGE (2ull << 20)

/* Maps `size` bytes at a multiple of 2 MiB, as the gpas are: only then can KVM use large pages.
 * Anonymous memory if fd is -1. */
static void *reserve_aligned(uint64_t size, int fd)
{
	int flags = MAP_NORESERVE | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);
	uint8_t *room = mmap(NULL, size + LARGE_PAGE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *hva;
	uint64_t before;

	if (room == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)room % LARGE_PAGE;
	hva = mmap(room + before, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
	if (hva == MAP_FAILED) {
		munmap(room, size + LARGE_PAGE);
		return NULL;
	}
	if (before)
		munmap(room, before);
	munmap(hva + size, LARGE_PAGE - before);
	/* Too large for a core file, and of no use there. */
	madvise(hva, size, MADV_DONTDUMP);
	return hva;
}

static bool map_slot(struct memory_slot *slot, bool twice)
{
	int fd = twice ? memfd_create("guest memory", MFD_CLOEXEC) : -1;

	if (twice && (fd < 0 || TEMP_FAILURE_RETRY(ftruncate(fd, (off_t)slot->size)))) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	slot->hva = reserve_aligned(slot->size, fd);
	slot->back = twice && slot->hva ? reserve_aligned(slot->size, fd) : NULL;
	if (fd >= 0)
		close(fd);
	return slot->hva && (slot->back || !twice);
}

static int add_slot(struct memory *mem, uint64_t gpa, uint64_t size, bool twice)
{
	struct memory_slot *slot = &mem->slot[mem->nr++];

	*slot = (struct memory_slot){.gpa = gpa, .size = size};
	if (!map_slot(slot, twice))
		return say_errno("mmap of %llu MiB guest memory", (unsigned long long)size >> 20);
	return 0;
}

static int map_memory(struct memory *mem, uint64_t bytes, bool twice)
{
	uint64_t low = bytes < MEMORY_LOW_END ? bytes : MEMORY_LOW_END;
	int err;

	*mem = (struct memory){0};
	err = add_slot(mem, 0, low, twice);
	if (!err && bytes > MEMORY_LOW_END)
		err = add_slot(mem, MEMORY_HIGH_START, bytes - MEMORY_LOW_END, twice);
	if (err)
		memory_free(mem);
	return err;
}

int memory_init(struct memory *mem, uint64_t bytes)
{
	return map_memory(mem, bytes, false);
}

int memory_init_twice(struct memory *mem, uint64_t bytes)
{
	int err = map_memory(mem, bytes, true);
	struct write_protect *wp = err ? NULL : calloc(1, sizeof(*wp));

	if (err)
		return err;
	mem->wp = wp;
	if (wp) {
		pthread_mutex_init(&wp->lock, NULL);
		wp->protected = calloc(memory_end_pfn(mem) / 64 + 1, sizeof(*wp->protected));
		wp->spare =
			mmap(NULL, ALIAS_PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		wp->reserve = mmap(NULL, WRITE_PROTECT_RESERVE * ALIAS_PAGE_SIZE, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (wp->protected && wp->spare != MAP_FAILED && wp->reserve != MAP_FAILED)
			return 0;
	}
	say_errno("memory for write protection");
	memory_free(mem);
	return -ENOMEM;
}

int memory_share(struct memory *mem, uint64_t gpa, uint64_t size)
{
	void *hva = memory_ptr(mem, gpa, size);

	if (!hva || mmap(hva, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
			 -1, 0) == MAP_FAILED)
		return say_errno("mmap of pages to share with the guest");
	madvise(hva, size, MADV_DONTDUMP);
	mem->shared_gpa = gpa;
	mem->shared_size = size;
	return 0;
}

int memory_attach(const struct memory *mem, int vm_fd)
{
	for (unsigned i = 0; i < mem->nr; i++) {
		struct kvm_userspace_memory_region region = {
			.slot = i,
			.guest_phys_addr = mem->slot[i].gpa,
			.memory_size = mem->slot[i].size,
			.userspace_addr = (uintptr_t)mem->slot[i].hva,
		};

		if (ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
			return say_errno("KVM_SET_USER_MEMORY_REGION of %llu MiB at 0x%llx",
					 (unsigned long long)region.memory_size >> 20,
					 (unsigned long long)region.guest_phys_addr);
	}
	return 0;
}

void memory_free(struct memory *mem)
{
	while (mem->nr > 0) {
		struct memory_slot *slot = &mem->slot[--mem->nr];

		if (slot->hva)
			munmap(slot->hva, slot->size);
		if (slot->back)
			munmap(slot->back, slot->size);
		*slot = (struct memory_slot){0};
	}
	if (!mem->wp)
		return;
	if (mem->wp->spare != MAP_FAILED)
		munmap(mem->wp->spare, ALIAS_PAGE_SIZE);
	if (mem->wp->reserve != MAP_FAILED)
		munmap(mem->wp->reserve, WRITE_PROTECT_RESERVE * ALIAS_PAGE_SIZE);
	pthread_mutex_destroy(&mem->wp->lock);
	free(mem->wp->protected);
	free(mem->wp);
	mem->wp = NULL;
}

void *memory_ptr(const struct memory *mem, uint64_t gpa, uint64_t len)
{
	/* A slot that isn't there has no size. */
	const struct memory_slot *slot = &mem->slot[gpa >= MEMORY_HIGH_START];
	uint64_t offset = gpa - slot->gpa;

	/* of no bytes one less are too many */
	return offset < slot->size && len - 1 < slot->size - offset ? slot->hva + offset : NULL;
}

uint64_t memory_gpa(const struct memory *mem, const void *ptr)
{
	for (unsigned i = 0; i < mem->nr; i++) {
		const struct memory_slot *slot = &mem->slot[i];
		uint64_t offset = (uintptr_t)ptr - (uintptr_t)slot->hva;

		if (offset < slot->size)
			return slot->gpa + offset;
	}
	return UINT64_MAX;
}

void *memory_back(const struct memory *mem, uint64_t gpa)
{
	unsigned i = mem->nr - 1;

	while (i > 0 && gpa < mem->slot[i].gpa)
		i--;
	return mem->slot[i].back + (gpa - mem->slot[i].gpa);
}

void memory_put(void *to, const void *from, size_t len)
{
	uint64_t value = 0;

	if (len > sizeof(value) || (len & (len - 1)) || (uintptr_t)to % len) {
		__atomic_thread_fence(__ATOMIC_RELEASE);
		memcpy(to, from, len);
		return;
	}
	memcpy(&value, from, len);
	if (len == 8)
		__atomic_store_n((uint64_t *)to, value, __ATOMIC_RELEASE);
	else if (len == 4)
		__atomic_store_n((uint32_t *)to, (uint32_t)value, __ATOMIC_RELEASE);
	else if (len == 2)
		__atomic_store_n((uint16_t *)to, (uint16_t)value, __ATOMIC_RELEASE);
	else
		__atomic_store_n((uint8_t *)to, (uint8_t)value, __ATOMIC_RELEASE);
}

uint64_t memory_end_pfn(const struct memory *mem)
{
	const struct memory_slot *last = &mem->slot[mem->nr - 1];

	return (last->gpa + last->size) / ALIAS_PAGE_SIZE;
}

/* A file keeps its pages when they are unmapped, so a hole is punched into the file, which removes
 * them from all mappings. */
int memory_give_up(const struct memory *mem, uint64_t gpa)
{
	uint8_t *hva = memory_ptr(mem, gpa, ALIAS_PAGE_SIZE);
	int ret = mem->slot[0].back ? madvise(memory_back(mem, gpa), ALIAS_PAGE_SIZE, MADV_REMOVE)
				    : madvise(hva, ALIAS_PAGE_SIZE, MADV_DONTNEED);

	return ret < 0 ? -errno : 0;
}

bool memory_can_populate(void)
{
	void *page = mmap(NULL, ALIAS_PAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool lacks;

	if (page == MAP_FAILED)
		return true;
	lacks = madvise(page, ALIAS_PAGE_SIZE, MADV_POPULATE_WRITE) && errno == EINVAL;
	munmap(page, ALIAS_PAGE_SIZE);
	return !lacks;
}

int memory_renew(const struct memory *mem, uint64_t gpa)
{
	uint8_t *hva = memory_ptr(mem, gpa, ALIAS_PAGE_SIZE);
	int err = memory_give_up(mem, gpa);

	if (!err && madvise(hva, ALIAS_PAGE_SIZE, MADV_POPULATE_WRITE) < 0)
		err = -errno;
	return err;
}

static uint64_t resident_pages(uint8_t *hva, uint64_t bytes)
{
	unsigned char in_core[4096];
	uint64_t pages = 0;

	while (bytes > 0) {
		uint64_t step = sizeof(in_core) * ALIAS_PAGE_SIZE;

		if (step > bytes)
			step = bytes;
		if (mincore(hva, step, in_core) < 0)
			break;
		for (uint64_t i = 0; i < step / ALIAS_PAGE_SIZE; i++)
			pages += in_core[i] & 1;
		hva += step;
		bytes -= step;
	}
	return pages;
}

/* Asks for few pages first, as the host's kernel looks at each, and for more the longer it takes.
 */
uint64_t memory_next_resident(const struct memory *mem, uint64_t gpa, uint64_t *end)
{
	const uint8_t *hva = memory_ptr(mem, gpa, *end - gpa);
	unsigned char in_core[4096];
	uint64_t first = *end;

	for (uint64_t at = gpa, pages = 32; hva && at < *end; at += pages * ALIAS_PAGE_SIZE) {
		bool found = first < *end;

		pages = at == gpa ? pages : 2 * pages;
		if (pages > sizeof(in_core))
			pages = sizeof(in_core);
		if (pages > (*end - at) / ALIAS_PAGE_SIZE)
			pages = (*end - at) / ALIAS_PAGE_SIZE;
		if (mincore((uint8_t *)hva + (at - gpa), pages * ALIAS_PAGE_SIZE, in_core) < 0)
			return found ? first : at;
		for (uint64_t i = 0; i < pages; i++) {
			if ((in_core[i] & 1) == found)
				continue;
			if (found) {
				*end = at + i * ALIAS_PAGE_SIZE;
				return first;
			}
			found = true;
			first = at + i * ALIAS_PAGE_SIZE;
		}
	}
	return first;
}

uint64_t memory_resident(const struct memory *mem)
{
	uint64_t pages = 0;

	for (unsigned i = 0; i < mem->nr; i++)
		pages += resident_pages(mem->slot[i].hva, mem->slot[i].size);
	return pages * ALIAS_PAGE_SIZE;
}
