/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ARGS 64
#define SAID_MAX 3000 /* of a text in a message of a failed test */

extern char **environ;

static const char *in_build(const char *name, char buffer[PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	ck_assert_int_gt(len, 0);
	self[len] = 0;
	ck_assert_int_lt(snprintf(buffer, PATH_MAX, "%s/../%s", dirname(self), name), PATH_MAX);
	return buffer;
}

const char *path_vmm(void)
{
	static char path[PATH_MAX];

	return in_build("vmm", path);
}

const char *path_guest(void)
{
	static char path[PATH_MAX];

	return in_build("guest.elf", path);
}

const char *path_in_tests(const char *name)
{
	char *path;

	ck_assert_int_gt(asprintf(&path, "%s/tests/%s", dirname(strdup(path_vmm())), name), 0);
	return path;
}

const char *path_tmp(void)
{
	static char path[64];

	/* Called outside of tests too, where nothing may be asserted. */
	if (!path[0]) {
		snprintf(path, sizeof(path), "/tmp/vmm-machine-XXXXXX");
		if (!mkdtemp(path)) {
			perror(path);
			abort();
		}
	}
	return path;
}

const char *tmp_file(const char *name)
{
	char *path;

	ck_assert_int_gt(asprintf(&path, "%s/%s", path_tmp(), name), 0);
	return path;
}

void run_cleanup(void)
{
	char command[PATH_MAX];

	snprintf(command, sizeof(command), "rm -rf '%s'", path_tmp());
	if (system(command))
		fprintf(stderr, "cannot remove %s\n", path_tmp());
}

static char *slurp(const char *path)
{
	char *text = NULL;
	size_t len = 0, size = 0;
	FILE *file = fopen(path, "r");

	ck_assert_ptr_nonnull(file);
	do {
		char *grown = realloc(text, size += 65536);

		ck_assert_ptr_nonnull(grown);
		text = grown;
		len += fread(text + len, 1, size - len - 1, file);
	} while (len == size - 1);
	text[len] = 0;
	fclose(file);
	return text;
}

static void spill(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

void run_program(struct run *run, const char *input, const char *const argv[])
{
	const char *in = input ? tmp_file("stdin") : "/dev/null";
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int status, err;

	memset(run, 0, sizeof(*run));
	if (input)
		spill(in, input);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, in, O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, tmp_file("stdout"),
					 O_CREAT | O_TRUNC | O_WRONLY, 0600);
	posix_spawn_file_actions_addopen(&actions, 2, tmp_file("stderr"),
					 O_CREAT | O_TRUNC | O_WRONLY, 0600);
	err = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	ck_assert_msg(err == 0, "cannot start %s: %s", argv[0], strerror(err));
	posix_spawn_file_actions_destroy(&actions);
	while (waitpid(pid, &status, 0) < 0)
		ck_assert_int_eq(errno, EINTR);
	run->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	run->out = slurp(tmp_file("stdout"));
	run->err = slurp(tmp_file("stderr"));
}

const char *track_or(const char *usual)
{
	const char *track = getenv("VMM_TRACK");

	return track ? track : usual;
}

static bool is_off(const char *parameter)
{
	FILE *file = fopen(parameter, "r");
	int value = file ? fgetc(file) : EOF;

	if (file)
		fclose(file);
	return value == 'N' || value == '0';
}

bool on_shadow_mmu(void)
{
	return is_off("/sys/module/kvm_amd/parameters/npt") ||
	       is_off("/sys/module/kvm_intel/parameters/ept");
}

bool track_is(const char *track)
{
	return !strcmp(track_or("dirty"), track);
}

void run_vmm(struct run *run, const char *input, const char *const args[])
{
	const char *argv[MAX_ARGS] = {path_vmm(), "--stats", tmp_file("stats.json"), "--timeout",
				      "100",      "--track", track_or("dirty")};
	size_t n = 7;

	for (size_t i = 0; args[i]; i++) {
		ck_assert_uint_lt(n, MAX_ARGS - 1);
		argv[n++] = args[i];
	}
	unlink(tmp_file("stats.json"));
	run_program(run, input, argv);
	run->stats = json_load_file(tmp_file("stats.json"), 0, NULL);
}

void run_free(struct run *run)
{
	free(run->out);
	free(run->err);
	json_decref(run->stats);
	memset(run, 0, sizeof(*run));
}

int64_t stat_of(const struct run *run, const char *path)
{
	char copy[128], *save = NULL;
	json_t *at = run->stats;

	ck_assert_msg(at != NULL, "no statistics were written\n%s%s", run->out, run->err);
	snprintf(copy, sizeof(copy), "%s", path);
	for (char *word = strtok_r(copy, ".", &save); word; word = strtok_r(NULL, ".", &save))
		at = json_object_get(at, word);
	ck_assert_msg(json_is_integer(at), "no number %s in the statistics", path);
	return json_integer_value(at);
}

/* Of a message longer than 8 KiB Check tells nothing at all. */
static const char *end_of(const char *text)
{
	size_t len = strlen(text);

	return text + (len > SAID_MAX ? len - SAID_MAX : 0);
}

void expect_status(const struct run *run, int status)
{
	ck_assert_msg(run->status == status,
		      "ended with %d, not %d\n--- stdout\n%s\n--- stderr\n%s", run->status, status,
		      end_of(run->out), end_of(run->err));
}

void expect_contains(const char *text, const char *part)
{
	ck_assert_msg(strstr(text, part) != NULL, "\"%.*s\" is not in:\n%s", SAID_MAX, part,
		      end_of(text));
}

void expect_one_sentence(const struct run *run, const char *part)
{
	const char *end = strchr(run->err, '\n');

	ck_assert_msg(!strncmp(run->err, "vmm: ", 5) && end && end[1] == 0,
		      "not one sentence: \"%s\"", run->err);
	expect_contains(run->err, part);
}
