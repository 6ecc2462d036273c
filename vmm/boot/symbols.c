/* SPDX-License-Identifier: MIT */
#include "boot/symbols.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "boot/image.h"
#include "sorted.h"

struct symbols {
	void *answer; /* header, rows and text are in it */
	const struct symbols_row *rows;
	uint32_t nr;
	const char *text;
};

/* --- vmm-lines -------------------------------------------------------------------------------- */

static bool lines_path(char path[PATH_MAX + sizeof("-lines")])
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX);

	if (len <= 0 || len == PATH_MAX)
		return false;
	strcpy(path + len, "-lines");
	return true;
}

/* Returns a file in memory with the image's content, or -1. */
static int copy_image(const struct image *image)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, image->file, image->size) == (ssize_t)image->size)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Standard input is the image, standard output the pipe's end. Returns its pid, or -1. */
static pid_t start_lines(int image, int out)
{
	char path[PATH_MAX + sizeof("-lines")], *const argv[] = {path, NULL}, *const env[] = {NULL};
	posix_spawn_file_actions_t actions;
	pid_t pid;

	if (!lines_path(path) || posix_spawn_file_actions_init(&actions))
		return -1;
	if (posix_spawn_file_actions_adddup2(&actions, image, STDIN_FILENO) ||
	    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO) ||
	    posix_spawn(&pid, path, &actions, NULL, argv, env))
		pid = -1;
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

/* Reads until the end. Returns what was read, or NULL. */
static void *read_all(int fd, size_t *size)
{
	const size_t max = sizeof(struct symbols_header) + SYMBOLS_MAX_TEXT +
			   SYMBOLS_MAX_ROWS * sizeof(struct symbols_row);
	size_t room = 1 << 16;
	char *data = malloc(room);
	ssize_t n = 0;

	for (*size = 0; data; *size += (size_t)n) {
		char *more;

		n = TEMP_FAILURE_RETRY(read(fd, data + *size, room - *size));
		if (n <= 0)
			break;
		if (*size + (size_t)n < room)
			continue;
		more = room < max ? realloc(data, room *= 2) : NULL;
		if (!more)
			break;
		data = more;
	}
	if (data && n == 0)
		return data;
	free(data);
	return NULL;
}

/* Returns vmm-lines' answer, or NULL. */
static void *ask_lines(int image, size_t *size)
{
	void *answer = NULL;
	int ends[2], status;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return NULL;
	pid = start_lines(image, ends[1]);
	close(ends[1]);
	if (pid > 0)
		answer = read_all(ends[0], size);
	close(ends[0]);
	if (pid <= 0 ||
	    (TEMP_FAILURE_RETRY(waitpid(pid, &status, 0)) == pid && status == 0 && answer))
		return answer;
	free(answer);
	return NULL;
}

struct symbols *symbols_read(const struct image *image)
{
	int fd = copy_image(image);
	void *answer;
	size_t size;

	if (fd < 0)
		return NULL;
	answer = ask_lines(fd, &size);
	close(fd);
	return answer ? symbols_check(answer, size) : NULL;
}

/* --- the answer ------------------------------------------------------------------------------- */

static bool is_answer(const char *answer, size_t size)
{
	struct symbols_header header;
	const struct symbols_row *rows = (const void *)(answer + sizeof(header));
	const char *text;

	if (size < sizeof(header))
		return false;
	memcpy(&header, answer, sizeof(header));
	if (header.magic != SYMBOLS_MAGIC || header.nr_rows > SYMBOLS_MAX_ROWS ||
	    !header.text_size || header.text_size > SYMBOLS_MAX_TEXT ||
	    size != sizeof(header) + header.nr_rows * sizeof(*rows) + header.text_size)
		return false;
	text = (const char *)(rows + header.nr_rows);
	for (uint32_t i = 0; i < header.text_size; i++)
		if (text[i] && (!isprint((unsigned char)text[i]) || strchr("\"\\", text[i])))
			return false;
	for (uint32_t i = 0; i < header.nr_rows; i++)
		if (rows[i].function >= header.text_size || rows[i].file >= header.text_size ||
		    (i && rows[i].addr <= rows[i - 1].addr))
			return false;
	return !text[0] && !text[header.text_size - 1];
}

struct symbols *symbols_check(void *answer, size_t size)
{
	struct symbols *symbols = is_answer(answer, size) ? malloc(sizeof(*symbols)) : NULL;
	struct symbols_header header;

	if (!symbols) {
		free(answer);
		return NULL;
	}
	memcpy(&header, answer, sizeof(header));
	symbols->answer = answer;
	symbols->rows = (const void *)((char *)answer + sizeof(header));
	symbols->nr = header.nr_rows;
	symbols->text = (const char *)(symbols->rows + header.nr_rows);
	return symbols;
}

void symbols_free(struct symbols *symbols)
{
	if (symbols)
		free(symbols->answer);
	free(symbols);
}

/* Returns the last row at or below `addr`, or NULL. */
static const struct symbols_row *find_row(const struct symbols *symbols, uint64_t addr)
{
	size_t nr = sorted_up_to(symbols->rows, symbols->nr, sizeof(*symbols->rows), addr);

	return nr ? &symbols->rows[nr - 1] : NULL;
}

const char *symbols_caller(const struct symbols *symbols, uint64_t return_address,
			   char name[SYMBOLS_MAX_NAME])
{
	/* The call is right before it, and may be its function's last instruction. */
	const struct symbols_row *row = symbols ? find_row(symbols, return_address - 1) : NULL;
	const char *function = row ? symbols->text + row->function : "";
	const char *file = row ? symbols->text + row->file : "";

	if (*function && *file)
		snprintf(name, SYMBOLS_MAX_NAME, "%.70s (%.70s:%u)", function, file, row->line);
	else if (*function)
		snprintf(name, SYMBOLS_MAX_NAME, "%.120s", function);
	else
		snprintf(name, SYMBOLS_MAX_NAME, "0x%llx", (unsigned long long)return_address);
	return name;
}
