/* SPDX-License-Identifier: MIT */
/* The loader against images that are spoilt in every way: none may be accepted wrongly, and none
 * may make it read outside of the file (the sanitizers watch). */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "boot/image.h"
#include "suites.h"

#define NR_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define NR_PHDRS     3
#define CODE_GPA     0x100000
#define DATA_GPA     0x200000
#define DATA_SIZE    28
#define FUZZ_RUNS    50000

/* A whole image; the note lies at the very end, so that any cut goes through something. */
struct elf {
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr[NR_PHDRS];
	uint8_t code[64];
	uint8_t data[DATA_SIZE];
	struct {
		Elf64_Nhdr header;
		char name[4];
		uint32_t entry;
	} note;
};
_Static_assert(sizeof(struct elf) == offsetof(struct elf, note) + 20, "no padding");

static struct elf valid(void)
{
	struct elf elf = {
		.ehdr =
			{
				.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB,
					    EV_CURRENT},
				.e_type = ET_EXEC,
				.e_machine = EM_X86_64,
				.e_version = EV_CURRENT,
				.e_phoff = offsetof(struct elf, phdr),
				.e_ehsize = sizeof(Elf64_Ehdr),
				.e_phentsize = sizeof(Elf64_Phdr),
				.e_phnum = NR_PHDRS,
			},
		.phdr =
			{
				{.p_type = PT_LOAD,
				 .p_offset = offsetof(struct elf, code),
				 .p_paddr = CODE_GPA,
				 .p_filesz = 64,
				 .p_memsz = 4096},
				{.p_type = PT_LOAD,
				 .p_offset = offsetof(struct elf, data),
				 .p_paddr = DATA_GPA,
				 .p_filesz = DATA_SIZE,
				 .p_memsz = DATA_SIZE},
				{.p_type = PT_NOTE,
				 .p_offset = offsetof(struct elf, note),
				 .p_filesz = sizeof(elf.note),
				 .p_memsz = sizeof(elf.note),
				 .p_align = 4},
			},
		.note =
			{
				.header = {.n_namesz = 4, .n_descsz = 4, .n_type = 18},
				.name = "Xen",
				.entry = CODE_GPA + 8,
			},
	};

	memset(elf.code, 0xc0, sizeof(elf.code));
	memset(elf.data, 0xda, sizeof(elf.data));
	return elf;
}

/* On a copy of exactly that size, so that a byte too far is seen. */
static const char *parse(struct image *image, const void *bytes, size_t size)
{
	const char *wrong;

	image->file = malloc(size ? size : 1);
	image->size = size;
	memcpy(image->file, bytes, size);
	wrong = image_parse(image);
	free(image->file);
	return wrong;
}

START_TEST(a_good_image)
{
	struct elf elf = valid();
	struct image image;

	ck_assert_ptr_null(parse(&image, &elf, sizeof(elf)));
	ck_assert_uint_eq(image.entry, CODE_GPA + 8);
	ck_assert_uint_eq(image.nr, 2);
	ck_assert_uint_eq(image.segment[0].gpa, CODE_GPA);
	ck_assert_uint_eq(image.segment[0].filesz, 64);
	ck_assert_uint_eq(image.segment[0].memsz, 4096);
	ck_assert_uint_eq(image.segment[1].gpa, DATA_GPA);
}
END_TEST

START_TEST(cut_anywhere)
{
	struct elf elf = valid();
	struct image image;

	for (size_t size = 0; size < sizeof(elf); size++)
		ck_assert_msg(parse(&image, &elf, size) != NULL, "accepted at %zu bytes", size);
}
END_TEST

#define EHDR(field) offsetof(struct elf, ehdr.field), sizeof(((struct elf *)0)->ehdr.field)
#define LOAD(field) offsetof(struct elf, phdr[0].field), sizeof(((struct elf *)0)->phdr[0].field)
#define NOTE(field) offsetof(struct elf, phdr[2].field), sizeof(((struct elf *)0)->phdr[2].field)
#define BODY(field) offsetof(struct elf, note.field), sizeof(((struct elf *)0)->note.field)

#define CUT     "cut off"
#define NOT_ELF "not an ELF file"
#define OVERLAP "overlapping"
#define NOTES   "notes"
#define NO_PVH  "without a PVH entry"
#define OUTSIDE "entry lies outside"

