/* SPDX-License-Identifier: MIT */
/* CRC-32, as in zlib's crc32(). */
#ifndef CRC32_H
#define CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Once, before the others. */
void crc32_init(void);

/* Returns the checksum of the bytes whose checksum is `crc` (0: no bytes), followed by these
 * bytes. */
uint32_t crc32(uint32_t crc, const void *bytes, size_t len);

/* Returns the checksum of two pieces, one after the other, from their checksums; `len2` is the
 * length of the second in bytes. O(log len2). */
uint32_t crc32_combine(uint32_t crc1, uint32_t crc2, uint64_t len2);

#endif
