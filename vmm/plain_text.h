/* SPDX-License-Identifier: MIT */
/* Text of a guest, a peer or a file that is to be printed. */
#ifndef VMM_PLAIN_TEXT_H
#define VMM_PLAIN_TEXT_H

#include <stddef.h>

/* A terminal would take control characters for commands, and readers a newline for another message:
 * they become question marks. */
static inline void plain_text(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = '?';
}

#endif
