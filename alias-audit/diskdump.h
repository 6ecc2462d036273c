/* SPDX-License-Identifier: MIT */
/* What the headers of a compressed core tell that libkdumpfile doesn't (makedumpfile's
 * diskdump_mod.h). Its blocks are frames. */
#ifndef AUDIT_DISKDUMP_H
#define AUDIT_DISKDUMP_H

#include <stdbool.h>
#include <stdint.h>

struct diskdump {
	char machine[65];              /* utsname.machine */
	bool counts_frames;            /* `frames` is there */
	uint64_t frames, bitmap_bits;  /* one bit a frame */
	uint64_t notes_at, notes_size; /* in the file, in bytes */
};

/* Reads them. False: they aren't there. */
bool diskdump_read(struct diskdump *header, int fd);

#endif
