/* SPDX-License-Identifier: MIT */
/* What a guest's page tables allow. (tests/hostile/store_rights.c compares it with the processor.)
 */
#include <string.h>
#include "kvm/memory.h"
#include "kvm/page_walk.h"
#include "pte.h"
#include "suites.h"

#define ROOT  0x10000ull /* and the tables below it, down to L1 */
#define VA    0xffff900000000000ull
#define WP    (1ull << 16)
#define SMAP  (1ull << 21)
#define AC    (1ull << 18)
#define URW   (PTE_P | PTE_RW | PTE_US)
#define LARGE (URW | PTE_PS)

static struct memory mem;

static void setup(void)
{
	ck_assert_int_eq(memory_init(&mem, 4 << 20), 0);
}

static void teardown(void)
{
	memory_free(&mem);
}

static void set_entry(unsigned level, uint64_t pte)
{
	uint64_t gpa = ROOT + (4 - level) * 4096ull;

	((uint64_t *)memory_ptr(&mem, gpa, 4096))[VA >> pte_shift(level) & 511] = pte;
}

struct walk {
	uint64_t entry[5]; /* of each level, beside the address of the next table */
	uint64_t cr0, cr4, rflags;
	unsigned ring;
	bool read;
	int error_code; /* or OK */
};
#define OK      (-1)
#define NOWHERE 1ull

static const struct walk walks[] = {
	{{0, URW, URW, URW, URW}, WP, .error_code = OK},
	{{0, URW, URW, URW, URW}, WP, .ring = 3, .error_code = OK},
	{{0, 0, URW, URW, URW}, WP, .error_code = PF_WRITE},
	{{0, 0, URW, URW, URW}, WP, .read = true, .error_code = 0},
	{{0, URW, URW, 0, URW}, WP, .ring = 3, .error_code = PF_WRITE | PF_USER},
	/* read-only, at each level */
	{{0, URW & ~PTE_RW, URW, URW, URW}, WP, .error_code = PF_PRESENT | PF_WRITE},
	{{0, URW, URW & ~PTE_RW, URW, URW}, WP, .error_code = PF_PRESENT | PF_WRITE},
	{{0, URW, URW, URW & ~PTE_RW, URW}, WP, .error_code = PF_PRESENT | PF_WRITE},
	{{0, URW, URW, URW, URW & ~PTE_RW}, WP, .error_code = PF_PRESENT | PF_WRITE},
	{{0, URW & ~PTE_RW, URW, URW, URW}, WP, .read = true, .error_code = OK},
	{{0, URW & ~PTE_RW, URW, URW, URW}, 0, .error_code = OK},
	{{0, URW & ~PTE_RW, URW, URW, URW}, 0, .ring = 2, .error_code = OK},
	{{0, URW & ~PTE_RW, URW, URW, URW}, 0, .ring = 3, .error_code = 7},
	/* not for ring 3; all others are the kernel's */
	{{0, URW, URW, URW, URW & ~PTE_US}, WP, .ring = 3, .error_code = 7},
	{{0, URW & ~PTE_US, URW, URW, URW}, WP, .ring = 3, .read = true, .error_code = 5},
	{{0, URW & ~PTE_US, URW, URW, URW}, WP, .ring = 1, .error_code = OK},
	/* SMAP */
	{{0, URW, URW, URW, URW}, WP, SMAP, .error_code = PF_PRESENT | PF_WRITE},
	{{0, URW, URW, URW, URW}, WP, SMAP, .read = true, .error_code = PF_PRESENT},
	{{0, URW, URW, URW, URW}, WP, SMAP, AC, .error_code = OK},
	{{0, URW, URW, URW, URW}, WP, SMAP, .ring = 3, .error_code = OK},
	{{0, URW & ~PTE_US, URW, URW, URW}, WP, SMAP, .error_code = OK},
	/* large leaves; and an address that no memory is at */
	{{0, 0, LARGE, URW, URW}, WP, .error_code = OK},
	{{0, 0, LARGE & ~PTE_RW, URW, URW}, WP, .error_code = PF_PRESENT | PF_WRITE},
	{{0, 0, 0, LARGE, URW}, WP, .error_code = OK},
	{{0, 0, 0, URW | 1ull << 45, URW}, WP, .error_code = PF_WRITE},
};

/* Each entry leads to the frame behind its table, whatever the rights; a large leaf begins where
 * its size divides the address. */
static uint64_t expected_gpa(const struct walk *w)
{
	for (unsigned level = 4; level > 0; level--) {
		if (!(w->entry[level] & PTE_P) || w->entry[level] & 1ull << 45)
			return NOWHERE;
		if (level > 1 && w->entry[level] & PTE_PS)
			return 0x123;
	}
	return ROOT + 4 * 4096 + 0x123;
}

START_TEST(what_the_tables_allow)
{
	const struct walk *w = &walks[_i];
	struct kvm_sregs sregs = {.cr0 = w->cr0, .cr3 = ROOT | 0x18, .cr4 = w->cr4};
	uint64_t gpa = NOWHERE;
	unsigned error_code = 99;
	enum page_walk walk;

	sregs.cs.selector = (uint16_t)(0x10 | w->ring);
	for (unsigned level = 4; level > 0; level--)
		set_entry(level,
			  w->entry[level] ? w->entry[level] | (ROOT + (5 - level) * 4096ull) : 0);
	walk = page_walk(&mem, &sregs, w->rflags, VA + 0x123, !w->read, &gpa, &error_code);
	ck_assert_int_eq(walk, w->error_code == OK ? PAGE_ALLOWED : PAGE_FAULTS);
	if (w->error_code != OK)
		ck_assert_int_eq((int)error_code, w->error_code);
	else
		ck_assert_uint_eq(error_code,
				  (w->read ? 0 : PF_WRITE) | (w->ring == 3 ? PF_USER : 0));
	ck_assert_uint_eq(gpa, expected_gpa(w));
}
END_TEST

START_TEST(not_canonical)
{
	struct kvm_sregs sregs = {.cr3 = ROOT};
	uint64_t gpa = NOWHERE;
	unsigned error_code;

	ck_assert_int_eq(page_walk(&mem, &sregs, 0, 1ull << 47, true, &gpa, &error_code),
			 PAGE_NOT_CANONICAL);
	ck_assert_int_eq(page_walk(&mem, &sregs, 0, (1ull << 47) - 1, true, &gpa, &error_code),
			 PAGE_FAULTS);
	ck_assert_int_eq(page_walk(&mem, &sregs, 0, ~(1ull << 47), true, &gpa, &error_code),
			 PAGE_NOT_CANONICAL);
	ck_assert_uint_eq(gpa, NOWHERE);
}
END_TEST

TCase *page_walk_tests(void)
{
	TCase *tc = tcase_create("page_walk");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, what_the_tables_allow, 0, sizeof(walks) / sizeof(walks[0]));
	tcase_add_test(tc, not_canonical);
	return tc;
}
