/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "fake_kvm.h"
#include "kvm/write_protect.h"
#include "suites.h"

#define FRAME(pfn) ((pfn)*4096ull)

static struct memory mem;
static void setup(void)
{
	ck_assert_int_eq(memory_init_twice(&mem, 4 << 20), 0);
}

static void teardown(void)
{
	memory_free(&mem);
	fake_kvm = NULL;
}

/* A store to the mapping of guest and devices that does not end us where it is kept from it, as one
 * of the kernel for a device would. */
static bool writes(uint64_t gpa, uint64_t value)
{
	struct iovec from = {&value, sizeof(value)};
	struct iovec to = {memory_ptr(&mem, gpa, sizeof(value)), sizeof(value)};

	return process_vm_writev(getpid(), &from, 1, &to, 1, 0) == sizeof(value);
}

static uint64_t reads(uint64_t gpa)
{
	uint64_t value;

	memcpy(&value, memory_ptr(&mem, gpa, sizeof(value)), sizeof(value));
	return value;
}

/* Both mappings are of the same memory. */
START_TEST(mapped_twice)
{
	*(uint64_t *)memory_back(&mem, FRAME(5)) = 77;
	ck_assert_uint_eq(reads(FRAME(5)), 77);
	ck_assert_ptr_ne(memory_back(&mem, 0), memory_ptr(&mem, 0, 1));
	ck_assert_uint_eq((uintptr_t)memory_ptr(&mem, 0, 1) % (2 << 20), 0);
	ck_assert_uint_eq(memory_gpa(&mem, memory_ptr(&mem, FRAME(7) + 3, 1)), FRAME(7) + 3);
	ck_assert_uint_eq(memory_gpa(&mem, &mem), UINT64_MAX);
}
END_TEST

START_TEST(a_protected_frame_is_read_only)
{
	ck_assert(write_protect_gfn(&mem, 5));
	ck_assert(gfn_is_write_protected(&mem, 5) && !gfn_is_write_protected(&mem, 4) &&
		  !gfn_is_write_protected(&mem, 6));
	ck_assert(!writes(FRAME(5), 1) && !writes(FRAME(5) + 4088, 1));
	ck_assert(writes(FRAME(5) - 8, 1) && writes(FRAME(6), 1));
	*(uint64_t *)memory_back(&mem, FRAME(5) + 8) = 9;
	ck_assert_uint_eq(reads(FRAME(5) + 8), 9);
	ck_assert(write_unprotect_gfn(&mem, 5));
	ck_assert(!gfn_is_write_protected(&mem, 5) && writes(FRAME(5), 1));
	ck_assert(!write_protect_gfn(&mem, 1024) && !write_protect_gfn(&mem, UINT64_MAX / 4096));
	ck_assert(!gfn_is_write_protected(&mem, 1024) && !gfn_is_write_protected(&mem, UINT64_MAX));
}
END_TEST

#define REGION_PAGES 100000u

/* Splits a mapping of its own until the process may have no more. Returns the region; NULL, after a
 * word, if that can't be done, and so `test` not be made. */
