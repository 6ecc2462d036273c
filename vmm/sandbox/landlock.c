/* SPDX-License-Identifier: MIT */
#include "sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "follow_links.h"
#include "replaceable.h"

/* From version 3 on; the headers may be older. */
#define ACCESS_TRUNCATE (1ull << 14)

/* All access rights of a Landlock version. */
static uint64_t all_accesses(int abi)
{
	static const unsigned nr_bits[] = {0, 13, 14, 15, 15, 16};
	unsigned known = sizeof(nr_bits) / sizeof(nr_bits[0]);

	return (1ull << nr_bits[(unsigned)abi < known ? (unsigned)abi : known - 1]) - 1;
}

int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi > 0 ? (int)abi : 0;
}

int landlock_create(int abi)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = all_accesses(abi)};

	long fd = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	return fd < 0 ? -errno : (int)fd;
}

static int allow_path(int ruleset, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr beneath = {
		.allowed_access = access,
		.parent_fd = TEMP_FAILURE_RETRY(open(path, O_PATH | O_CLOEXEC)),
	};
	int err = 0;

	/* A path that can't be opened now can't be opened later, either. */
	if (beneath.parent_fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
		err = -errno;
	/* Landlock does not apply to pipes and the like (/dev/stdout may be one). */
	if (err == -EBADFD)
		err = 0;
	close(beneath.parent_fd);
	return err;
}

static int allow_in_folder(int ruleset, const char *path, uint64_t access)
{
	char *copy = strdup(path);
	int err = copy ? allow_path(ruleset, dirname(copy), access) : -ENOMEM;

	free(copy);
	return err;
}

/* The target of the link does not exist, and will be created. */
static int allow_target(int ruleset, const char *link)
{
	char target[PATH_MAX];

	if (!follow_links(link, target))
		return 0;
	return allow_in_folder(ruleset, target,
			       LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_WRITE_FILE);
}

int landlock_allow_write(int ruleset, int abi, const char *path)
{
	struct stat st;

	if (!is_replaceable(path)) {
		if (stat(path, &st) < 0 && errno == ENOENT)
			return allow_target(ruleset, path);
		return allow_path(ruleset, path,
				  LANDLOCK_ACCESS_FS_WRITE_FILE | (abi < 3 ? 0 : ACCESS_TRUNCATE));
	}
	return allow_in_folder(ruleset, path,
			       LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_READ_FILE |
				       LANDLOCK_ACCESS_FS_WRITE_FILE |
				       LANDLOCK_ACCESS_FS_REMOVE_FILE);
}

int landlock_allow_remove(int ruleset, const char *path)
{
	return allow_in_folder(ruleset, path, LANDLOCK_ACCESS_FS_REMOVE_FILE);
}

int landlock_try_to_enter(void)
{
	/* The kernel looks at the descriptor last. */
	return syscall(SYS_landlock_restrict_self, -1, 0) < 0 && errno != EBADF ? -errno : 0;
}

int landlock_enter(int ruleset)
{
	return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}