static const struct {
	const char *what;
	size_t offset, len;
	uint64_t value;
	const char *says;
} spoils[] = {
	{"magic", 0, 1, 0, NOT_ELF},
	{"32 bits", offsetof(struct elf, ehdr.e_ident) + EI_CLASS, 1, ELFCLASS32, NOT_ELF},
	{"no class", offsetof(struct elf, ehdr.e_ident) + EI_CLASS, 1, 0, NOT_ELF},
	{"big endian", offsetof(struct elf, ehdr.e_ident) + EI_DATA, 1, ELFDATA2MSB, NOT_ELF},
	{"ident version", offsetof(struct elf, ehdr.e_ident) + EI_VERSION, 1, 9, "ELF"},
	{"a version", EHDR(e_version), 2, "ELF"},
	{"relocatable", EHDR(e_type), ET_REL, "fixed addresses"},
	{"shared", EHDR(e_type), ET_DYN, "fixed addresses"},
	{"core", EHDR(e_type), ET_CORE, "fixed addresses"},
	{"i386", EHDR(e_machine), EM_386, "x86-64"},
	{"arm", EHDR(e_machine), EM_AARCH64, "x86-64"},
	{"ehsize", EHDR(e_ehsize), 52, "wrong size"},
	{"phentsize small", EHDR(e_phentsize), 32, "wrong size"},
	{"phentsize large", EHDR(e_phentsize), 64, "wrong size"},
	{"phoff beyond", EHDR(e_phoff), sizeof(struct elf), "program headers"},
	{"phoff wraps", EHDR(e_phoff), UINT64_MAX - 55, "program headers"},
	{"phnum 0", EHDR(e_phnum), 0, "program headers"},
	{"phnum much", EHDR(e_phnum), 1000, "program headers"},
	{"phnum extended", EHDR(e_phnum), PN_XNUM, "program headers"},
	{"filesz > memsz", LOAD(p_memsz), 63, "larger in the file"},
	{"memsz wraps", LOAD(p_memsz), UINT64_MAX, "wraps"},
	{"memsz to the brim", LOAD(p_memsz), UINT64_MAX - CODE_GPA + 2, "wraps"},
	{"memsz just not", LOAD(p_memsz), UINT64_MAX - CODE_GPA + 1, OVERLAP},
	{"filesz beyond", LOAD(p_filesz), 4096, CUT},
	{"filesz wraps", LOAD(p_filesz), UINT64_MAX, CUT},
	{"offset beyond", LOAD(p_offset), sizeof(struct elf), CUT},
	{"offset wraps", LOAD(p_offset), UINT64_MAX - 31, CUT},
	{"gpa 0", LOAD(p_paddr), 0, "below 1 MiB"},
	{"gpa below 1 MiB", LOAD(p_paddr), 0xff000, "below 1 MiB"},
	{"gpa wraps", LOAD(p_paddr), UINT64_MAX - 4094, "wraps"},
	{"overlap before", LOAD(p_paddr), DATA_GPA - 4095, OVERLAP},
	{"overlap after", LOAD(p_paddr), DATA_GPA + DATA_SIZE - 1, OVERLAP},
	{"no load segment there", LOAD(p_type), PT_NULL, OUTSIDE},
	{"no note segment", NOTE(p_type), PT_NULL, NO_PVH},
	{"note beyond", NOTE(p_offset), sizeof(struct elf), CUT},
	{"note wraps", NOTE(p_filesz), 16 - offsetof(struct elf, note), CUT},
	{"note cut in its header", NOTE(p_filesz), 11, NOTES},
	{"note cut in its name", NOTE(p_filesz), 14, NOTES},
	{"note cut in its entry", NOTE(p_filesz), 18, NOTES},
	{"empty note", NOTE(p_filesz), 0, NO_PVH},
	{"namesz", BODY(header.n_namesz), 5, NOTES},
	{"namesz huge", BODY(header.n_namesz), UINT32_MAX, NOTES},
	{"namesz nearly wraps", BODY(header.n_namesz), UINT32_MAX - 3, NOTES},
	{"descsz 0", BODY(header.n_descsz), 0, "note"},
	{"descsz 3", BODY(header.n_descsz), 3, "PVH note has a wrong size"},
	{"descsz 8 without them", BODY(header.n_descsz), 8, NOTES},
	{"descsz huge", BODY(header.n_descsz), UINT32_MAX, NOTES},
	{"other type", BODY(header.n_type), 17, NO_PVH},
	{"other name", BODY(name), 0x006e6559, NO_PVH},
	{"entry 0", BODY(entry), 0, OUTSIDE},
	{"entry before", BODY(entry), CODE_GPA - 1, OUTSIDE},
	{"entry behind what is in the file", BODY(entry), CODE_GPA + 64, OUTSIDE},
	{"entry nowhere", BODY(entry), UINT32_MAX, OUTSIDE},
};

