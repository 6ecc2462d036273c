/* SPDX-License-Identifier: MIT */
#include "kvm/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Reads a small file of /proc or /sys without a stdio buffer. `text` is "" on failure. */
static void read_fd(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < size - 1) {
		n = TEMP_FAILURE_RETRY(pread(fd, text + len, size - 1 - len, (off_t)len));
		len += n > 0 ? (size_t)n : 0;
	}
	text[len] = '\0';
}

static void read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	read_fd(fd, text, size);
	if (fd >= 0)
		close(fd);
}

static json_t *describe_kvm(void)
{
	static const char *const modules[] = {"kvm", "kvm_amd", "kvm_intel"};
	static const char *const parameters[] = {"npt",          "ept",     "eptad",
						 "pml",          "nested",  "avic",
						 "enable_apicv", "tdp_mmu", "mmio_caching"};
	json_t *kvm = json_object();

	for (size_t m = 0; m < sizeof(modules) / sizeof(modules[0]); m++)
		for (size_t p = 0; p < sizeof(parameters) / sizeof(parameters[0]); p++) {
			char path[96], value[16], name[32];

			snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", modules[m],
				 parameters[p]);
			read_file(path, value, sizeof(value));
			value[strcspn(value, "\n")] = '\0';
			snprintf(name, sizeof(name), "%s.%s", modules[m], parameters[p]);
			if (*value)
				json_object_set_new(kvm, name, json_string(value));
		}
	return kvm;
}

json_t *host_describe(void)
{
	json_t *host = json_object();
	struct utsname name;

	if (uname(&name) == 0)
		json_object_set_new(host, "kernel", json_string(name.release));
	json_object_set_new(host, "cpus", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
	json_object_set_new(host, "kvm", describe_kvm());
	return host;
}

uint64_t host_read_kb(int fd, const char *name)
{
	char text[4096];
	size_t len = strlen(name);

	read_fd(fd, text, sizeof(text));
	for (char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) && line[len] == ':')
			return strtoull(line + len + 1, NULL, 10) << 10;
	}
	return 0;
}
