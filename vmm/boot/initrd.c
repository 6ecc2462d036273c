/* SPDX-License-Identifier: MIT */
#include "boot/initrd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>
#include "say.h"

#define PAGE 4096ull

static uint64_t kernel_end(const struct image *image)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < image->nr; i++) {
		uint64_t gpa = image->segment[i].gpa + image->segment[i].memsz;

		if (gpa > end)
			end = gpa;
	}
	return end;
}

static int place_initrd(struct initrd *initrd, const struct memory *mem, const struct image *image,
			const char *path)
{
	uint64_t bottom = kernel_end(image), top = mem->slot[0].size;

	if (top > image->initrd_max)
		top = image->initrd_max + 1;
	top -= top % PAGE;
	if (initrd->size <= top && (top - initrd->size) / PAGE * PAGE >= bottom) {
		initrd->gpa = (top - initrd->size) / PAGE * PAGE;
		return 0;
	}
	say("%s: an initrd of %" PRIu64 " KiB does not fit between the kernel's end, at %" PRIu64
	    " KiB, and %" PRIu64 " KiB, the end of what --mem gives and the kernel can reach",
	    path, initrd->size >> 10, bottom >> 10, top >> 10);
	return -ENOEXEC;
}

/* Reads the file directly into guest memory. */
static int read_whole(const struct initrd *initrd, const struct memory *mem, int fd,
		      const char *path)
{
	uint8_t *to = memory_ptr(mem, initrd->gpa, initrd->size);
	uint64_t done = 0;

	while (done < initrd->size) {
		ssize_t n = pread(fd, to + done, initrd->size - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return say_errno("reading %s", path);
		if (n == 0) {
			say("%s: it has become shorter while it was read", path);
			return -ENOEXEC;
		}
		done += (uint64_t)n;
	}
	return 0;
}

static int load_file(struct initrd *initrd, const struct memory *mem, const struct image *image,
		     int fd, const char *path)
{
	struct stat st;
	int err;

	if (fstat(fd, &st) < 0)
		return say_errno("%s", path);
	if (!S_ISREG(st.st_mode) || st.st_size == 0) {
		say("%s: not an initrd: it is %s", path,
		    S_ISREG(st.st_mode) ? "empty" : "not a regular file");
		return -ENOEXEC;
	}
	initrd->size = (uint64_t)st.st_size;
	err = place_initrd(initrd, mem, image, path);
	return err ? err : read_whole(initrd, mem, fd, path);
}

int initrd_load(struct initrd *initrd, const struct memory *mem, const struct image *image,
		const char *path)
{
	int fd = TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
	int err;

	if (fd < 0)
		return say_errno("%s", path);
	err = load_file(initrd, mem, image, fd, path);
	close(fd);
	return err;
}
