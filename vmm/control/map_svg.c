/* SPDX-License-Identifier: MIT */
#include "control/map_svg.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "frame_grid.h"
#include "output_file.h"
#include "pin/map.h"
#include "say.h"
#include "status.h"
#include "text_stream.h"

/* Letters tell them apart without colour. */
static const struct frame_style styles[FRAME_NR_KINDS] = {
	[FRAME_NONE] = {"#ffffff", NULL, NULL},
	[FRAME_ORDINARY] = {"#ececea", "memory", NULL},
	[FRAME_MAPPED] = {"#c0d6ee", "mapped writable", "m"},
	[FRAME_BALLOONED] = {"#c096d0", "in the balloon", "b"},
	[FRAME_TYPED] = {"#edb950", "of another memory type", "t"},
	[FRAME_L1] = {"#6fac79", "page table L1", "1"},
	[FRAME_L2] = {"#398451", "page table L2", "2"},
	[FRAME_L3] = {"#1f6238", "page table L3", "3"},
	[FRAME_L4] = {"#063a18", "page table L4", "4"},
	[FRAME_STALE] = {"#ee5238", "stale alias", "S"},
	[FRAME_ALIASED] = {"#000000", "page table with an alias", "A"},
};

static uint64_t gpa_of(const void *ctx, uint64_t frame)
{
	(void)ctx;
	return frame << 12;
}

/* Returns false if the cells are no answer of a vmm. */
static bool paint_cells(struct frame_grid *grid, const char *cells)
{
	if (!cells || strlen(cells) != grid->nr)
		return false;
	for (size_t i = 0; i < grid->nr; i++) {
		const char *letter = strchr(FRAME_LETTERS, cells[i]);

		if (!letter)
			return false;
		grid->cell[i] = (uint8_t)(letter - FRAME_LETTERS);
	}
	return true;
}

static char *print_grid(const struct frame_grid *grid)
{
	size_t size, nr[FRAME_NR_KINDS] = {0};
	char *text = NULL, title[200];
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (size_t i = 0; i < grid->nr; i++)
		nr[grid->cell[i]]++;
	snprintf(
		title, sizeof(title),
		"%zu cells with page tables, %zu of them with an alias\n%zu others with a stale alias",
		nr[FRAME_L1] + nr[FRAME_L2] + nr[FRAME_L3] + nr[FRAME_L4] + nr[FRAME_ALIASED],
		nr[FRAME_ALIASED], nr[FRAME_STALE]);
	frame_grid_print(out, grid, title, gpa_of, NULL);
	return text_stream_close(out, &text);
}

int map_svg_write(const json_t *answer, const char *path)
{
	json_int_t frames = json_integer_value(json_object_get(answer, "frames"));
	const char *cells = json_string_value(json_object_get(answer, "cells"));
	struct output output = {.what = "the map", .path = path};
	int status = VMM_EX_OSERR;
	struct frame_grid grid;
	char *text = NULL;

	if (frame_grid_init(&grid, frames > 0 ? (uint64_t)frames : 0, styles, FRAME_NR_KINDS)) {
		say_errno("memory for the map");
	} else if (!paint_cells(&grid, cells)) {
		say("this is no map of frames");
		status = VMM_EX_NOKVM;
	} else if (!(text = print_grid(&grid))) {
		say_errno("memory for the map");
	} else {
		output.text = text;
		status = output_file_write(&output, -1) ? VMM_EX_IOERR : 0;
	}
	free(text);
	frame_grid_free(&grid);
	return status;
}
