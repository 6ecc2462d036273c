/* SPDX-License-Identifier: MIT */
#include "boot/aml.h"

#include <string.h>

#define OP_BYTE       0x0a
#define OP_DWORD      0x0c
#define OP_STRING     0x0d
#define OP_NAME       0x08
#define OP_SCOPE      0x10
#define OP_BUFFER     0x11
#define OP_PACKAGE    0x12
#define OP_EXTENDED   0x5b
#define OP_EXT_DEVICE 0x82

#define LENGTH_BYTES 3u /* a PkgLength is always written in three bytes: up to 1 MiB */

void aml_bytes(struct aml *aml, const void *bytes, size_t nr)
{
	if (nr > aml->size - aml->nr) {
		aml->full = true;
		return;
	}
	memcpy(aml->bytes + aml->nr, bytes, nr);
	aml->nr += nr;
}

static void put_byte(struct aml *aml, uint8_t byte)
{
	aml_bytes(aml, &byte, 1);
}

static void put_dword(struct aml *aml, uint32_t value)
{
	aml_bytes(aml, &value, sizeof(value)); /* little-endian, as we are */
}

static void put_name(struct aml *aml, const char name[4])
{
	put_byte(aml, OP_NAME);
	aml_bytes(aml, name, 4);
}

static size_t begin_pkg_length(struct aml *aml)
{
	size_t begun = aml->nr;

	aml_bytes(aml, (uint8_t[LENGTH_BYTES]){0}, LENGTH_BYTES);
	return begun;
}

/* The length includes its own bytes. The first byte has the number of bytes that follow, and the
 * lowest four bits. */
void aml_end(struct aml *aml, size_t begun)
{
	size_t length = aml->nr - begun;

	if (aml->full)
		return;
	aml->bytes[begun] = (uint8_t)((LENGTH_BYTES - 1) << 6 | (length & 0xf));
	aml->bytes[begun + 1] = (uint8_t)(length >> 4);
	aml->bytes[begun + 2] = (uint8_t)(length >> 12);
}

size_t aml_scope(struct aml *aml, const char *path)
{
	size_t begun;

	put_byte(aml, OP_SCOPE);
	begun = begin_pkg_length(aml);
	aml_bytes(aml, path, strlen(path));
	return begun;
}

size_t aml_device(struct aml *aml, const char name[4])
{
	size_t begun;

	put_byte(aml, OP_EXTENDED);
	put_byte(aml, OP_EXT_DEVICE);
	begun = begin_pkg_length(aml);
	aml_bytes(aml, name, 4);
	return begun;
}

void aml_name_string(struct aml *aml, const char name[4], const char *value)
{
	put_name(aml, name);
	put_byte(aml, OP_STRING);
	aml_bytes(aml, value, strlen(value) + 1);
}

void aml_name_integer(struct aml *aml, const char name[4], uint32_t value)
{
	put_name(aml, name);
	put_byte(aml, OP_DWORD);
	put_dword(aml, value);
}

static uint32_t hex_digit(char digit)
{
	return digit <= '9' ? (uint32_t)(digit - '0') : (uint32_t)(digit - 'A' + 10);
}

/* Three letters of five bits each, then four hexadecimal digits, all of it big-endian. */
void aml_name_eisa_id(struct aml *aml, const char name[4], const char *id)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < 3; i++)
		value = value << 5 | ((uint32_t)id[i] & 0x1f);
	for (unsigned i = 3; i < 7; i++)
		value = value << 4 | hex_digit(id[i]);
	aml_name_integer(aml, name, __builtin_bswap32(value));
}

void aml_name_package(struct aml *aml, const char name[4], const uint8_t *values, uint8_t nr)
{
	size_t begun;

	put_name(aml, name);
	put_byte(aml, OP_PACKAGE);
	begun = begin_pkg_length(aml);
	put_byte(aml, nr);
	for (unsigned i = 0; i < nr; i++) {
		put_byte(aml, OP_BYTE);
		put_byte(aml, values[i]);
	}
	aml_end(aml, begun);
}

/* A buffer has its size twice: as a package length, and as an integer. The latter is a double word
 * here, filled in at the end. */
size_t aml_begin_resources(struct aml *aml)
{
	size_t begun;

	put_name(aml, "_CRS");
	put_byte(aml, OP_BUFFER);
	begun = begin_pkg_length(aml);
	put_byte(aml, OP_DWORD);
	put_dword(aml, 0);
	return begun;
}

void aml_end_resources(struct aml *aml, size_t begun)
{
	static const uint8_t end_tag[] = {0x79, 0}; /* checksum 0: not computed */
	size_t size_at = begun + LENGTH_BYTES + 1, size;

	aml_bytes(aml, end_tag, sizeof(end_tag));
	if (aml->full)
		return;
	size = aml->nr - (size_at + sizeof(uint32_t));
	memcpy(aml->bytes + size_at, &(uint32_t){(uint32_t)size}, sizeof(uint32_t));
	aml_end(aml, begun);
}

void aml_io_ports(struct aml *aml, uint16_t port, uint8_t nr)
{
	const struct {
		uint8_t tag, decode16;
		uint16_t min, max;
		uint8_t align, length;
	} __attribute__((packed))
	io = {.tag = 0x47, .decode16 = 1, .min = port, .max = port, .align = 1, .length = nr};

	aml_bytes(aml, &io, sizeof(io));
}

void aml_memory(struct aml *aml, uint32_t base, uint32_t size)
{
	const struct {
		uint8_t tag;
		uint16_t length;
		uint8_t writable;
		uint32_t base, size;
	} __attribute__((packed))
	memory = {.tag = 0x86, .length = 9, .writable = 1, .base = base, .size = size};

	aml_bytes(aml, &memory, sizeof(memory));
}

void aml_interrupt(struct aml *aml, uint32_t gsi)
{
	const struct {
		uint8_t tag;
		uint16_t length;
		uint8_t flags, nr;
		uint32_t gsi;
	} __attribute__((packed)) interrupt = {
		.tag = 0x89, .length = 6, .flags = 0x03 /* consumer, edge */, .nr = 1, .gsi = gsi};

	aml_bytes(aml, &interrupt, sizeof(interrupt));
}
