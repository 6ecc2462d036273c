/* SPDX-License-Identifier: MIT */
#include "follow_links.h"

#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as many as the kernel follows */

bool follow_links(const char *path, char target[PATH_MAX])
{
	char link[PATH_MAX];
	ssize_t len;

	if (strlen(path) >= PATH_MAX)
		return false;
	strcpy(target, path);
	for (unsigned nr = 0; nr < LINKS_MAX; nr++) {
		char *slash = strrchr(target, '/'), *from = target;

		len = readlink(target, link, sizeof(link));
		if (len <= 0)
			break;
		if (link[0] != '/' && slash)
			from = slash + 1;
		if (len >= target + PATH_MAX - from)
			return false;
		*(char *)mempcpy(from, link, (size_t)len) = '\0';
	}
	return true;
}
