/* SPDX-License-Identifier: MIT */
/*
 * The names of code addresses of a guest image: function, file and line. A program of its own,
 * vmm-lines, reads them from the image's symbols and DWARF, confined and before the guest runs. Its
 * answer is a header, rows in order of address, and the strings. An image whose section
 * SYMBOLS_SECTION holds an answer saves the time for that.
 */
#ifndef VMM_BOOT_SYMBOLS_H
#define VMM_BOOT_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

#define SYMBOLS_SECTION  ".vmm_lines"
#define SYMBOLS_MAGIC    0x736e6c76u
#define SYMBOLS_MAX_ROWS (1u << 20)
#define SYMBOLS_MAX_TEXT (16u << 20)
#define SYMBOLS_MAX_NAME 160

struct symbols_header {
	uint32_t magic; /* SYMBOLS_MAGIC */
	uint32_t nr_rows;
	uint32_t text_size; /* bytes of the strings, each ended by NUL */
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

/* Takes the image's own answer, which stays there: free the image after the symbols. Or starts
 * vmm-lines and waits for one. The image's content is still there. Before the sandbox, which allows
 * no programs. Returns NULL if there is no answer or a wrong one: then names are numbers. */
struct symbols *symbols_read(const struct image *image);
/* The image's own answer alone, or NULL if there is none or a wrong one. */
struct symbols *symbols_of_section(const struct image *image);
/* `symbols` may be NULL. */
void symbols_free(struct symbols *symbols);
/* Checks the sizes in an answer of `size` bytes, which it takes over. Returns NULL if they are
 * wrong. What else is wrong gives wrong names, of printable ASCII without quotes and backslashes.
 */
struct symbols *symbols_check(void *answer, size_t size);
/* The name of the code that the call returned to: "function (file:line)", or as much of it as is
 * known, or its number. `symbols` may be NULL. Returns `name`. Any thread. */
const char *symbols_caller(const struct symbols *symbols, uint64_t return_address,
			   char name[SYMBOLS_MAX_NAME]);

#endif
