/* SPDX-License-Identifier: MIT */
#include "flattened.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* makedumpfile's makedumpfile.h: a header of 4 KiB, then pieces; all numbers are big-endian. */
#define SIGNATURE      "makedumpfile\0\0\0"
#define SIGNATURE_SIZE 16u
#define HEADER_SIZE    4096
#define PLACE_MAX      (1ll << 46)

struct piece {
	int64_t offset, size; /* both negative: there are no more */
};

bool flattened_is(int fd)
{
	char start[SIGNATURE_SIZE];

	return pread(fd, start, sizeof(start), 0) == (ssize_t)sizeof(start) &&
	       !memcmp(start, SIGNATURE, sizeof(start));
}

/* Returns 0, or a negated errno. */
static int copy_bytes(int from, off_t at, int to, off_t to_at, int64_t left)
{
	char buffer[1 << 16];

	while (left > 0) {
		size_t want = left < (int64_t)sizeof(buffer) ? (size_t)left : sizeof(buffer);
		ssize_t n = pread(from, buffer, want, at);

		if (n <= 0)
			return n < 0 ? -errno : -EINVAL;
		for (ssize_t done = 0; done < n;) {
			ssize_t written =
				pwrite(to, buffer + done, (size_t)(n - done), to_at + done);

			if (written <= 0)
				return written < 0 ? -errno : -EIO;
			done += written;
		}
		at += n;
		to_at += n;
		left -= n;
	}
	return 0;
}

static int unpack_to(int from, int to)
{
	off_t at = HEADER_SIZE;
	struct piece piece;
	int error = 0;

	while (!error) {
		if (pread(from, &piece, sizeof(piece), at) != (ssize_t)sizeof(piece))
			return -EINVAL;
		piece.offset = (int64_t)be64toh((uint64_t)piece.offset);
		piece.size = (int64_t)be64toh((uint64_t)piece.size);
		if (piece.offset < 0 && piece.size < 0)
			break;
		if (piece.offset < 0 || piece.size <= 0 || piece.offset > PLACE_MAX ||
		    piece.size > PLACE_MAX)
			return -EINVAL;
		at += (off_t)sizeof(piece);
		error = copy_bytes(from, at, to, piece.offset, piece.size);
		at += piece.size;
	}
	return error;
}

int flattened_unpack(int fd)
{
	const char *folder = getenv("TMPDIR");
	int to =
		open(folder && *folder ? folder : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int error;

	if (to < 0)
		return -errno;
	error = unpack_to(fd, to);
	if (!error)
		return to;
	close(to);
	return error;
}
