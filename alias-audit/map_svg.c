/* SPDX-License-Identifier: MIT */
#include "map_svg.h"

#include <inttypes.h>
#include "frame_grid.h"

enum cell {
	CELL_ORDINARY,
	CELL_EXECUTABLE,
	CELL_TABLE,
	CELL_MEMTYPE,
	CELL_WX,
	CELL_ALIASED,
	CELLS
};

static const struct frame_style styles[CELLS] = {
	[CELL_ORDINARY] = {"#e4e4e0", "memory", NULL},
	[CELL_EXECUTABLE] = {"#8cb8ea", "executable", "x"},
	[CELL_TABLE] = {"#2e7d4f", "page table", "T"},
	[CELL_MEMTYPE] = {"#f4d080", "two memory types", "t"},
	[CELL_WX] = {"#b060c0", "executable, writable", "W"},
	[CELL_ALIASED] = {"#900c0c", "table mapped elsewhere", "A"},
};

/* The grid has no gaps between the ranges of memory. */
static void paint_frame(struct frame_grid *grid, const struct physmem *mem, uint64_t pfn,
			enum cell what)
{
	frame_grid_paint(grid, physmem_count(mem, 0, pfn), 1, what);
}

static void paint_uses(struct frame_grid *grid, const struct audit *audit,
		       const struct physmem *mem)
{
	for (size_t i = 0; i < mem->nr_ranges; i++) {
		uint64_t pfn = mem->ranges[i].gpa >> FRAME_SHIFT;
		uint64_t end = pfn + (mem->ranges[i].size >> FRAME_SHIFT);

		for (; pfn < end; pfn++)
			if (audit_is_executable(audit, pfn))
				paint_frame(grid, mem, pfn, CELL_EXECUTABLE);
	}
	for (size_t i = 0; i < audit_nr_tables(audit); i++)
		paint_frame(grid, mem, audit_table(audit, i), CELL_TABLE);
}

static void paint_findings(struct frame_grid *grid, const struct findings *findings,
			   const struct physmem *mem)
{
	static const enum cell cells[FINDING_KINDS] = {
		[FINDING_TABLE] = CELL_ALIASED,
		[FINDING_WX] = CELL_WX,
		[FINDING_MEMTYPE] = CELL_MEMTYPE,
	};

	for (size_t i = 0; i < findings->nr; i++) {
		const struct finding *finding = &findings->all[i];

		for (uint64_t k = 0; k < finding->frames; k++)
			if (physmem_has(mem, finding->pfn + k))
				paint_frame(grid, mem, finding->pfn + k, cells[finding->kind]);
	}
}

/* The address of the memory that has so many frames of memory below it. */
static uint64_t address_of(const void *ctx, uint64_t frame)
{
	const struct physmem *mem = ctx;
	uint64_t bytes = frame << FRAME_SHIFT;

	for (size_t i = 0; i < mem->nr_ranges; i++)
		if (bytes - mem->ranges[i].before < mem->ranges[i].size)
			return mem->ranges[i].gpa + (bytes - mem->ranges[i].before);
	return 0;
}

int map_svg_print(FILE *out, const struct audit *audit, const struct physmem *mem,
		  const struct findings *findings)
{
	struct frame_grid grid;
	char title[160];
	int err = frame_grid_init(&grid, mem->size >> FRAME_SHIFT, styles, CELLS);

	if (!err) {
		paint_uses(&grid, audit, mem);
		paint_findings(&grid, findings, mem);
		snprintf(title, sizeof(title),
			 "%zu of %" PRIu64 " page tables have another, writable mapping",
			 findings->of_kind[FINDING_TABLE], findings->tables);
		frame_grid_print(out, &grid, title, address_of, mem);
	}
	frame_grid_free(&grid);
	return err;
}
