/* SPDX-License-Identifier: MIT */
#include "boot/symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
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
#include "installed.h"
#include "sorted.h"

#define PART_MAX 71 /* of a name: two of them, a line number and what is between them fit */

struct symbols {
	void *answer; /* header, rows and text are in it; NULL: they are in the image */
	const struct symbols_row *rows;
	uint32_t nr, text_size;
	const char *text;
};

/* --- the answer ------------------------------------------------------------------------------- */

/* Checks how large its parts are; rows and text are checked when they are used. */
static struct symbols *open_answer(const char *answer, size_t size)
{
	struct symbols_header header;
	struct symbols *symbols;
	const char *text;

	if (size < sizeof(header) || (uintptr_t)answer % _Alignof(struct symbols_row))
		return NULL;
	memcpy(&header, answer, sizeof(header));
	if (header.magic != SYMBOLS_MAGIC || header.nr_rows > SYMBOLS_MAX_ROWS ||
	    !header.text_size || header.text_size > SYMBOLS_MAX_TEXT ||
	    size != sizeof(header) + header.nr_rows * sizeof(struct symbols_row) + header.text_size)
		return NULL;
	text = answer + size - header.text_size;
	symbols = text[0] || text[header.text_size - 1] ? NULL : malloc(sizeof(*symbols));
	if (symbols)
		*symbols = (struct symbols){.rows = (const void *)(answer + sizeof(header)),
					    .nr = header.nr_rows,
					    .text = text,
					    .text_size = header.text_size};
	return symbols;
}

struct symbols *symbols_check(void *answer, size_t size)
{
	struct symbols *symbols = open_answer(answer, size);

	if (symbols)
		symbols->answer = answer;
	else
		free(answer);
	return symbols;
}

/* --- vmm-lines -------------------------------------------------------------------------------- */

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
	char path[PATH_MAX], *const argv[] = {path, NULL}, *const env[] = {NULL};
	posix_spawn_file_actions_t actions;
	pid_t pid;

	if (!installed_program("vmm-lines", path) || posix_spawn_file_actions_init(&actions))
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
	struct symbols *own = symbols_of_section(image);
	int fd = own ? -1 : copy_image(image);
	void *answer;
	size_t size;

	if (fd < 0)
		return own;
	answer = ask_lines(fd, &size);
	close(fd);
	return answer ? symbols_check(answer, size) : NULL;
}

/* --- the section ------------------------------------------------------------------------------ */

/* Returns its content, which is part of the image, or NULL. */
static const Elf_Data *find_section(Elf *elf)
{
	Elf_Scn *section = NULL;
	const char *name;
	GElf_Shdr shdr;
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return NULL;
	while ((section = elf_nextscn(elf, section)))
		if (gelf_getshdr(section, &shdr) && (name = elf_strptr(elf, names, shdr.sh_name)) &&
		    !strcmp(name, SYMBOLS_SECTION))
			return elf_rawdata(section, NULL);
	return NULL;
}

struct symbols *symbols_of_section(const struct image *image)
{
	Elf *elf = elf_version(EV_CURRENT) ? elf_memory(image->file, image->size) : NULL;
	const Elf_Data *data = elf ? find_section(elf) : NULL;
	struct symbols *symbols = NULL;

	if (data && data->d_buf)
		symbols = open_answer(data->d_buf, data->d_size);
	elf_end(elf);
	return symbols;
}

/* --- names ------------------------------------------------------------------------------------ */

void symbols_free(struct symbols *symbols)
{
	if (symbols)
		free(symbols->answer);
	free(symbols);
}

/* Returns the last row at or below `addr`, or one of nothing. */
static struct symbols_row find_row(const struct symbols *symbols, uint64_t addr)
{
	size_t nr = symbols ? sorted_up_to(symbols->rows, symbols->nr, sizeof(*symbols->rows), addr)
			    : 0;

	return nr ? symbols->rows[nr - 1] : (struct symbols_row){0};
}

/* Copies a string of the text that fits, for messages and JSON: its characters are checked. Returns
 * "" for one that is not there. */
static const char *copy_text(const struct symbols *symbols, uint32_t index, char *to, size_t room)
{
	size_t len = 0;

	for (const char *from = symbols && index < symbols->text_size ? symbols->text + index : "";
	     *from && len + 1 < room; from++)
		to[len++] =
			*from < ' ' || *from > '~' || *from == '"' || *from == '\\' ? '?' : *from;
	to[len] = '\0';
	return to;
}

const char *symbols_caller(const struct symbols *symbols, uint64_t return_address,
			   char name[SYMBOLS_MAX_NAME])
{
	/* The call is right before it, and may be its function's last instruction. */
	struct symbols_row row = find_row(symbols, return_address - 1);
	char function[PART_MAX], file[PART_MAX];

	copy_text(symbols, row.function, function, sizeof(function));
	copy_text(symbols, row.file, file, sizeof(file));
	if (*function && *file)
		snprintf(name, SYMBOLS_MAX_NAME, "%s (%s:%u)", function, file, row.line);
	else if (*function)
		snprintf(name, SYMBOLS_MAX_NAME, "%s", function);
	else
		snprintf(name, SYMBOLS_MAX_NAME, "0x%llx", (unsigned long long)return_address);
	return name;
}
