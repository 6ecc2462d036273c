/* SPDX-License-Identifier: MIT */
/*
 * vmm-lines: standard input is an ELF file; standard output gets the function, file and line of its
 * code addresses, in the form of boot/symbols.h. It is a program of its own since libdw takes half
 * as long to load as all of vmm, and since its input may be hostile: it confines itself to memory,
 * standard output and ten seconds before it looks at that.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <gelf.h>
#include <search.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "boot/symbols.h"
#include "sorted.h"

#define MAX_SECONDS 10
#define MAX_MEMORY  (1ull << 30)
#define MAX_DEPTH   64 /* of blocks and functions that are inlined into each other */

struct function {
	uint64_t start, end;
	uint32_t name;
};

struct lines {
	struct symbols_row *rows;
	size_t nr, room;
	struct function *functions;
	size_t nr_functions;
	char *text;
	size_t text_size;
	void *strings; /* those in the text, for tsearch() */
};

/* --- the confinement -------------------------------------------------------------------------- */

/* Other system calls fail; libdw looks for the file in /proc, and can do without. */
static bool confine_process(void)
{
	static const int calls[] = {SCMP_SYS(brk),     SCMP_SYS(munmap),     SCMP_SYS(mremap),
				    SCMP_SYS(madvise), SCMP_SYS(exit_group), SCMP_SYS(futex),
				    SCMP_SYS(fstat),   SCMP_SYS(newfstatat)};
	const struct rlimit time = {MAX_SECONDS, MAX_SECONDS}, memory = {MAX_MEMORY, MAX_MEMORY};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EACCES));
	bool ok = filter != NULL;

	for (size_t i = 0; ok && i < sizeof(calls) / sizeof(calls[0]); i++)
		ok = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) == 0;
	ok = ok &&
	     seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1,
			      SCMP_A0(SCMP_CMP_EQ, STDOUT_FILENO, 0)) == 0 &&
	     seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
			      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
			      SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS)) == 0 &&
	     setrlimit(RLIMIT_CPU, &time) == 0 && setrlimit(RLIMIT_AS, &memory) == 0 &&
	     seccomp_load(filter) == 0;
	seccomp_release(filter);
	return ok;
}

/* --- what is collected ------------------------------------------------------------------------ */

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Returns the index of a copy of the first `len` characters, each text being there once, or 0 if
 * there is no room. */
static uint32_t add_text(struct lines *lines, const char *text, size_t len)
{
	char *copy = lines->text + lines->text_size, **found;

	if (lines->text_size + len + 1 > SYMBOLS_MAX_TEXT)
		return 0;
	memcpy(copy, text, len);
	copy[len] = '\0';
	found = tsearch(copy, &lines->strings, by_text);
	if (!found)
		return 0;
	if (*found == copy)
		lines->text_size += len + 1;
	return (uint32_t)(*found - lines->text);
}

static uint32_t add_file(struct lines *lines, const char *file)
{
	if (!strncmp(file, "./", 2))
		file += 2;
	return add_text(lines, file, strlen(file));
}

static void add_row(struct lines *lines, const struct symbols_row *row)
{
	if (lines->nr == SYMBOLS_MAX_ROWS)
		return;
	if (lines->nr == lines->room) {
		lines->room = lines->room ? 2 * lines->room : 4096;
		lines->rows = realloc(lines->rows, lines->room * sizeof(*lines->rows));
		if (!lines->rows)
			exit(EXIT_FAILURE);
	}
	lines->rows[lines->nr] = *row;
	lines->rows[lines->nr].reserved = (uint32_t)lines->nr; /* until they are sorted */
	lines->nr++;
}

/* --- functions -------------------------------------------------------------------------------- */

