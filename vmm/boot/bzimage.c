/* SPDX-License-Identifier: MIT */
#include "boot/bzimage.h"

#include <stddef.h>
#include <string.h>

#define SECTOR        512u
#define HEADER_AT     offsetof(struct boot_params, hdr)
#define HEADER_MAX    sizeof(struct setup_header)
#define DEFAULT_SECTS 4u /* the meaning of setup_sects 0 */
#define BOOT_FLAG     0xaa55u
#define MAGIC         0x53726448u  /* "HdrS" */
#define VERSION_2_12  0x20cu       /* the first with xloadflags */
#define ENTRY_64      0x200u       /* from the start of the segment */
#define MEMORY_END    (1ull << 32) /* the page tables at its entry map so much */
#define JUMP_OPCODE   0xebu
#define HEADER_LEAST                                                                               \
	(offsetof(struct setup_header, init_size) + sizeof(((struct setup_header *)0)->init_size))

/* The length of the header, from the distance of the jump over it; limited by the file. */
static size_t header_length(const struct image *image)
{
	const uint8_t *jump =
		(const uint8_t *)image->file + HEADER_AT + offsetof(struct setup_header, jump);
	size_t length = offsetof(struct setup_header, header) + jump[1];

	return length < HEADER_MAX ? length : HEADER_MAX;
}

void bzimage_header(const struct image *image, struct setup_header *header)
{
	*header = (struct setup_header){0};
	memcpy(header, (const uint8_t *)image->file + HEADER_AT, header_length(image));
}

bool bzimage_is(const struct image *image)
{
	const size_t least = HEADER_AT + offsetof(struct setup_header, realmode_swtch);
	const struct boot_params *start = image->file;

	return image->size >= least && start->hdr.boot_flag == BOOT_FLAG &&
	       start->hdr.header == MAGIC;
}

static const char *check_kind(const struct setup_header *header, size_t length)
{
	if (header->version < VERSION_2_12)
		return "a Linux kernel with a boot protocol before 2.12";
	if (length < HEADER_LEAST)
		return "a Linux bzImage whose boot header is too short";
	if (!(header->loadflags & LOADED_HIGH))
		return "a Linux zImage: only a bzImage can be booted";
	if (!(header->xloadflags & XLF_KERNEL_64))
		return "a 32-bit Linux bzImage: only 64-bit ones can be booted";
	return NULL;
}

/* How a payload may begin (Documentation/arch/x86/boot.rst, and lzo): at another place setup_sects,
 * say, is wrong, and the entry is elsewhere, too. */
static bool is_payload(const uint8_t *at, size_t length)
{
	static const uint8_t magic[][2] = {
		{0x1f, 0x8b}, {0x1f, 0x9e}, /* gzip */
		{0x42, 0x5a},               /* bzip2 */
		{0x5d, 0x00},               /* lzma */
		{0xfd, 0x37},               /* xz */
		{0x89, 0x4c},               /* lzo */
		{0x02, 0x21},               /* lz4 */
		{0x28, 0xb5},               /* zstd */
		{0x7f, 0x45},               /* an ELF file, not compressed */
	};

	for (size_t i = 0; i < sizeof(magic) / sizeof(magic[0]); i++)
		if (length >= sizeof(magic[i]) && !memcmp(at, magic[i], sizeof(magic[i])))
			return true;
	return false;
}

static const char *check_payload(const struct setup_header *header, const uint8_t *kernel,
				 size_t size)
{
	if (header->payload_offset > size || header->payload_length > size - header->payload_offset)
		return "a Linux bzImage whose payload ends after its kernel";
	if (!is_payload(kernel + header->payload_offset, header->payload_length))
		return "a Linux bzImage whose payload is not where its header says (setup_sects, "
		       "payload_offset)";
	return NULL;
}

static const char *check_place(const struct image_segment *segment, uint32_t alignment)
{
	if (segment->filesz <= ENTRY_64)
		return "a Linux bzImage that ends before its entry";
	if (segment->memsz < segment->filesz)
		return "a Linux bzImage that needs less memory than it has bytes (init_size)";
	if (segment->gpa < IMAGE_MIN_GPA || segment->gpa > MEMORY_END - segment->memsz)
		return "a Linux bzImage to be loaded below 1 MiB or above 4 GiB (pref_address)";
	if (!alignment || (alignment & (alignment - 1)) || segment->gpa % alignment)
		return "a Linux bzImage whose place is not aligned as it says (kernel_alignment)";
	return NULL;
}

const char *bzimage_parse(struct image *image)
{
	struct setup_header header;
	const char *wrong;
	size_t setup, kernel;

	if (image->size < HEADER_AT + HEADER_MAX ||
	    ((const uint8_t *)image->file)[HEADER_AT + offsetof(struct setup_header, jump)] !=
		    JUMP_OPCODE)
		return "a Linux kernel cut off within its boot header";
	bzimage_header(image, &header);
	wrong = check_kind(&header, header_length(image));
	if (wrong)
		return wrong;
	setup = (1 + (header.setup_sects ? header.setup_sects : DEFAULT_SECTS)) * SECTOR;
	kernel = (size_t)header.syssize * 16;
	if (setup > image->size || kernel > image->size - setup)
		return "a Linux bzImage cut off: its kernel ends after the file";
	wrong = check_payload(&header, (const uint8_t *)image->file + setup, kernel);
	if (wrong)
		return wrong;
	image->kind = IMAGE_BZIMAGE;
	image->cmdline_max = header.cmdline_size;
	image->initrd_max = header.initrd_addr_max;
	image->entry = header.pref_address + ENTRY_64;
	image->nr = 1;
	image->segment[0] = (struct image_segment){
		.gpa = header.pref_address,
		.filesz = kernel,
		.memsz = header.init_size,
		.offset = setup,
	};
	return check_place(&image->segment[0], header.kernel_alignment);
}
