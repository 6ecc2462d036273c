/* SPDX-License-Identifier: MIT */
#include "installed.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Cuts the last part of a path off. */
static bool go_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash)
		*slash = '\0';
	return slash;
}

static bool own_folder(char folder[PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", folder, PATH_MAX - 1);

	if (len < 0)
		return false;
	folder[len] = '\0';
	return go_up(folder);
}

bool installed_path(const char *name, char path[PATH_MAX])
{
	char folder[PATH_MAX];

	return own_folder(folder) && go_up(folder) &&
	       snprintf(path, PATH_MAX, "%s/lib/vmm/%s", folder, name) < PATH_MAX;
}

bool installed_program(const char *name, char path[PATH_MAX])
{
	char folder[PATH_MAX];

	if (own_folder(folder) && snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX &&
	    access(path, X_OK) == 0)
		return true;
	return installed_path(name, path);
}
