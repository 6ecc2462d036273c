/* SPDX-License-Identifier: MIT */
#include "memory.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "alias_abi.h"
#include "say.h"

#define LARGE_PAGE (2ull << 20)

/* `size` bytes at a multiple of 2 MiB, as gpas begin at one: only then can KVM use large pages. */
static void *reserve_aligned(uint64_t size)
{
	uint8_t *hva = mmap(NULL, size + LARGE_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t before;

	if (hva == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)hva % LARGE_PAGE;
	if (before)
		munmap(hva, before);
	munmap(hva + before + size, LARGE_PAGE - before);
	/* Of no use in a core file, and large. */
	madvise(hva + before, size, MADV_DONTDUMP);
	return hva + before;
}

static int add_slot(struct memory *mem, uint64_t gpa, uint64_t size)
{
	void *hva = reserve_aligned(size);

	if (!hva)
		return say_errno("mmap of %llu MiB guest memory", (unsigned long long)size >> 20);
	mem->slot[mem->nr++] = (struct memory_slot){.gpa = gpa, .size = size, .hva = hva};
	return 0;
}

int memory_init(struct memory *mem, uint64_t bytes)
{
	uint64_t low = bytes < MEMORY_LOW_END ? bytes : MEMORY_LOW_END;
	int err;

	mem->nr = 0;
	err = add_slot(mem, 0, low);
	if (!err && bytes > MEMORY_LOW_END)
		err = add_slot(mem, MEMORY_HIGH_START, bytes - MEMORY_LOW_END);
	if (err)
		memory_free(mem);
	return err;
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
		mem->nr--;
		munmap(mem->slot[mem->nr].hva, mem->slot[mem->nr].size);
	}
}

void *memory_ptr(const struct memory *mem, uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < mem->nr; i++) {
		const struct memory_slot *slot = &mem->slot[i];
		uint64_t offset = gpa - slot->gpa;

		if (gpa >= slot->gpa && offset < slot->size)
			return len > 0 && len <= slot->size - offset ? slot->hva + offset : NULL;
	}
	return NULL;
}

uint64_t memory_end_pfn(const struct memory *mem)
{
	const struct memory_slot *last = &mem->slot[mem->nr - 1];

	return (last->gpa + last->size) / ALIAS_PAGE_SIZE;
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

uint64_t memory_resident(const struct memory *mem)
{
	uint64_t pages = 0;

	for (unsigned i = 0; i < mem->nr; i++)
		pages += resident_pages(mem->slot[i].hva, mem->slot[i].size);
	return pages * ALIAS_PAGE_SIZE;
}
