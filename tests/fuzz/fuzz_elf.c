/* SPDX-License-Identifier: MIT */
/* The ELF loader: the input is the file. What it accepts must keep what image.h says. */
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "boot/image.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image image = {.file = malloc(size ? size : 1), .size = size};

	if (mem.nr == 0)
		MUST(memory_init(&mem, MEMORY) == 0);
	if (size)
		memcpy(image.file, data, size);
	if (!image_parse(&image)) {
		check_segments(&image);
		if (!image_load(&image, &mem))
			check_load(&image);
	}
	free(image.file);
	return 0;
}
