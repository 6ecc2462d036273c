/* SPDX-License-Identifier: MIT */
/*
 * The names of code addresses of a guest image: function, file and line. A program of its own,
 * vmm-lines, which is beside vmm, reads them from the image's symbols and DWARF, confined and
 * before the guest runs. Its answer is a header, rows in order of address, and the strings.
 */
#ifndef VMM_BOOT_SYMBOLS_H
#define VMM_BOOT_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

#define SYMBOLS_MAGIC    0x736e6c76u
#define SYMBOLS_MAX_ROWS (1u << 20)
#define SYMBOLS_MAX_TEXT (16u << 20)
#define SYMBOLS_MAX_NAME 160

struct symbols_header {
	uint32_t magic; /* SYMBOLS_MAGIC */
	uint32_t nr_rows;
	/* Bytes of the strings, each ended by NUL; printable ASCII but for quotes and backslashes.
	 */
	uint32_t text_size;
	uint32_t reserved;
};

/* Holds from `addr` to the address of the next row. */
struct symbols_row {
	uint64_t addr;
	uint32_t function, file; /* index of the string; 0, an empty one: unknown */
	uint32_t line;           /* 0: unknown */
	uint32_t reserved;
};

struct image;
struct symbols;

/* Starts vmm-lines for an image whose content is there, and waits for its answer. Before the
 * sandbox, which allows no programs. Returns NULL if there is no answer or a wrong one: then names
 * are numbers. */
struct symbols *symbols_read(const struct image *image);
/* `symbols` may be NULL. */
void symbols_free(struct symbols *symbols);
/* Checks an answer of `size` bytes, which it takes over. Returns NULL if it is wrong. */
struct symbols *symbols_check(void *answer, size_t size);
/* The name of the code that the call returned to: "function (file:line)", or as much of it as is
 * known, or its number. `symbols` may be NULL. Returns `name`. Any thread. */
const char *symbols_caller(const struct symbols *symbols, uint64_t return_address,
			   char name[SYMBOLS_MAX_NAME]);

#endif
