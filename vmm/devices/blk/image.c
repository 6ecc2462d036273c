/* SPDX-License-Identifier: MIT */
#include "devices/blk/image.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>
#include "say.h"

static int open_file(const struct disk_option *disk)
{
	/* O_NONBLOCK: opening a FIFO must not wait for its other end. */
	int flags = (disk->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int fd = TEMP_FAILURE_RETRY(open(disk->path, flags));

	if (fd >= 0)
		return fd;
	if (!disk->readonly && (errno == EACCES || errno == EROFS || errno == EPERM))
		return say_errno("open %s for writing (add ',ro' to use it read-only)", disk->path);
	return say_errno("open %s", disk->path);
}

static int image_size(int fd, const char *path, uint64_t *bytes)
{
	struct stat st;

	if (fstat(fd, &st))
		return say_errno("fstat %s", path);
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(fd, BLKGETSIZE64, bytes))
			return say_errno("BLKGETSIZE64 %s", path);
	} else if (S_ISREG(st.st_mode)) {
		*bytes = (uint64_t)st.st_size;
	} else {
		say("disk %s is neither a file nor a block device", path);
		return -EINVAL;
	}
	if (*bytes > 0 && *bytes % BLK_SECTOR == 0)
		return 0;
	if (*bytes == 0)
		say("disk %s is empty: give it a size with 'truncate -s SIZE'", path);
	else
		say("disk %s has %llu bytes, not a multiple of %u: 'truncate -s %%%u' fills it up",
		    path, (unsigned long long)*bytes, BLK_SECTOR, BLK_SECTOR);
	return -EINVAL;
}

static int lock_image(int fd, const struct disk_option *disk)
{
	int ret;

	if (!TEMP_FAILURE_RETRY(flock(fd, (disk->readonly ? LOCK_SH : LOCK_EX) | LOCK_NB)))
		return 0;
	if (errno != EWOULDBLOCK)
		return say_errno("flock %s", disk->path);
	ret = -errno;
	say("disk %s is in use: another program has locked it%s", disk->path,
	    disk->readonly ? " for writing" : "; only readers (',ro') may share a disk");
	return ret;
}

/* The same file under any name, or the same device by any node. */
static bool is_same(const char *a, const char *b)
{
	struct stat one, other;

	/* If stat() fails, opening will fail, too, with a message. */
	if (stat(a, &one) || stat(b, &other))
		return false;
	if (S_ISBLK(one.st_mode) && S_ISBLK(other.st_mode))
		return one.st_rdev == other.st_rdev;
	return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

bool blk_images_are_distinct(const struct disk_option *disks, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		for (unsigned j = i + 1; j < nr; j++) {
			if (disks[i].readonly && disks[j].readonly)
				continue;
			if (!is_same(disks[i].path, disks[j].path))
				continue;
			say("--disk %s and --disk %s are the same disk: only where both are "
			    "read-only (',ro') may it be given twice",
			    disks[i].path, disks[j].path);
			return false;
		}
	return true;
}

int blk_image_open(struct blk_image *image, const struct disk_option *disk)
{
	uint64_t bytes = 0;
	int fd = open_file(disk);
	int ret;

	if (fd < 0)
		return fd;
	ret = image_size(fd, disk->path, &bytes);
	if (!ret)
		ret = lock_image(fd, disk);
	/* With O_NONBLOCK, io_uring would return EAGAIN instead of waiting. */
	if (!ret && fcntl(fd, F_SETFL, 0))
		ret = say_errno("fcntl F_SETFL %s", disk->path);
	if (ret) {
		close(fd);
		return ret;
	}
	*image = (struct blk_image){.fd = fd, .sectors = bytes / BLK_SECTOR};
	return 0;
}

int blk_image_sync(const struct blk_image *image, const char *path)
{
	if (TEMP_FAILURE_RETRY(fdatasync(image->fd)) == 0)
		return 0;
	return say_errno("disk %s: what the guest wrote may not have reached it", path);
}

void blk_image_close(struct blk_image *image)
{
	close(image->fd);
	image->fd = -1;
}