static uint8_t *use_up_mappings(const char *test)
{
	uint8_t *region;

#ifdef __SANITIZE_THREAD__
	printf("skip %s: ThreadSanitizer itself maps and unmaps\n", test);
	return NULL;
#endif
	region = mmap(NULL, REGION_PAGES * 4096ul, PROT_NONE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(region, MAP_FAILED);
	for (unsigned i = 1; i < REGION_PAGES; i += 2)
		if (mprotect(region + i * 4096ul, 4096, PROT_READ))
			return region;
	munmap(region, REGION_PAGES * 4096ul);
	printf("skip %s: this host has no limit of mappings to reach\n", test);
	return NULL;
}

/* In the middle of a run: that splits it. At the limit of mappings the frame stays as it is. */
START_TEST(a_release_can_fail)
{
	bool run = true, released, is_protected, pinned;
	uint8_t *region;

	for (uint64_t pfn = 10; pfn < 15; pfn++)
		run &= write_protect_gfn(&mem, pfn);
	ck_assert(run);
	region = use_up_mappings("a_release_can_fail");
	if (!region)
		return;
	released = write_unprotect_gfn(&mem, 12);
	is_protected = gfn_is_write_protected(&mem, 12);
	pinned = write_protect_gfn(&mem, 100);
	munmap(region, REGION_PAGES * 4096ul);
	ck_assert(!released && is_protected && !pinned);
	ck_assert(!writes(FRAME(12), 1));
	ck_assert(!gfn_is_write_protected(&mem, 100) && writes(FRAME(100), 1));
	ck_assert(write_unprotect_gfn(&mem, 12) && writes(FRAME(12), 1));
	ck_assert(write_protect_gfn(&mem, 100) && !writes(FRAME(11), 1));
}
END_TEST

/* The frame between two that are protected takes more mappings afterwards than before. Those that
 * protecting it has freed are used up by then. */
START_TEST(an_undo_has_mappings_in_reserve)
{
	bool run = true, undone, said, pinned;
	uint8_t *region;

	run &= write_protect_gfn(&mem, 10) && write_protect_gfn(&mem, 12);
	run &= write_protect_gfn(&mem, 11);
	ck_assert(run);
	region = use_up_mappings("an_undo_has_mappings_in_reserve");
	if (!region)
		return;
	undone = write_protect_undo(&mem, 11);
	said = mem.wp->said; /* nothing was refused */
	for (uint64_t pfn = 20; write_protect_gfn(&mem, pfn); pfn += 2)
		;
	pinned = write_protect_gfn(&mem, 11); /* nothing, before there is a reserve again */
	munmap(region, REGION_PAGES * 4096ul);
	ck_assert(undone && !said && writes(FRAME(11), 1) && !pinned);
	ck_assert(write_protect_gfn(&mem, 11) && !writes(FRAME(11), 1));
}
END_TEST

/* A device's store goes where it may, and nowhere else. */
START_TEST(devices_heed_it)
{
	uint8_t bytes[24];

	memset(bytes, 0xab, sizeof(bytes));
	ck_assert(write_protect_gfn(&mem, 5));
	memory_store(&mem, memory_ptr(&mem, FRAME(5) - 8, 24), bytes, 24);
	ck_assert_uint_eq(reads(FRAME(5) - 8), 0xababababababababull);
	ck_assert_uint_eq(reads(FRAME(5)), 0);
	memory_store(&mem, memory_ptr(&mem, FRAME(6) - 8, 24), bytes, 24);
	ck_assert_uint_eq(reads(FRAME(6) - 8), 0);
	ck_assert_uint_eq(reads(FRAME(6)), 0xababababababababull);
	memory_store(&mem, memory_ptr(&mem, FRAME(7) + 2, 2), bytes, 2);
	ck_assert_uint_eq(reads(FRAME(7)), 0xabab0000);
}
END_TEST

/* What is in a frame whose translations are zapped stays. */
START_TEST(zapping_a_frame_loses_nothing)
{
	ck_assert(writes(FRAME(9), 1234));
	ck_assert(zap_gfn(&mem, 9));
	ck_assert_uint_eq(reads(FRAME(9)), 1234);
	ck_assert(write_protect_gfn(&mem, 9) && zap_gfn(&mem, 9));
	ck_assert(!writes(FRAME(9), 1));
	ck_assert_uint_eq(reads(FRAME(9)), 1234);
}
END_TEST

static unsigned created, deleted;
static bool fails;

static int count_slots(int fd, unsigned long request, void *arg)
{
	const struct kvm_userspace_memory_region *region = arg;

	(void)fd;
	if (request != KVM_SET_USER_MEMORY_REGION)
		return FAKE_PASS;
	if (fails) {
		errno = ENOMEM;
		return -1;
	}
	ck_assert_uint_eq(region->slot, MEMORY_MAX_SLOTS);
	ck_assert(region->guest_phys_addr >= MEMORY_LOW_END &&
		  region->guest_phys_addr < MEMORY_HIGH_START);
	if (region->memory_size)
		created++;
	else
		deleted++;
	return 0;
}

START_TEST(zapping_all_is_a_slot_that_goes)
{
	fake_kvm = count_slots;
	fails = false;
	ck_assert(zap_all(&mem, -1));
	ck_assert(created == 1 && deleted == 1);
	fails = true;
	ck_assert(!zap_all(&mem, -1));
}
END_TEST

TCase *write_protect_tests(void)
{
	TCase *tc = tcase_create("write-protect");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, mapped_twice);
	tcase_add_test(tc, a_protected_frame_is_read_only);
	tcase_add_test(tc, a_release_can_fail);
	tcase_add_test(tc, an_undo_has_mappings_in_reserve);
	tcase_add_test(tc, devices_heed_it);
	tcase_add_test(tc, zapping_a_frame_loses_nothing);
	tcase_add_test(tc, zapping_all_is_a_slot_that_goes);
	return tc;
}
