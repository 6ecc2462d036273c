/* SPDX-License-Identifier: MIT */
#include "file_data.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where data could be behind `at`, as only holes follow: where the file ends. */
static uint64_t end_of_file(int fd, uint64_t at)
{
	struct stat st;

	if (fstat(fd, &st) || (uint64_t)st.st_size < at)
		return at;
	return (uint64_t)st.st_size;
}

uint64_t file_next_data(int fd, uint64_t at, uint64_t end)
{
	off_t found = lseek(fd, (off_t)at, SEEK_DATA);
	uint64_t data = at;

	if (found >= 0)
		data = (uint64_t)found;
	else if (errno == ENXIO)
		data = end_of_file(fd, at);
	return data < end ? data : end;
}
