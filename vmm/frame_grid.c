/* SPDX-License-Identifier: MIT */
#include "frame_grid.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A telephone is about 390 pixels wide, so that texts of 11 pixels can be read there if there are
 * few columns. A picture of many cells has more, so that it is no higher than it must. */
#define COLUMNS_FEW  32u
#define COLUMNS_MANY 128u
#define CELLS_FEW    (COLUMNS_FEW * 512u)
#define CELLS_MAX    (COLUMNS_MANY * 2048u)
#define CELL         10u /* pixels of its side */
#define LEFT         88u /* of the cells: room for addresses */
#define MARGIN       4u
#define LINE         15u /* pixels from one line of text to the next */
#define LEGEND_WIDTH 204u
#define LEGEND_ROW   2u /* texts side by side */
#define LABEL_ROWS   4u /* rows from one address to the next */

int frame_grid_init(struct frame_grid *grid, uint64_t frames, const struct frame_style *styles,
		    unsigned nr_styles)
{
	*grid = (struct frame_grid){.styles = styles, .nr_styles = nr_styles};
	while ((frames - !!frames) >> grid->shift >= CELLS_MAX)
		grid->shift++;
	grid->nr = (size_t)((frames + (1ull << grid->shift) - 1) >> grid->shift);
	grid->cell = calloc(grid->nr ? grid->nr : 1, 1);
	return grid->cell ? 0 : -ENOMEM;
}

void frame_grid_free(struct frame_grid *grid)
{
	free(grid->cell);
	grid->cell = NULL;
}

void frame_grid_paint(struct frame_grid *grid, uint64_t frame, uint64_t nr, unsigned style)
{
	for (uint64_t i = frame >> grid->shift; i <= (frame + nr - 1) >> grid->shift; i++)
		if (style > grid->cell[i])
			grid->cell[i] = (uint8_t)style;
}

static unsigned columns_of(const struct frame_grid *grid)
{
	return grid->nr <= CELLS_FEW ? COLUMNS_FEW : COLUMNS_MANY;
}

/* Black or white, whichever is seen on it. */
static const char *ink_on(const char *colour)
{
	unsigned long rgb = strtoul(colour + 1, NULL, 16);
	unsigned long grey = 3 * (rgb >> 16 & 255) + 6 * (rgb >> 8 & 255) + (rgb & 255);

	return grey > 1200 ? "black" : "white";
}

/* A cell of that style, and its letter. */
static void print_cell(FILE *out, const struct frame_style *style, unsigned x, unsigned y)
{
	fprintf(out, "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" fill=\"%s\"/>", x, y, CELL,
		CELL, style->colour);
	if (style->letter)
		fprintf(out, "<text x=\"%u\" y=\"%u\" text-anchor=\"middle\" fill=\"%s\">%s</text>",
			x + CELL / 2, y + CELL - 1, ink_on(style->colour), style->letter);
}

/* What fills the cells of a style. */
static void print_pattern(FILE *out, const struct frame_grid *grid, unsigned top, unsigned index)
{
	fprintf(out,
		"<pattern id=\"cell%u\" x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" "
		"patternUnits=\"userSpaceOnUse\">",
		index, LEFT, top, CELL, CELL);
	print_cell(out, &grid->styles[index], 0, 0);
	fprintf(out, "</pattern>\n");
}

/* The cells in a row of one style are one rectangle, and all those of a style one path. */
static void print_style(FILE *out, const struct frame_grid *grid, unsigned top, unsigned style)
{
	unsigned columns = columns_of(grid);
	size_t end;

	fprintf(out, "<path fill=\"url(#cell%u)\" d=\"", style);
	for (size_t i = 0; i < grid->nr; i = end) {
		size_t row_end = (i / columns + 1) * columns;

		for (end = i + 1; end < grid->nr && end < row_end; end++)
			if (grid->cell[end] != grid->cell[i])
				break;
		if (grid->cell[i] != style)
			continue;
		fprintf(out, "M%zu %zuh%zuv%uh-%zuz", LEFT + i % columns * CELL,
			top + i / columns * CELL, (end - i) * CELL, CELL, (end - i) * CELL);
	}
	fprintf(out, "\"/>\n");
}

static void print_title(FILE *out, const struct frame_grid *grid, const char *title)
{
	unsigned y = LINE;

	for (const char *end; (end = strchr(title, '\n')); title = end + 1, y += LINE)
		fprintf(out, "<text x=\"%u\" y=\"%u\">%.*s</text>\n", MARGIN, y, (int)(end - title),
			title);
	fprintf(out, "<text x=\"%u\" y=\"%u\">%s</text>\n", MARGIN, y, title);
	fprintf(out, "<text x=\"%u\" y=\"%u\">a cell is %" PRIu64 " KiB</text>\n", MARGIN, y + LINE,
		UINT64_C(4) << grid->shift);
}

/* Where the legend is: below the title. */
static unsigned legend_top(const char *title)
{
	unsigned lines = 2;

	for (; *title; title++)
		lines += *title == '\n';
	return lines * LINE + 9;
}

static void print_legend(FILE *out, const struct frame_grid *grid, unsigned top)
{
	unsigned shown = 0;

	for (unsigned i = 0; i < grid->nr_styles; i++) {
		unsigned x = MARGIN + shown % LEGEND_ROW * LEGEND_WIDTH;
		unsigned y = top + shown / LEGEND_ROW * LINE;

		if (!grid->styles[i].what)
			continue;
		print_cell(out, &grid->styles[i], x, y);
		fprintf(out, "<text x=\"%u\" y=\"%u\">%s</text>\n", x + CELL + 6, y + CELL - 1,
			grid->styles[i].what);
		shown++;
	}
}

static unsigned legend_height(const struct frame_grid *grid)
{
	unsigned shown = 0;

	for (unsigned i = 0; i < grid->nr_styles; i++)
		shown += grid->styles[i].what != NULL;
	return (shown + LEGEND_ROW - 1) / LEGEND_ROW * LINE + 6;
}

void frame_grid_print(FILE *out, const struct frame_grid *grid, const char *title,
		      uint64_t (*address)(const void *ctx, uint64_t frame), const void *ctx)
{
	unsigned top = legend_top(title) + legend_height(grid);
	unsigned columns = columns_of(grid), width = LEFT + columns * CELL + MARGIN;
	size_t rows = (grid->nr + columns - 1) / columns;

	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %zu\" width=\"%u\" "
		"style=\"max-width:100%%\" font-family=\"sans-serif\" font-size=\"11\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		width, top + rows * CELL + 6, width);
	print_title(out, grid, title);
	print_legend(out, grid, legend_top(title));
	for (size_t row = 0; row < rows; row += LABEL_ROWS)
		fprintf(out, "<text x=\"%u\" y=\"%zu\" text-anchor=\"end\">0x%" PRIx64 "</text>\n",
			LEFT - 4, top + row * CELL + CELL - 1,
			address(ctx, (uint64_t)row * columns << grid->shift));
	for (unsigned style = 0; style < grid->nr_styles; style++)
		print_pattern(out, grid, top, style);
	for (unsigned style = 0; style < grid->nr_styles; style++)
		print_style(out, grid, top, style);
	fprintf(out, "</svg>\n");
}
