/* SPDX-License-Identifier: MIT */
/* Texts that are written as streams. */
#ifndef VMM_TEXT_STREAM_H
#define VMM_TEXT_STREAM_H

#include <stdio.h>
#include <stdlib.h>

/* Closes an open_memstream() into *text. Returns the text, to be freed; NULL if there was no memory
 * for a part of it, which fclose() does not tell if the last part had some. */
static inline char *text_stream_close(FILE *out, char **text)
{
	int failed = ferror(out);

	if (!fclose(out) && !failed)
		return *text;
	free(*text);
	return NULL;
}

#endif
