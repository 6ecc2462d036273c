/* SPDX-License-Identifier: MIT */
/*
 * A guest image: ELF64 for x86-64 with a PVH entry note, or a Linux bzImage, read into private
 * memory once and judged whole before guest memory is touched.
 */
#ifndef VMM_BOOT_IMAGE_H
#define VMM_BOOT_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include "kvm/memory.h"

#define IMAGE_MAX_SEGMENTS 64
#define IMAGE_MIN_GPA      (1ull << 20) /* below lies what the vmm puts into memory itself */

struct image_segment {
	uint64_t gpa;
	uint64_t filesz;
	uint64_t memsz;  /* >= filesz; the rest is zero, as fresh guest memory is */
	uint64_t offset; /* into the file */
};

enum image_kind {
	IMAGE_GUEST,   /* says that it speaks what alias_abi.h describes (ALIAS_NOTE_GUEST) */
	IMAGE_PVH,     /* any other with a PVH entry, such as Linux's vmlinux */
	IMAGE_BZIMAGE, /* Linux's vmlinuz: entered in 64-bit mode */
};

struct image {
	void *file;
	size_t size;   /* bytes of the file */
	size_t mapped; /* bytes of memory behind `file`: image_open() and image_free() */
	enum image_kind kind;
	uint64_t entry;       /* physical; below 4 GiB */
	uint32_t cmdline_max; /* characters of the command line that it takes; not of IMAGE_GUEST */
	uint64_t initrd_max;  /* gpa of the last byte that an initrd may have; not of IMAGE_GUEST */
	unsigned nr;
	struct image_segment segment[IMAGE_MAX_SEGMENTS];
};

/* Reads and checks `path`. Returns 0, or a status of status.h after saying why. image_free() only
 * after 0. */
int image_open(struct image *image, const char *path);
/* The checks alone, on image->file of image->size bytes; fills the rest. Returns NULL, or what is
 * wrong with it (static string). */
const char *image_parse(struct image *image);
/* Copies the segments into memory. Returns 0, or VMM_EX_DATAERR after saying why: all of them are
 * checked before the first byte is written. */
int image_load(const struct image *image, const struct memory *mem);
void image_free(struct image *image);

#endif