START_TEST(spoilt)
{
	struct elf elf = valid();
	struct image image;
	const char *wrong;

	memcpy((char *)&elf + spoils[_i].offset, &spoils[_i].value, spoils[_i].len);
	wrong = parse(&image, &elf, sizeof(elf));
	ck_assert_msg(wrong != NULL, "accepted with %s", spoils[_i].what);
	ck_assert_msg(strstr(wrong, spoils[_i].says) != NULL, "%s: %s", spoils[_i].what, wrong);
}
END_TEST

START_TEST(a_wide_entry)
{
	struct {
		struct elf elf;
		uint32_t high;
	} __attribute__((packed)) wide = {.elf = valid()};
	struct image image;

	wide.elf.note.header.n_descsz = 8;
	wide.elf.phdr[2].p_filesz += 4;
	wide.elf.phdr[2].p_memsz += 4;
	ck_assert_ptr_null(parse(&image, &wide, sizeof(wide)));
	ck_assert_uint_eq(image.entry, CODE_GPA + 8);
	wide.high = 1;
	ck_assert_ptr_nonnull(parse(&image, &wide, sizeof(wide)));
}
END_TEST

/* By a note of its own a guest says that it speaks to the vmm; any other is a Linux, or the like.
 */
START_TEST(whose_guest)
{
	struct {
		struct elf elf;
		Elf64_Nhdr header;
		char name[12];
		uint32_t version;
	} __attribute__((packed)) ours = {
		.elf = valid(),
		.header = {.n_namesz = 10, .n_descsz = 4, .n_type = 1},
		.name = "aliastrap",
		.version = 1,
	};
	struct image image;

	ck_assert_ptr_null(parse(&image, &ours.elf, sizeof(ours.elf)));
	ck_assert_int_eq(image.kind, IMAGE_PVH);
	ours.elf.phdr[2].p_filesz = sizeof(ours) - offsetof(struct elf, note);
	ck_assert_ptr_null(parse(&image, &ours, sizeof(ours)));
	ck_assert_int_eq(image.kind, IMAGE_GUEST);
	ours.version = 2;
	ck_assert_ptr_nonnull(parse(&image, &ours, sizeof(ours)));
	ours.header.n_type = 2;
	ck_assert_ptr_null(parse(&image, &ours, sizeof(ours)));
	ck_assert_int_eq(image.kind, IMAGE_PVH);
}
END_TEST

START_TEST(too_many_segments)
{
	const size_t phdrs = IMAGE_MAX_SEGMENTS + 2;
	size_t size = sizeof(struct elf) + phdrs * sizeof(Elf64_Phdr);
	struct elf *elf = calloc(1, size);
	Elf64_Phdr *phdr = (Elf64_Phdr *)(elf + 1);
	struct image image;

	*elf = valid();
	elf->ehdr.e_phoff = sizeof(*elf);
	elf->ehdr.e_phnum = phdrs;
	for (size_t i = 0; i < phdrs; i++) {
		phdr[i] = elf->phdr[0];
		phdr[i].p_paddr += i * 4096;
	}
	phdr[phdrs - 1] = elf->phdr[2];
	ck_assert_ptr_nonnull(parse(&image, elf, size));
	phdr[phdrs - 2].p_type = PT_NULL;
	ck_assert_ptr_null(parse(&image, elf, size));
	ck_assert_uint_eq(image.nr, IMAGE_MAX_SEGMENTS);
	free(elf);
}
END_TEST

