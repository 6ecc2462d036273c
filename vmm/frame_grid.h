/* SPDX-License-Identifier: MIT */
/* A picture of memory as SVG: a grid of cells, each of one frame or of a power of two of them, in
 * the colour of what is most remarkable in it. */
#ifndef VMM_FRAME_GRID_H
#define VMM_FRAME_GRID_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What a cell may be, the least remarkable first. */
struct frame_style {
	const char *colour, *what; /* "#rrggbb"; what: NULL for cells that are left white */
	const char *letter;        /* in each cell, for those who see no colours; NULL: none */
};

struct frame_grid {
	const struct frame_style *styles;
	unsigned nr_styles; /* at most 255 */
	uint8_t *cell;      /* index of its style */
	size_t nr;
	unsigned shift; /* log2 of the frames in a cell */
};

/* For so many frames, all of the first style. Returns 0, or -ENOMEM. frame_grid_free() in both
 * cases. */
int frame_grid_init(struct frame_grid *grid, uint64_t frames, const struct frame_style *styles,
		    unsigned nr_styles);
void frame_grid_free(struct frame_grid *grid);
/* So many frames from that one on, counted from 0, are that; unless their cell is something more
 * remarkable already. */
void frame_grid_paint(struct frame_grid *grid, uint64_t frame, uint64_t nr, unsigned style);
/* Prints it with a title above, which is XML and has a newline after each line but the last.
 * address(ctx, frame) is the address of a frame. Errors stay in the stream. */
void frame_grid_print(FILE *out, const struct frame_grid *grid, const char *title,
		      uint64_t (*address)(const void *ctx, uint64_t frame), const void *ctx);

#endif
