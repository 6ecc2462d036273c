/* SPDX-License-Identifier: MIT */
#include "gdb/packet.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define INTERRUPT   0x03
#define ESCAPE      '}'
#define ESCAPE_MASK 0x20

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static enum gdb_event between_packets(struct gdb_reader *reader, uint8_t byte)
{
	switch (byte) {
	case '$':
		reader->state = GDB_DATA;
		reader->sum = 0;
		reader->len = 0;
		reader->too_long = reader->bad_digit = false;
		return GDB_NOTHING;
	case INTERRUPT:
		return GDB_INTERRUPT;
	case '-':
		return GDB_NACK;
	default:
		return GDB_NOTHING; /* '+', or noise */
	}
}

static void take_data(struct gdb_reader *reader, uint8_t byte)
{
	if (reader->len == GDB_PACKET_MAX)
		reader->too_long = true;
	else
		reader->data[reader->len++] = (char)byte;
}

static void take_sum(struct gdb_reader *reader, uint8_t byte)
{
	int d = hex_digit((char)byte);

	reader->bad_digit |= d < 0;
	reader->given = (uint8_t)(reader->given << 4 | (d & 0xf));
}

enum gdb_event gdb_reader_feed(struct gdb_reader *reader, uint8_t byte)
{
	switch (reader->state) {
	case GDB_BETWEEN:
		return between_packets(reader, byte);
	case GDB_DATA:
		if (byte == '#') {
			reader->state = GDB_SUM_HIGH;
			reader->given = 0;
			return GDB_NOTHING;
		}
		reader->sum += byte;
		if (byte == ESCAPE)
			reader->state = GDB_ESCAPED;
		else
			take_data(reader, byte);
		return GDB_NOTHING;
	case GDB_ESCAPED:
		reader->sum += byte;
		reader->state = GDB_DATA;
		take_data(reader, byte ^ ESCAPE_MASK);
		return GDB_NOTHING;
	case GDB_SUM_HIGH:
		take_sum(reader, byte);
		reader->state = GDB_SUM_LOW;
		return GDB_NOTHING;
	case GDB_SUM_LOW:
		take_sum(reader, byte);
		reader->state = GDB_BETWEEN;
		reader->data[reader->len] = '\0';
		return reader->too_long || reader->bad_digit || reader->sum != reader->given
			       ? GDB_DAMAGED
			       : GDB_PACKET;
	}
	return GDB_NOTHING;
}

void gdb_reply_text(struct gdb_reply *reply, const char *format, ...)
{
	size_t room = sizeof(reply->data) - reply->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(reply->data + reply->len, room, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room)
		reply->overflow = true;
	else
		reply->len += (size_t)n;
}

void gdb_reply_hex(struct gdb_reply *reply, const void *bytes, size_t nr)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *byte = bytes;

	if (2 * nr > sizeof(reply->data) - reply->len) {
		reply->overflow = true;
		return;
	}
	for (size_t i = 0; i < nr; i++) {
		reply->data[reply->len++] = digits[byte[i] >> 4];
		reply->data[reply->len++] = digits[byte[i] & 0xf];
	}
}

void gdb_reply_binary(struct gdb_reply *reply, const void *bytes, size_t nr)
{
	const char *byte = bytes;

	for (size_t i = 0; i < nr; i++) {
		bool escaped =
			byte[i] == '#' || byte[i] == '$' || byte[i] == '*' || byte[i] == ESCAPE;

		if (sizeof(reply->data) - reply->len < 2) {
			reply->overflow = true;
			return;
		}
		if (escaped)
			reply->data[reply->len++] = ESCAPE;
		reply->data[reply->len++] = escaped ? byte[i] ^ ESCAPE_MASK : byte[i];
	}
}

size_t gdb_reply_frame(const struct gdb_reply *reply, char *out)
{
	uint8_t sum = 0;
	char end[4];

	for (size_t i = 0; i < reply->len; i++)
		sum += (uint8_t)reply->data[i];
	snprintf(end, sizeof(end), "#%02x", sum);
	out[0] = '$';
	memcpy(out + 1, reply->data, reply->len);
	memcpy(out + 1 + reply->len, end, 3);
	return reply->len + 4;
}

bool gdb_parse_bytes(const char *text, void *bytes, size_t nr)
{
	uint8_t *byte = bytes;

	for (size_t i = 0; i < nr; i++) {
		int high = hex_digit(text[2 * i]);
		int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (low < 0)
			return false;
		byte[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool gdb_parse_number(const char **text, uint64_t *number)
{
	unsigned nr = 0;

	for (*number = 0; hex_digit(**text) >= 0; ++*text, nr++) {
		if (nr == 16)
			return false;
		*number = *number << 4 | (unsigned)hex_digit(**text);
	}
	return nr > 0;
}

bool gdb_parse_char(const char **text, char c)
{
	if (**text != c)
		return false;
	++*text;
	return true;
}