/* Whatever is accepted must keep what image.h and the loader rely on. */
static void expect_sane(const struct image *image)
{
	bool entry = false;

	for (unsigned i = 0; i < image->nr; i++) {
		const struct image_segment *s = &image->segment[i];

		ck_assert_uint_le(s->offset, image->size);
		ck_assert_uint_le(s->filesz, image->size - s->offset);
		ck_assert_uint_le(s->filesz, s->memsz);
		ck_assert_uint_ge(s->gpa, IMAGE_MIN_GPA);
		ck_assert_uint_ge(s->gpa + (s->memsz - 1), s->gpa);
		entry |= image->entry - s->gpa < s->filesz;
	}
	ck_assert(entry);
}

START_TEST(random_damage)
{
	unsigned seed = (unsigned)getpid();
	unsigned accepted = 0;

	for (int run = 0; run < FUZZ_RUNS; run++) {
		struct elf elf = valid();
		struct image image;

		for (int i = rand_r(&seed) % 4; i >= 0; i--)
			((uint8_t *)&elf)[rand_r(&seed) % sizeof(elf)] =
				rand_r(&seed) % 2 ? 0xff : rand_r(&seed);
		if (!parse(&image, &elf, sizeof(elf) - (size_t)(rand_r(&seed) % 4 == 0))) {
			expect_sane(&image);
			accepted++;
		}
	}
	/* Damage to code and data is none of the loader's business. */
	ck_assert_uint_gt(accepted, 0);
	ck_assert_uint_lt(accepted, FUZZ_RUNS);
}
END_TEST

START_TEST(loading)
{
	struct elf elf = valid();
	struct image image;
	struct memory mem;

	ck_assert_int_eq(memory_init(&mem, 4 << 20), 0);
	ck_assert_ptr_null(parse(&image, &elf, sizeof(elf)));
	image.file = &elf;
	ck_assert_int_eq(image_load(&image, &mem), 0);
	ck_assert_mem_eq(memory_ptr(&mem, CODE_GPA, 64), elf.code, 64);
	ck_assert_int_eq(*(uint8_t *)memory_ptr(&mem, CODE_GPA + 64, 1), 0);
	ck_assert_mem_eq(memory_ptr(&mem, DATA_GPA, DATA_SIZE), elf.data, DATA_SIZE);
	memory_free(&mem);
}
END_TEST

/* The second segment does not fit: then the first isn't loaded either. */
START_TEST(all_or_nothing)
{
	static const uint64_t misfits[] = {4 << 20, (4 << 20) - DATA_SIZE + 1, 3ull << 30,
					   UINT64_MAX - DATA_SIZE + 1};
	struct elf elf = valid();
	struct image image;
	struct memory mem;

	elf.phdr[1].p_paddr = misfits[_i];
	ck_assert_int_eq(memory_init(&mem, 4 << 20), 0);
	ck_assert_ptr_null(parse(&image, &elf, sizeof(elf)));
	image.file = &elf;
	ck_assert_int_eq(image_load(&image, &mem), -ENOEXEC);
	ck_assert_int_eq(*(uint8_t *)memory_ptr(&mem, CODE_GPA, 1), 0);
	memory_free(&mem);
}
END_TEST

START_TEST(files)
{
	char path[] = "/tmp/unit-vmm-XXXXXX";
	struct elf elf = valid();
	struct image image;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(image_open(&image, path), -ENOEXEC);
	ck_assert_int_eq(write(fd, &elf, sizeof(elf)), sizeof(elf));
	ck_assert_int_eq(image_open(&image, path), 0);
	ck_assert_uint_eq(image.size, sizeof(elf));
	image_free(&image);
	close(fd);
	unlink(path);
	ck_assert_int_eq(image_open(&image, path), -ENOENT);
	ck_assert_int_eq(image_open(&image, "/tmp"), -ENOEXEC);
	ck_assert_int_eq(image_open(&image, "/dev/zero"), -ENOEXEC);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(image_open(&image, path), -ENOEXEC);
	unlink(path);
}
END_TEST

TCase *image_tests(void)
{
	TCase *tc = tcase_create("image");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_good_image);
	tcase_add_test(tc, cut_anywhere);
	tcase_add_loop_test(tc, spoilt, 0, NR_OF(spoils));
	tcase_add_test(tc, a_wide_entry);
	tcase_add_test(tc, whose_guest);
	tcase_add_test(tc, too_many_segments);
	tcase_add_test(tc, random_damage);
	tcase_add_test(tc, loading);
	tcase_add_loop_test(tc, all_or_nothing, 0, 4);
	tcase_add_test(tc, files);
	return tc;
}
