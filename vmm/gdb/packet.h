/* SPDX-License-Identifier: MIT */
/*
 * Packets of GDB's remote serial protocol (appendix E of its manual): "$", data, "#", two hex
 * digits of checksum. Pure; what comes from the peer is read byte by byte into a buffer of fixed
 * size.
 */
#ifndef VMM_GDB_PACKET_H
#define VMM_GDB_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GDB_PACKET_MAX 8192 /* bytes of data, either way */

enum gdb_event {
	GDB_NOTHING,   /* more is to come */
	GDB_PACKET,    /* a packet is whole: `data`, `len` */
	GDB_DAMAGED,   /* one has ended whose checksum is wrong, or which is too long */
	GDB_INTERRUPT, /* Ctrl-C: a byte 3 between packets */
	GDB_NACK,      /* the peer asks for the last packet once more */
};

struct gdb_reader {
	enum { GDB_BETWEEN, GDB_DATA, GDB_ESCAPED, GDB_SUM_HIGH, GDB_SUM_LOW } state;
	uint8_t sum, given; /* checksum of what came, and as it was sent */
	bool too_long, bad_digit;
	size_t len;
	char data[GDB_PACKET_MAX + 1]; /* unescaped; a NUL follows a whole packet */
};

/* One byte of the peer's. After GDB_PACKET the data is valid until the next call. */
enum gdb_event gdb_reader_feed(struct gdb_reader *reader, uint8_t byte);

/* Data of an answer, grown piece by piece. What does not fit sets `overflow` and is left out. */
struct gdb_reply {
	size_t len;
	bool overflow;
	char data[GDB_PACKET_MAX];
};

void gdb_reply_text(struct gdb_reply *reply, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Two digits a byte. */
void gdb_reply_hex(struct gdb_reply *reply, const void *bytes, size_t nr);
/* As they are, but for the characters that have to be escaped. */
void gdb_reply_binary(struct gdb_reply *reply, const void *bytes, size_t nr);
/* The packet on the wire: `out` has room for GDB_PACKET_MAX + 4 bytes. Returns its length. */
size_t gdb_reply_frame(const struct gdb_reply *reply, char *out);

/* `nr` bytes from 2 * nr hex digits at the beginning of `text`. False if they are not there. */
bool gdb_parse_bytes(const char *text, void *bytes, size_t nr);
/* A hex number of at most 16 digits, which is taken off *text. False if there is none. */
bool gdb_parse_number(const char **text, uint64_t *number);
/* Takes this character off *text. False if it is another. */
bool gdb_parse_char(const char **text, char c);

#endif
