/* SPDX-License-Identifier: MIT */
/* A Linux bzImage: the input is the file, but for the magic that says it is one. What is accepted
 * must keep what image.h says, and lies in memory as it lies in the file; its boot header is handed
 * on. */
#include <stdlib.h>
#include <string.h>
#include "boot/bzimage.h"
#include "boot/linux.h"
#include "fuzz.h"

#define MEMORY    (32ull << 20)
#define MAGIC     0x53726448u /* "HdrS" */
#define BOOT_FLAG 0xaa55

static struct memory mem;

static void check_image(const struct image *image)
{
	const struct image_segment *segment = &image->segment[0];

	MUST(image->kind == IMAGE_BZIMAGE && image->nr == 1);
	MUST(segment->gpa >= IMAGE_MIN_GPA && segment->memsz >= segment->filesz);
	MUST(segment->gpa + segment->memsz <= 1ull << 32);
	MUST(segment->offset <= image->size && segment->filesz <= image->size - segment->offset);
	MUST(image->entry - segment->gpa < segment->filesz);
}

static void check_memory(const struct image *image)
{
	const struct image_segment *segment = &image->segment[0];
	const struct boot_params *params = memory_ptr(&mem, LINUX_BOOT_PARAMS_GPA, sizeof(*params));
	void *kernel = memory_ptr(&mem, segment->gpa, segment->memsz);
	struct setup_header header;

	if (!kernel || memcmp(kernel, (char *)image->file + segment->offset, segment->filesz))
		fuzz_fail("the kernel is not in memory as it is in the file");
	else
		memset(kernel, 0, segment->filesz);
	bzimage_header(image, &header);
	MUST(params->hdr.init_size == header.init_size && params->hdr.header == MAGIC);
	MUST(params->hdr.type_of_loader == 0xff && params->hdr.ramdisk_size == 0);
	MUST(params->sentinel == 0 && params->e820_entries > 0);
	MUST(!strcmp(memory_ptr(&mem, params->hdr.cmd_line_ptr, 4), "x=y"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct linux_config config = {.cmdline = "x=y", .nr_vcpus = 1};
	struct image image = {.file = malloc(size ? size : 1), .size = size};
	struct boot_params *start = image.file;

	if (mem.nr == 0)
		MUST(memory_init(&mem, MEMORY) == 0);
	if (size)
		memcpy(image.file, data, size);
	if (size >= offsetof(struct boot_params, hdr.realmode_swtch)) {
		start->hdr.boot_flag = BOOT_FLAG;
		start->hdr.header = MAGIC;
	}
	if (!image_parse(&image) && bzimage_is(&image)) {
		check_image(&image);
		if (!linux_load(&mem, &image, &config))
			check_memory(&image);
	}
	free(image.file);
	return 0;
}