/* A function from the symbol table. What compilers append to a name after a dot is left out. */
static void add_function(struct lines *lines, Elf *elf, const GElf_Shdr *shdr, const GElf_Sym *sym)
{
	const char *name = elf_strptr(elf, shdr->sh_link, sym->st_name);
	struct symbols_row row = {.addr = sym->st_value};

	if (GELF_ST_TYPE(sym->st_info) != STT_FUNC || !name || !sym->st_value)
		return;
	row.function = add_text(lines, name, strcspn(name, "."));
	lines->functions[lines->nr_functions++] = (struct function){
		.start = sym->st_value,
		.end = sym->st_value + (sym->st_size ? sym->st_size : 1),
		.name = row.function,
	};
	add_row(lines, &row);
	row.addr += sym->st_size ? sym->st_size : 1;
	row.function = 0;
	add_row(lines, &row); /* until something else begins there */
}

static int by_start(const void *a, const void *b)
{
	const struct function *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static void read_functions(struct lines *lines, Elf *elf)
{
	Elf_Scn *section = NULL;
	Elf_Data *data;
	GElf_Shdr shdr;
	GElf_Sym sym;

	while ((section = elf_nextscn(elf, section))) {
		size_t nr;

		if (!gelf_getshdr(section, &shdr) || shdr.sh_type != SHT_SYMTAB ||
		    !(data = elf_getdata(section, NULL)) || lines->functions)
			continue;
		nr = data->d_size / sizeof(Elf64_Sym);
		lines->functions = calloc(nr + 1, sizeof(*lines->functions));
		for (size_t i = 0; lines->functions && i < nr; i++)
			if (gelf_getsym(data, (int)i, &sym))
				add_function(lines, elf, &shdr, &sym);
	}
	if (lines->functions)
		qsort(lines->functions, lines->nr_functions, sizeof(*lines->functions), by_start);
}

/* Returns the index of the name of the function at `addr`, or 0. */
static uint32_t function_at(const struct lines *lines, uint64_t addr)
{
	size_t nr = sorted_up_to(lines->functions, lines->nr_functions, sizeof(*lines->functions),
				 addr);

	return nr && addr < lines->functions[nr - 1].end ? lines->functions[nr - 1].name : 0;
}

/* --- lines ------------------------------------------------------------------------------------ */

static void add_line(struct lines *lines, Dwarf_Line *line)
{
	const char *file = dwarf_linesrc(line, NULL, NULL);
	struct symbols_row row = {0};
	Dwarf_Addr addr;
	bool ends = true;
	int number = 0;

	if (dwarf_lineaddr(line, &addr) || dwarf_lineendsequence(line, &ends))
		return;
	row.addr = addr;
	row.function = function_at(lines, addr);
	if (!ends && file && dwarf_lineno(line, &number) == 0 && number > 0) {
		row.file = add_file(lines, file);
		row.line = (uint32_t)number;
	}
	add_row(lines, &row);
}

static void read_lines(struct lines *lines, Dwarf_Die *unit)
{
	Dwarf_Lines *of_unit;
	size_t nr;

	if (dwarf_getsrclines(unit, &of_unit, &nr))
		return;
	for (size_t i = 0; i < nr; i++)
		add_line(lines, dwarf_onesrcline(of_unit, i));
}

static void for_each_unit(struct lines *lines, Dwarf *dwarf,
			  void (*read)(struct lines *lines, Dwarf_Die *unit))
{
	Dwarf_Off at = 0, next;
	size_t header;
	Dwarf_Die unit;

	for (; dwarf && !dwarf_nextcu(dwarf, at, &next, &header, NULL, NULL, NULL); at = next)
		if (dwarf_offdie(dwarf, at + header, &unit))
			read(lines, &unit);
}

/* --- order ------------------------------------------------------------------------------------ */

/* How much a row says: the better one of two at an address comes last, or else the later one: the
 * other is of no code. */
static int row_worth(const struct symbols_row *row)
{
	return 2 * (row->line > 0) + (row->function > 0);
}

static int by_address(const void *a, const void *b)
{
	const struct symbols_row *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr > y->addr ? 1 : -1;
	if (row_worth(x) != row_worth(y))
		return row_worth(x) - row_worth(y);
	return x->reserved > y->reserved ? 1 : -1; /* qsort() need not keep their order */
}

static void keep_one_an_address(struct lines *lines)
{
	size_t kept = 0;

	for (size_t i = 0; i < lines->nr; i++)
		if (i + 1 == lines->nr || lines->rows[i].addr != lines->rows[i + 1].addr) {
			lines->rows[kept] = lines->rows[i];
			lines->rows[kept++].reserved = 0;
		}
	lines->nr = kept;
}

/* A row holds up to the next one, and the first one stays. */
static void drop_repeated(struct lines *lines)
{
	size_t kept = lines->nr > 0;

	for (size_t i = 1; i < lines->nr; i++) {
		const struct symbols_row *row = &lines->rows[i], *last = row - 1;

		if (row->function != last->function || row->file != last->file ||
		    row->line != last->line)
			lines->rows[kept++] = *row;
	}
	lines->nr = kept;
}

static void sort_rows(struct lines *lines)
{
	if (lines->nr)
		qsort(lines->rows, lines->nr, sizeof(*lines->rows), by_address);
	keep_one_an_address(lines);
}

/* --- inlined functions ------------------------------------------------------------------------ */

/* Index of the first row at or above `addr`. */
static size_t row_from(const struct lines *lines, uint64_t addr)
{
	return sorted_below(lines->rows, lines->nr, sizeof(*lines->rows), addr);
}

static void name_inlined(struct lines *lines, Dwarf_Die *die)
{
	const char *name = dwarf_diename(die);
	uint32_t index = name ? add_text(lines, name, strlen(name)) : 0;
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;

	while (index && (at = dwarf_ranges(die, at, &base, &start, &end)) > 0)
		for (size_t i = row_from(lines, start); i < lines->nr && lines->rows[i].addr < end;
		     i++)
			lines->rows[i].function = index;
}

/* Of what a function is inlined into, it is the name that the source has for a place. Those inside
 * of others come later. */
static void walk_inlined(struct lines *lines, Dwarf_Die *parent, unsigned depth)
{
	Dwarf_Die die;

	if (depth == MAX_DEPTH || dwarf_child(parent, &die))
		return;
	do {
		int tag = dwarf_tag(&die);

		if (tag == DW_TAG_inlined_subroutine)
			name_inlined(lines, &die);
		if (tag == DW_TAG_inlined_subroutine || tag == DW_TAG_subprogram ||
		    tag == DW_TAG_lexical_block)
			walk_inlined(lines, &die, depth + 1);
	} while (dwarf_siblingof(&die, &die) == 0);
}

static void read_inlined(struct lines *lines, Dwarf_Die *unit)
{
	walk_inlined(lines, unit, 0);
}

/* --- the answer ------------------------------------------------------------------------------- */

static bool write_answer(struct lines *lines)
{
	struct symbols_header header = {.magic = SYMBOLS_MAGIC};

	header.nr_rows = (uint32_t)lines->nr;
	header.text_size = (uint32_t)lines->text_size;
	fwrite(&header, sizeof(header), 1, stdout);
	fwrite(lines->rows, sizeof(*lines->rows), lines->nr, stdout);
	fwrite(lines->text, 1, lines->text_size, stdout);
	return fflush(stdout) == 0;
}

int main(void)
{
	static char text[SYMBOLS_MAX_TEXT];
	struct lines lines = {.text = text, .text_size = 1};
	struct stat st;
	void *file;
	Dwarf *dwarf;
	Elf *elf;

	if (fstat(STDIN_FILENO, &st) || st.st_size <= 0)
		return EXIT_FAILURE;
	file = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, STDIN_FILENO, 0);
	if (file == MAP_FAILED || !confine_process())
		return EXIT_FAILURE;
	elf_version(EV_CURRENT);
	elf = elf_memory(file, (size_t)st.st_size);
	if (!elf)
		return EXIT_FAILURE;
	read_functions(&lines, elf);
	dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
	for_each_unit(&lines, dwarf, read_lines);
	sort_rows(&lines);
	for_each_unit(&lines, dwarf, read_inlined);
	drop_repeated(&lines);
	return write_answer(&lines) ? EXIT_SUCCESS : EXIT_FAILURE;
}
