/* SPDX-License-Identifier: MIT */
#include "frame_grid.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define COLUMNS_MAX  512u
#define CELLS_MAX    (COLUMNS_MAX * COLUMNS_MAX)
#define SMALL        (128u * 256u) /* cells; a grid of so few has larger ones */
#define WIDTH        1024u         /* of the cells together, in pixels */
#define LEFT         120u          /* of the cells: room for addresses */
#define LEGEND_TOP   36u
#define LEGEND_WIDTH 204u
#define LEGEND_ROW   5u /* texts side by side */
#define LEGEND_LINE  18u
#define LETTER_CELL  8u  /* pixels of a cell that has room for a letter */
#define LABEL_HEIGHT 32u /* pixels from one address to the next */

int frame_grid_init(struct frame_grid *grid, uint64_t frames, const struct frame_style *styles,
		    unsigned nr_styles)
{
	*grid = (struct frame_grid){.styles = styles, .nr_styles = nr_styles};
	while (frames >> grid->shift >= CELLS_MAX)
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

void frame_grid_paint(struct frame_grid *grid, uint64_t frame, unsigned style)
{
	uint8_t *cell = &grid->cell[frame >> grid->shift];

	if (style > *cell)
		*cell = (uint8_t)style;
}

/* Where things are. */
struct layout {
	unsigned columns, cell; /* `cell`: pixels of its side */
	unsigned top;           /* of the cells: below title and legend */
};

static struct layout lay_out(const struct frame_grid *grid)
{
	unsigned cell = grid->nr <= SMALL ? 8 : 2, shown = 0;

	for (unsigned style = 0; style < grid->nr_styles; style++)
		shown += grid->styles[style].what != NULL;
	return (struct layout){
		.columns = WIDTH / cell,
		.cell = cell,
		.top = LEGEND_TOP + (shown + LEGEND_ROW - 1) / LEGEND_ROW * LEGEND_LINE + 16,
	};
}

/* Black or white, whichever is seen on it. */
static const char *ink_on(const char *colour)
{
	unsigned long rgb = strtoul(colour + 1, NULL, 16);
	unsigned long grey = 3 * (rgb >> 16 & 255) + 6 * (rgb >> 8 & 255) + (rgb & 255);

	return grey > 1200 ? "black" : "white";
}

/* What fills the cells of a style: its colour, and its letter in each cell. */
static void print_pattern(FILE *out, const struct frame_grid *grid, const struct layout *layout,
			  unsigned index)
{
	const struct frame_style *style = &grid->styles[index];

	fprintf(out,
		"<pattern id=\"cell%u\" x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" "
		"patternUnits=\"userSpaceOnUse\"><rect width=\"%u\" height=\"%u\" fill=\"%s\"/>",
		index, LEFT, layout->top, layout->cell, layout->cell, layout->cell, layout->cell,
		style->colour);
	if (style->letter && layout->cell >= LETTER_CELL)
		fprintf(out,
			"<text x=\"%u\" y=\"%u\" font-size=\"%u\" text-anchor=\"middle\" fill=\"%s\">"
			"%s</text>",
			layout->cell / 2, layout->cell - 1, layout->cell, ink_on(style->colour),
			style->letter);
	fprintf(out, "</pattern>\n");
}

/* The cells in a row of one style are one rectangle, and all those of a style one path. */
static void print_style(FILE *out, const struct frame_grid *grid, const struct layout *layout,
			unsigned style)
{
	size_t end;

	fprintf(out, "<path fill=\"url(#cell%u)\" d=\"", style);
	for (size_t i = 0; i < grid->nr; i = end) {
		size_t row_end = (i / layout->columns + 1) * layout->columns;

		for (end = i + 1; end < grid->nr && end < row_end; end++)
			if (grid->cell[end] != grid->cell[i])
				break;
		if (grid->cell[i] != style)
			continue;
		fprintf(out, "M%zu %zuh%zuv%uh-%zuz", LEFT + i % layout->columns * layout->cell,
			layout->top + i / layout->columns * layout->cell, (end - i) * layout->cell,
			layout->cell, (end - i) * layout->cell);
	}
	fprintf(out, "\"/>\n");
}

static void print_legend(FILE *out, const struct frame_grid *grid, const struct layout *layout)
{
	unsigned shown = 0;

	for (unsigned i = 0; i < grid->nr_styles; i++) {
		unsigned x = LEFT + shown % LEGEND_ROW * LEGEND_WIDTH;
		unsigned y = LEGEND_TOP + shown / LEGEND_ROW * LEGEND_LINE;
		const struct frame_style *style = &grid->styles[i];

		if (!style->what)
			continue;
		fprintf(out,
			"<rect x=\"%u\" y=\"%u\" width=\"12\" height=\"12\" fill=\"%s\" "
			"stroke=\"#606060\" stroke-width=\"0.5\"/><text x=\"%u\" y=\"%u\">%s</text>\n",
			x, y, style->colour, x + 17, y + 11, style->what);
		if (style->letter && layout->cell >= LETTER_CELL)
			fprintf(out,
				"<text x=\"%u\" y=\"%u\" font-size=\"10\" text-anchor=\"middle\" "
				"fill=\"%s\">%s</text>\n",
				x + 6, y + 10, ink_on(style->colour), style->letter);
		shown++;
	}
}

void frame_grid_print(FILE *out, const struct frame_grid *grid, const char *title,
		      uint64_t (*address)(const void *ctx, uint64_t frame), const void *ctx)
{
	struct layout layout = lay_out(grid);
	size_t rows = (grid->nr + layout.columns - 1) / layout.columns;

	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %zu\" width=\"%u\" "
		"font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
		"<text x=\"%u\" y=\"20\" font-size=\"15\">%s; a cell is %" PRIu64 " KiB</text>\n",
		LEFT + WIDTH + 20, layout.top + rows * layout.cell + 20, LEFT + WIDTH + 20, LEFT,
		title, UINT64_C(4) << grid->shift);
	print_legend(out, grid, &layout);
	for (size_t row = 0; row < rows; row += LABEL_HEIGHT / layout.cell)
		fprintf(out, "<text x=\"%u\" y=\"%zu\" text-anchor=\"end\">0x%" PRIx64 "</text>\n",
			LEFT - 8, layout.top + row * layout.cell + 10,
			address(ctx, (uint64_t)row * layout.columns << grid->shift));
	for (unsigned style = 0; style < grid->nr_styles; style++)
		print_pattern(out, grid, &layout, style);
	for (unsigned style = 0; style < grid->nr_styles; style++)
		print_style(out, grid, &layout, style);
	fprintf(out, "</svg>\n");
}
