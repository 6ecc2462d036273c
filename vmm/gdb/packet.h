/* SPDX-License-Identifier: MIT */
/*
 * Packets of GDB's remote serial protocol (appendix E of its manual): "$", data, "#", two hex
 * digits of checksum. Pure functions; input is read byte by byte into a buffer of fixed size.
 */
#ifndef VMM_GDB_PACKET_H
#define VMM_GDB_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GDB_PACKET_MAX 8192 /* bytes of data, either way */

enum gdb_event {
	GDB_NOTHING,   /* the packet is not complete yet */
	GDB_PACKET,    /* a packet is complete: `data`, `len` */
	GDB_DAMAGED,   /* a packet has ended whose checksum is wrong, or which is too long */
	GDB_INTERRUPT, /* Ctrl-C: a byte 3 between packets */
	GDB_NACK,      /* the peer asks for the last packet again */
};

/* Zeros are a reader between packets. */
struct gdb_reader {
	enum { GDB_BETWEEN, GDB_DATA, GDB_ESCAPED, GDB_SUM_HIGH, GDB_SUM_LOW } state;
	uint8_t sum, given; /* checksum of the data received, and the one sent with it */
	bool too_long, bad_digit;
	size_t len;
	char data[GDB_PACKET_MAX + 1]; /* unescaped; a complete packet is followed by a NUL */
};

/* Takes one byte of input. After GDB_PACKET the data is valid until the next call. */
enum gdb_event gdb_reader_feed(struct gdb_reader *reader, uint8_t byte);

/* The data of an answer, appended piece by piece to zeros. A piece that does not fit is left out,
 * or of bytes its end, and sets `overflow`. */
struct gdb_reply {
	size_t len;
	bool overflow;
	char data[GDB_PACKET_MAX];
};

void gdb_reply_text(struct gdb_reply *reply, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Appends two hex digits for each byte. */
void gdb_reply_hex(struct gdb_reply *reply, const void *bytes, size_t nr);
/* Appends the bytes, escaped where the protocol demands it. */
void gdb_reply_binary(struct gdb_reply *reply, const void *bytes, size_t nr);
/* Makes the packet; `out` has room for GDB_PACKET_MAX + 4 bytes. Returns its length. */
size_t gdb_reply_frame(const struct gdb_reply *reply, char *out);

/* Parses `nr` bytes from 2 * nr hex digits at the beginning of `text`. Returns false if there are
 * fewer. */
bool gdb_parse_bytes(const char *text, void *bytes, size_t nr);
/* Parses a hex number of at most 16 digits, and advances *text. Returns false if there is none. */
bool gdb_parse_number(const char **text, uint64_t *number);
/* Skips this character. Returns false if *text begins with another. */
bool gdb_parse_char(const char **text, char c);

#endif
