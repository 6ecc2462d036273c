/* SPDX-License-Identifier: MIT */
#include "replaceable.h"

#include <fcntl.h>
#include <sys/stat.h>

bool is_replaceable(const char *path)
{
	struct statx st;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &st) < 0)
		return true;
	return S_ISREG(st.stx_mode) && !(st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}
