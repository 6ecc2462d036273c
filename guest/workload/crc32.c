/* SPDX-License-Identifier: MIT */
/*
 * A checksum is a polynomial over GF(2), modulo x^32 + x^26 + ... + 1; bit 31 is the coefficient of
 * x^0 ("reflected"). More bytes behind multiply what was before by x^8 each, so checksums of pieces
 * can be put together.
 */
#include "crc32.h"

#define POLYNOMIAL 0xedb88320u
#define ONE        0x80000000u /* x^0 */

static uint32_t table[256]; /* constant after crc32_init() */

/* a * x */
static uint32_t times_x(uint32_t a)
{
	return a >> 1 ^ (a & 1 ? POLYNOMIAL : 0);
}

static uint32_t multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (uint32_t bit = ONE; bit; bit >>= 1, b = times_x(b))
		if (a & bit)
			product ^= b;
	return product;
}

void crc32_init(void)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		table[byte] = byte;
		for (unsigned bit = 0; bit < 8; bit++)
			table[byte] = times_x(table[byte]);
	}
}

uint32_t crc32(uint32_t crc, const void *bytes, size_t len)
{
	const uint8_t *byte = bytes;

	crc = ~crc;
	while (len--)
		crc = crc >> 8 ^ table[(crc ^ *byte++) & 0xff];
	return ~crc;
}

uint32_t crc32_combine(uint32_t crc1, uint32_t crc2, uint64_t len2)
{
	uint32_t square = ONE >> 8; /* x^8, then its squares */
	uint32_t shift = ONE;       /* x^(8 len2) in the end */

	for (; len2; len2 >>= 1, square = multiply(square, square))
		if (len2 & 1)
			shift = multiply(shift, square);
	return multiply(shift, crc1) ^ crc2;
}
