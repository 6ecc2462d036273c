/* SPDX-License-Identifier: MIT */
/* Guest memory by virtual address, and the software breakpoints in it. */
#include "gdb/target.h"

#include <string.h>
#include <sys/ioctl.h>
#include "kvm/page_walk.h"
#include "kvm/vm.h"
#include "kvm/write_protect.h"

#define INT3      0xcc
#define OUT       0xef /* out %eax, (%dx) */
#define PAGE_SIZE 4096u
#define CR0_PG    (1ull << 31)
#define EFER_LMA  (1ull << 10)

static bool is_paging(const struct gdb_target *target, unsigned vcpu)
{
	struct kvm_sregs sregs;

	return ioctl(target->vm->vcpus[vcpu].fd, KVM_GET_SREGS, &sregs) < 0 || sregs.cr0 & CR0_PG;
}

/* Finds an address by the image's program headers. */
static bool find_in_image(const struct gdb_target *target, uint64_t va, uint64_t *gpa)
{
	for (unsigned i = 0; i < target->nr_segments; i++) {
		const struct image_segment *segment = &target->segment[i];

		if (va - segment->va >= segment->memsz)
			continue;
		*gpa = segment->gpa + (va - segment->va);
		return true;
	}
	return false;
}

/* Translates a virtual address by this vCPU's page tables. */
static bool translate_address(const struct gdb_target *target, unsigned vcpu, uint64_t va,
			      uint64_t *gpa)
{
	struct kvm_translation translation = {.linear_address = va};

	if (!is_paging(target, vcpu) && find_in_image(target, va, gpa))
		return true;
	if (ioctl(target->vm->vcpus[vcpu].fd, KVM_TRANSLATE, &translation) < 0 ||
	    !translation.valid)
		return false;
	*gpa = translation.physical_address;
	return true;
}

/* The number of bytes up to the end of the page, at most `nr`. */
static size_t chunk_length(uint64_t va, size_t nr)
{
	size_t room = PAGE_SIZE - va % PAGE_SIZE;

	return nr < room ? nr : room;
}

static uint8_t break_instruction(const struct gdb_target *target)
{
	return target->int3 ? INT3 : OUT;
}

/* Puts the replaced bytes of breakpoints into a copy of [gpa, gpa + nr). What the guest has put
 * over a breakpoint is shown. */
static void hide_breakpoints(const struct gdb_target *target, uint64_t gpa, uint8_t *bytes,
			     size_t nr)
{
	for (unsigned i = 0; i < target->nr_software; i++) {
		const struct gdb_software *at = &target->software[i];
		uint64_t offset = at->gpa - gpa;

		if (offset < nr && bytes[offset] == break_instruction(target))
			bytes[offset] = at->code;
	}
}

size_t gdb_read_memory(const struct gdb_target *target, unsigned vcpu, uint64_t va, void *bytes,
		       size_t nr)
{
	size_t done = 0;

	while (done < nr) {
		size_t len = chunk_length(va + done, nr - done);
		uint8_t *to = (uint8_t *)bytes + done;
		const void *from;
		uint64_t gpa;

		if (!translate_address(target, vcpu, va + done, &gpa))
			break;
		from = memory_ptr(&target->vm->mem, gpa, len);
		if (!from)
			break;
		memcpy(to, from, len);
		hide_breakpoints(target, gpa, to, len);
		done += len;
	}
	return done;
}

/* Like devices' stores, the debugger's stores do not change write-protected frames. */
static bool store_chunk(const struct gdb_target *target, uint64_t gpa, const void *bytes,
			size_t len)
{
	const struct memory *mem = &target->vm->mem;
	void *to = memory_ptr(mem, gpa, len);

	if (!to)
		return false;
	memory_store(mem, to, bytes, len);
	return memcmp(to, bytes, len) == 0;
}

/* New bytes at a breakpoint replace the bytes that it hides. */
static void keep_breakpoints(struct gdb_target *target, uint64_t gpa, uint8_t *bytes, size_t len)
{
	const uint8_t *now = memory_ptr(&target->vm->mem, gpa, len);

	for (unsigned i = 0; now && i < target->nr_software; i++) {
		struct gdb_software *at = &target->software[i];
		uint64_t offset = at->gpa - gpa;

		if (offset >= len || now[offset] != break_instruction(target))
			continue;
		at->code = bytes[offset];
		bytes[offset] = now[offset];
	}
}

bool gdb_write_memory(struct gdb_target *target, unsigned vcpu, uint64_t va, const void *bytes,
		      size_t nr)
{
	uint8_t copy[PAGE_SIZE];

	for (size_t done = 0; done < nr;) {
		size_t len = chunk_length(va + done, nr - done);
		uint64_t gpa;

		if (!translate_address(target, vcpu, va + done, &gpa))
			return false;
		memcpy(copy, (const uint8_t *)bytes + done, len);
		keep_breakpoints(target, gpa, copy, len);
		if (!store_chunk(target, gpa, copy, len))
			return false;
		done += len;
	}
	return true;
}

static struct gdb_software *find_software(const struct gdb_target *target, uint64_t va)
{
	for (unsigned i = 0; i < target->nr_software; i++)
		if (target->software[i].va == va)
			return (struct gdb_software *)&target->software[i];
	return NULL;
}

bool gdb_break_at(const struct gdb_target *target, uint64_t va)
{
	return find_software(target, va) != NULL;
}

/* May user code run there, by this vCPU's page tables? Whether it is user code that has stopped
 * does not matter. */
static bool is_user_code(const struct gdb_target *target, unsigned vcpu, uint64_t va)
{
	unsigned error_code;
	struct kvm_sregs sregs;
	uint64_t gpa;

	if (ioctl(target->vm->vcpus[vcpu].fd, KVM_GET_SREGS, &sregs) < 0)
		return true;
	if (!(sregs.cr0 & CR0_PG) || !(sregs.efer & EFER_LMA))
		return false;
	sregs.cs.selector |= 3;
	return page_walk(&target->vm->mem, &sregs, 0, va, false, &gpa, &error_code) == PAGE_ALLOWED;
}

enum gdb_result gdb_insert_software(struct gdb_target *target, unsigned vcpu, uint64_t va)
{
	const uint8_t instruction = break_instruction(target);
	struct gdb_software at = {.va = va};

	if (find_software(target, va))
		return GDB_OK;
	/* User code can't do I/O: the breakpoint would fault. (An answer that this kind is not
	 * supported would have GDB store an INT3 itself.) */
	if (!target->int3 && is_user_code(target, vcpu, va))
		return GDB_FAILED;
	if (target->nr_software == GDB_MAX_SOFTWARE ||
	    !translate_address(target, vcpu, va, &at.gpa) ||
	    gdb_read_memory(target, vcpu, va, &at.code, 1) < 1 ||
	    !store_chunk(target, at.gpa, &instruction, 1))
		return GDB_FAILED;
	target->software[target->nr_software++] = at;
	return GDB_OK;
}

enum gdb_result gdb_remove_software(struct gdb_target *target, uint64_t va)
{
	struct gdb_software *at = find_software(target, va);
	const uint8_t *now;

	if (!at)
		return GDB_OK;
	now = memory_ptr(&target->vm->mem, at->gpa, 1);
	if (*now == break_instruction(target) && !store_chunk(target, at->gpa, &at->code, 1))
		return GDB_FAILED;
	*at = target->software[--target->nr_software];
	return GDB_OK;
}
