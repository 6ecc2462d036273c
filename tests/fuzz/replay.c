/* SPDX-License-Identifier: MIT */
/* Feeds a target the inputs in the files and folders that are named, or those of its corpus. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fuzz.h"

static const char *current; /* file */
static unsigned nr_replayed;

void __sanitizer_set_report_fd(void *fd);
void __sanitizer_set_death_callback(void (*callback)(void));
const char *__asan_default_options(void);

/* abort() then ends with the callback, too. */
const char *__asan_default_options(void)
{
	return "handle_abort=1";
}

static void name_input(void)
{
	printf("not ok %s: with %s\n", program_invocation_short_name,
	       current ? current : "no input at all");
	fflush(stdout);
}

static _Noreturn void cannot(const char *what)
{
	printf("not ok %s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(1);
}

/* The target gets a copy of exactly that size, so that a byte too far is seen. */
static void replay(const char *path)
{
	FILE *file = fopen(path, "re");
	uint8_t *data = NULL;
	size_t size = 0;

	current = path;
	if (!file)
		cannot(path);
	for (size_t n = 1; n > 0; size += n) {
		uint8_t *more = realloc(data, size + 4096);

		if (!more)
			cannot(path);
		data = more;
		n = fread(data + size, 1, 4096, file);
	}
	if (ferror(file))
		cannot(path);
	fclose(file);
	if (size > 0)
		data = realloc(data, size);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	nr_replayed++;
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void replay_all(const char *path)
{
	struct dirent **entries;
	int nr = scandir(path, &entries, is_visible, alphasort);

	if (nr < 0 && errno == ENOTDIR) {
		replay(path);
		return;
	}
	if (nr < 0)
		cannot(path);
	for (int i = 0; i < nr; i++) {
		char file[4096];

		snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
		replay(file);
		free(entries[i]);
	}
	free(entries);
}

/* The product speaks on standard error of every strange thing that it is shown. */
static void make_quiet(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	__sanitizer_set_report_fd((void *)(intptr_t)fuzz_stderr);
	if (null < 0 || dup2(null, STDERR_FILENO) < 0)
		cannot("/dev/null");
	close(null);
}

/* That of the target which this program is named after: replay-NAME. */
static const char *corpus(void)
{
	static char path[256];

	snprintf(path, sizeof(path), "tests/fuzz/corpus/%s",
		 program_invocation_short_name + strlen("replay-"));
	return path;
}

int main(int argc, char **argv)
{
	LLVMFuzzerInitialize(&argc, &argv);
	make_quiet();
	__sanitizer_set_death_callback(name_input);
	for (int i = 1; i < argc; i++)
		replay_all(argv[i]);
	if (argc < 2)
		replay_all(corpus());
	if (nr_replayed == 0) {
		printf("not ok %s: there are no inputs\n", program_invocation_short_name);
		return 1;
	}
	printf("ok %s: %u inputs\n", program_invocation_short_name, nr_replayed);
	return 0;
}
