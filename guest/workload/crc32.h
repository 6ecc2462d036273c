/* SPDX-License-Identifier: MIT */
/* CRC-32 as zlib's crc32() computes it. */
#ifndef CRC32_H
#define CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Before anything else, once. */
void crc32_init(void);

/* The checksum of what `crc` is the checksum of (0: of nothing), followed by these bytes. */
uint32_t crc32(uint32_t crc, const void *bytes, size_t len);

/* The checksum of two pieces, one after the other, from theirs; `len2` is the length of the second
 * in bytes. O(log len2). */
uint32_t crc32_combine(uint32_t crc1, uint32_t crc2, uint64_t len2);

#endif
