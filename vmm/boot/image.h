/* SPDX-License-Identifier: MIT */
/*
 * A guest image: ELF64 for x86-64 with a PVH entry note, or a Linux bzImage. The file is read once,
 * into private memory, and checked as a whole before guest memory is touched.
 */
#ifndef VMM_BOOT_IMAGE_H
#define VMM_BOOT_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include "kvm/memory.h"

#define IMAGE_MAX_SEGMENTS 64
#define IMAGE_MIN_GPA      (1ull << 20) /* below it vmm puts its own data into memory */

struct image_segment {
	uint64_t gpa;
	uint64_t va; /* where the program expects to be once it has set up paging */
	uint64_t filesz;
	uint64_t memsz;  /* >= filesz; the rest is zero, since fresh guest memory is */
	uint64_t offset; /* in the file */
};

enum image_kind {
	IMAGE_GUEST,   /* has ALIAS_NOTE_GUEST: it uses the interface of alias_abi.h */
	IMAGE_PVH,     /* any other ELF file with a PVH entry, such as Linux's vmlinux */
	IMAGE_BZIMAGE, /* Linux's vmlinuz: entered in 64-bit mode */
};

struct image {
	void *file;
	size_t size;   /* bytes of the file */
	size_t mapped; /* bytes of memory at `file`; for image_open() and image_free() */
	enum image_kind kind;
	uint64_t entry;       /* physical; below 4 GiB */
	uint32_t cmdline_max; /* maximum length of the command line; not for IMAGE_GUEST */
	uint64_t initrd_max;  /* highest gpa of an initrd's last byte; not for IMAGE_GUEST */
	unsigned nr;
	struct image_segment segment[IMAGE_MAX_SEGMENTS];
};

/* Reads and checks the file at `path`. A name without a slash that is not in the current folder is
 * looked for where `make install` puts guest.elf (installed.h). Returns 0, or a
 * negated errno after a message: ENOEXEC if the file is no guest image, ENOMEM, or why it can't be
 * read. Call image_free() only after 0. */
int image_open(struct image *image, const char *path);
/* The check of image_open(): checks the image->size bytes at image->file, and fills the rest of
 * `image`. Returns NULL, or what is wrong (static string). */
const char *image_parse(struct image *image);
/* Copies all segments into guest memory, or none. Returns 0, or -ENOEXEC after a message: they
 * do not fit. Call it once: it gives the memory of an image_open()ed file's segments back to the
 * host, so their bytes at `file` are lost. Those outside of the segments stay. */
int image_load(const struct image *image, const struct memory *mem);
/* Frees the bytes at `file`. A second call does nothing. */
void image_free(struct image *image);

#endif
