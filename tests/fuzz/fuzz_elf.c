/* SPDX-License-Identifier: MIT */
/* The ELF loader, and the names in the image's section: the input is the file. What the loader
 * accepts must keep what image.h says. */
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "boot/image.h"
#include "boot/symbols.h"

#define MEMORY (4ull << 20)

static struct memory mem;

static bool overlap(const struct image_segment *a, const struct image_segment *b)
{
	return a->gpa < b->gpa + b->memsz && b->gpa < a->gpa + a->memsz;
}

static void check_segments(const struct image *image)
{
	bool entry = false;

	MUST(image->nr > 0 && image->nr <= IMAGE_MAX_SEGMENTS);
	for (unsigned i = 0; i < image->nr; i++) {
		const struct image_segment *segment = &image->segment[i];

		MUST(segment->gpa >= IMAGE_MIN_GPA && segment->memsz > 0);
		MUST(segment->gpa + (segment->memsz - 1) >= segment->gpa);
		MUST(segment->filesz <= segment->memsz);
		MUST(segment->offset <= image->size &&
		     segment->filesz <= image->size - segment->offset);
		entry |= image->entry - segment->gpa < segment->filesz;
		for (unsigned j = 0; j < i; j++)
			MUST(!overlap(segment, &image->segment[j]));
	}
	MUST(entry);
}

/* What lies in memory is what lies in the file; it is cleared for the next. */
static void check_load(const struct image *image)
{
	for (unsigned i = 0; i < image->nr; i++) {
		const struct image_segment *segment = &image->segment[i];
		void *at = memory_ptr(&mem, segment->gpa, segment->memsz);

		if (!at || memcmp(at, (char *)image->file + segment->offset, segment->filesz))
			fuzz_fail("segment %u is not in memory as it is in the file", i);
		else
			memset(at, 0, segment->filesz);
	}
}

static void check_names(const struct image *image)
{
	static const uint64_t addresses[] = {0, 0x100000, 0xffffffff80100000, UINT64_MAX};
	struct symbols *symbols = symbols_of_section(image);
	char name[SYMBOLS_MAX_NAME];

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		MUST(!strpbrk(symbols_caller(symbols, addresses[i], name), "\"\\\n"));
	symbols_free(symbols);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image image = {.file = malloc(size ? size : 1), .size = size};

	if (mem.nr == 0)
		MUST(memory_init(&mem, MEMORY) == 0);
	if (size)
		memcpy(image.file, data, size);
	if (!image_parse(&image)) {
		check_segments(&image);
		check_names(&image);
		if (!image_load(&image, &mem))
			check_load(&image);
	}
	free(image.file);
	return 0;
}
