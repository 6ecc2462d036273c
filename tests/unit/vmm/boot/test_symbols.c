/* SPDX-License-Identifier: MIT */
/* The names of a guest's code: what is looked up, and answers that are wrong. */
#include "boot/symbols.h"
#include <elf.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "boot/image.h"
#include "suites.h"

struct answer {
	struct symbols_header header;
	struct symbols_row rows[3];
	char text[16];
} __attribute__((packed));

/* "f" in a.c from 0x100, of which nothing is known from 0x200, and "g" from 0x300. */
static const struct answer good = {
	.header = {SYMBOLS_MAGIC, 3, 16, 0},
	.rows = {{0x100, 1, 3, 7, 0}, {0x200, 0, 0, 0, 0}, {0x300, 7, 0, 0, 0}},
	.text = "\0f\0a.c\0g",
};

static struct symbols *check(const struct answer *answer, size_t size)
{
	return symbols_check(memcpy(malloc(size), answer, size), size);
}

static void expect_name(const struct symbols *symbols, uint64_t addr, const char *want)
{
	char name[SYMBOLS_MAX_NAME];

	ck_assert_str_eq(symbols_caller(symbols, addr, name), want);
}

START_TEST(names)
{
	struct symbols *symbols = check(&good, sizeof(good));

	ck_assert_ptr_nonnull(symbols);
	expect_name(symbols, 0x105, "f (a.c:7)");
	expect_name(symbols, 0x100, "0x100"); /* the call is before it */
	expect_name(symbols, 0x200, "f (a.c:7)");
	expect_name(symbols, 0x201, "0x201");
	expect_name(symbols, UINT64_MAX, "g");
	expect_name(symbols, 0, "g"); /* a call at the very end */
	symbols_free(symbols);
	expect_name(NULL, 0x105, "0x105");
	symbols_free(NULL);
}
END_TEST

/* Sizes that don't fit. */
START_TEST(wrong_answers)
{
	struct answer wrong[] = {good, good, good, good, good, good};

	wrong[0].header.magic++;
	wrong[1].header.nr_rows = 4;
	wrong[2].header.nr_rows = UINT32_MAX;
	wrong[3].header.text_size = 0;
	wrong[4].text[15] = 'x';
	wrong[5].text[0] = 'x';
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(!check(&wrong[i], sizeof(good)), "%zu", i);
	for (size_t size = 1; size < sizeof(good); size++)
		ck_assert_ptr_null(check(&good, size));
}
END_TEST

/* Wrong content gives wrong names, that no message or JSON suffers from. */
START_TEST(wrong_rows_and_text)
{
	struct answer wrong = good;
	struct symbols *symbols;

	wrong.rows[0].function = 16;
	wrong.rows[0].file = UINT32_MAX;
	wrong.rows[1].addr = 0; /* out of order */
	memcpy(wrong.text + 7, "\"\\\n", 3);
	symbols = check(&wrong, sizeof(wrong));
	ck_assert_ptr_nonnull(symbols);
	expect_name(symbols, 0x105, "0x105");
	expect_name(symbols, 0x205, "0x205");
	expect_name(symbols, 0x305, "???");
	symbols_free(symbols);
}
END_TEST

/* An image with a section SYMBOLS_SECTION. */
struct with_section {
	Elf64_Ehdr ehdr;
	Elf64_Shdr sections[3]; /* none, names, the answer */
	char names[32];
	struct answer answer;
} __attribute__((packed));

static const struct with_section with_section = {
	.ehdr = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		 .e_type = ET_EXEC,
		 .e_machine = EM_X86_64,
		 .e_version = EV_CURRENT,
		 .e_shoff = offsetof(struct with_section, sections),
		 .e_ehsize = sizeof(Elf64_Ehdr),
		 .e_shentsize = sizeof(Elf64_Shdr),
		 .e_shnum = 3,
		 .e_shstrndx = 1},
	.sections = {{0},
		     {.sh_name = 1,
		      .sh_type = SHT_STRTAB,
		      .sh_offset = offsetof(struct with_section, names),
		      .sh_size = 32},
		     {.sh_name = 11,
		      .sh_type = SHT_PROGBITS,
		      .sh_offset = offsetof(struct with_section, answer),
		      .sh_size = sizeof(struct answer)}},
	.names = "\0.shstrtab\0" SYMBOLS_SECTION,
};

START_TEST(the_image_has_an_answer)
{
	_Alignas(8) struct with_section file = with_section;
	struct image image = {.file = &file, .size = sizeof(file)};
	struct symbols *symbols;

	file.answer = good;
	symbols = symbols_of_section(&image);
	ck_assert_ptr_nonnull(symbols);
	expect_name(symbols, 0x105, "f (a.c:7)");
	symbols_free(symbols);
}
END_TEST

/* One thing is wrong with each. */
START_TEST(images_without_an_answer)
{
	enum { NR = 5 };
	_Alignas(8) struct with_section files[NR];
	struct image images[NR];

	for (size_t i = 0; i < NR; i++) {
		files[i] = with_section;
		files[i].answer = good;
		images[i] = (struct image){.file = &files[i], .size = sizeof(files[i])};
	}
	files[0].sections[2].sh_size--;
	files[1].sections[2].sh_size = UINT64_MAX;
	files[2].names[12] = 'x'; /* another section */
	images[3].size = sizeof(files[3]) - 1;
	images[4].size = 100;
	for (size_t i = 0; i < NR; i++)
		ck_assert_msg(!symbols_of_section(&images[i]), "%zu", i);
}
END_TEST

TCase *symbols_tests(void)
{
	TCase *tc = tcase_create("symbols");

	tcase_add_test(tc, names);
	tcase_add_test(tc, wrong_answers);
	tcase_add_test(tc, wrong_rows_and_text);
	tcase_add_test(tc, the_image_has_an_answer);
	tcase_add_test(tc, images_without_an_answer);
	return tc;
}
