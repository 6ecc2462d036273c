/* SPDX-License-Identifier: MIT */
#include "map_svg.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define COLUMNS   512u
#define CELLS_MAX (COLUMNS * 512u)
#define CELL      2u   /* width and height of a cell, in pixels */
#define LEFT      120u /* of the cells: room for addresses */
#define TOP       70u  /* above them: room for the title and the legend */
#define LABEL     16u  /* rows from one address to the next */

/* What a cell is, the least remarkable first. */
enum cell {
	CELL_ORDINARY,
	CELL_EXECUTABLE,
	CELL_TABLE,
	CELL_MEMTYPE,
	CELL_WX,
	CELL_ALIASED,
	CELLS
};

static const struct {
	const char *colour, *what;
} looks[CELLS] = {
	[CELL_ORDINARY] = {"#e4e4e0", "memory"},
	[CELL_EXECUTABLE] = {"#7aa6d8", "executable"},
	[CELL_TABLE] = {"#2e7d4f", "page table"},
	[CELL_MEMTYPE] = {"#e0a030", "two memory types"},
	[CELL_WX] = {"#a040b0", "executable and writable"},
	[CELL_ALIASED] = {"#d02020", "page table with another mapping"},
};

/* The cells of all memory, without the gaps between its ranges. */
struct map_cells {
	const struct physmem *mem;
	uint8_t *cell; /* enum cell */
	size_t nr;
	unsigned shift; /* log2 of the frames in a cell */
};

static uint64_t index_of(const struct physmem *mem, uint64_t pfn)
{
	return physmem_count(mem, 0, pfn);
}

static void paint(struct map_cells *map, uint64_t pfn, enum cell what)
{
	uint8_t *cell = &map->cell[index_of(map->mem, pfn) >> map->shift];

	if (what > *cell)
		*cell = (uint8_t)what;
}

static void paint_uses(struct map_cells *map, const struct audit *audit)
{
	for (size_t i = 0; i < map->mem->nr_ranges; i++) {
		uint64_t pfn = map->mem->ranges[i].gpa >> FRAME_SHIFT;
		uint64_t end = pfn + (map->mem->ranges[i].size >> FRAME_SHIFT);

		for (; pfn < end; pfn++)
			if (audit_is_executable(audit, pfn))
				paint(map, pfn, CELL_EXECUTABLE);
	}
	for (size_t i = 0; i < audit_tables(audit); i++)
		paint(map, audit_table(audit, i), CELL_TABLE);
}

static void paint_findings(struct map_cells *map, const struct findings *findings)
{
	static const enum cell cells[FINDING_KINDS] = {
		[FINDING_TABLE] = CELL_ALIASED,
		[FINDING_WX] = CELL_WX,
		[FINDING_MEMTYPE] = CELL_MEMTYPE,
	};

	for (size_t i = 0; i < findings->nr; i++) {
		const struct finding *finding = &findings->all[i];

		for (uint64_t k = 0; k < finding->frames; k++)
			if (physmem_has(map->mem, finding->pfn + k))
				paint(map, finding->pfn + k, cells[finding->kind]);
	}
}

/* The frames in a row of one colour are one rectangle, and all those of a colour one path. */
static void print_colour(FILE *out, const struct map_cells *map, enum cell what)
{
	size_t end;

	fprintf(out, "<path fill=\"%s\" d=\"", looks[what].colour);
	for (size_t i = 0; i < map->nr; i = end) {
		size_t row_end = (i / COLUMNS + 1) * COLUMNS;

		for (end = i + 1; end < map->nr && end < row_end; end++)
			if (map->cell[end] != map->cell[i])
				break;
		if (map->cell[i] != what)
			continue;
		fprintf(out, "M%zu %zuh%zuv%uh-%zuz", LEFT + i % COLUMNS * CELL,
			TOP + i / COLUMNS * CELL, (end - i) * CELL, CELL, (end - i) * CELL);
	}
	fprintf(out, "\"/>\n");
}

/* The address of the memory that has so many bytes of memory below it. */
static uint64_t address_of(const struct physmem *mem, uint64_t bytes)
{
	for (size_t i = 0; i < mem->nr_ranges; i++)
		if (bytes - mem->ranges[i].before < mem->ranges[i].size)
			return mem->ranges[i].gpa + (bytes - mem->ranges[i].before);
	return 0;
}

static void print_addresses(FILE *out, const struct map_cells *map)
{
	for (size_t row = 0; row * COLUMNS < map->nr; row += LABEL)
		fprintf(out, "<text x=\"%u\" y=\"%zu\" text-anchor=\"end\">0x%" PRIx64 "</text>\n",
			LEFT - 8, TOP + row * CELL + 10,
			address_of(map->mem, ((uint64_t)row * COLUMNS << map->shift)
						     << FRAME_SHIFT));
}

static void print_legend(FILE *out, const struct map_cells *map, const struct findings *findings)
{
	unsigned x = LEFT;

	fprintf(out,
		"<text x=\"%u\" y=\"20\" font-size=\"15\">%zu of %" PRIu64
		" page tables have another, writable mapping; a cell is %u KiB</text>\n",
		LEFT, findings->of_kind[FINDING_TABLE], findings->tables, 4u << map->shift);
	for (unsigned what = 0; what < CELLS; what++) {
		fprintf(out,
			"<rect x=\"%u\" y=\"38\" width=\"12\" height=\"12\" fill=\"%s\"/>"
			"<text x=\"%u\" y=\"49\">%s</text>\n",
			x, looks[what].colour, x + 17, looks[what].what);
		x += what < CELL_MEMTYPE ? 110 : 170;
	}
}

int map_svg_print(FILE *out, const struct audit *audit, const struct physmem *mem,
		  const struct findings *findings)
{
	struct map_cells map = {.mem = mem};
	uint64_t frames = mem->size >> FRAME_SHIFT;
	size_t rows;

	while (frames >> map.shift >= CELLS_MAX)
		map.shift++;
	map.nr = (size_t)((frames + (1ull << map.shift) - 1) >> map.shift);
	map.cell = calloc(map.nr ? map.nr : 1, 1);
	if (!map.cell)
		return -ENOMEM;
	paint_uses(&map, audit);
	paint_findings(&map, findings);
	rows = (map.nr + COLUMNS - 1) / COLUMNS;
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%zu\" "
		"font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		LEFT + COLUMNS * CELL + 20, TOP + rows * CELL + 20);
	print_legend(out, &map, findings);
	print_addresses(out, &map);
	for (unsigned what = 0; what < CELLS; what++)
		print_colour(out, &map, what);
	fprintf(out, "</svg>\n");
	free(map.cell);
	return 0;
}
