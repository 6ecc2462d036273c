/* SPDX-License-Identifier: MIT */
#include "names.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "room.h"
#include "say.h"
#include "sorted.h"

#define LINES_MAX (2u << 20) /* a file may have no end */
#define MIB_2     (2ull << 20)
#define PAGE      4096u

struct name {
	uint64_t address;
	/* VMCOREINFO has few names: the next one above says nothing of where this one ends. */
	bool is_sparse;
	char *text;
};

struct names {
	struct name *all; /* ascending */
	size_t nr;
	const struct name *text; /* where the image begins; NULL: not told */
	uint64_t moved;          /* by KASLR */
	bool placed;
	uint64_t low, high; /* of the image; others have no names here */
};

void names_free(struct names *names)
{
	if (!names)
		return;
	for (size_t i = 0; i < names->nr; i++)
		free(names->all[i].text);
	free(names->all);
	free(names);
}

static int compare_names(const void *a, const void *b)
{
	const struct name *one = a, *other = b;

	return (one->address > other->address) - (one->address < other->address);
}

static int add_name(struct names *names, uint64_t address, const char *text, bool is_sparse)
{
	struct name *all = room_for_one(names->all, names->nr, sizeof(*all));
	char *copy;

	if (!all)
		return -ENOMEM;
	names->all = all;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	names->all[names->nr] = (struct name){.address = address, .is_sparse = is_sparse};
	names->all[names->nr++].text = copy;
	return 0;
}

/* May it be printed as it is? The file may come from the guest. */
static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

/* Takes a line "ffffffff81000000 T _text", or of VMCOREINFO "SYMBOL(_stext)=ffffffff81000000".
 * Others, and percpu variables near 0, are passed over. */
static int take_line(struct names *names, const char *line)
{
	uint64_t address;
	char type, text[128];
	bool is_sparse = sscanf(line, "SYMBOL(%127[^)])=%" SCNx64, text, &address) == 2;

	if ((!is_sparse && sscanf(line, "%" SCNx64 " %c %127s", &address, &type, text) != 3) ||
	    address < 1ull << 63 || !is_plain(text))
		return 0;
	return add_name(names, address, text, is_sparse);
}

static const struct name *find_name(const struct names *names, const char *text)
{
	for (size_t i = 0; i < names->nr; i++)
		if (!strcmp(names->all[i].text, text))
			return &names->all[i];
	return NULL;
}

static int read_lines(struct names *names, FILE *file)
{
	char line[256];
	int error = 0;

	/* A line that begins with a zero is no text. */
	for (size_t nr = 0; !error && fgets(line, sizeof(line), file) && *line; nr++)
		error = nr < LINES_MAX ? take_line(names, line) : -EIO;
	if (!error && ferror(file))
		error = -EIO;
	if (names->nr)
		qsort(names->all, names->nr, sizeof(*names->all), compare_names);
	names->text = find_name(names, "_text");
	/* VMCOREINFO has the other name of the same place. */
	names->text = names->text ? names->text : find_name(names, "_stext");
	return error;
}

struct names *names_read(const char *path, int *error)
{
	struct names *names = calloc(1, sizeof(*names));
	FILE *file = fopen(path, "re");
	int read_error = file && names ? read_lines(names, file) : 0;

	*error = 0;
	if (!file) {
		say_errno("%s", path);
		*error = -ENOENT;
	} else if (!names || read_error == -ENOMEM) {
		say("out of memory");
		*error = -ENOMEM;
	} else if (read_error) {
		say("%s can't be read", path);
		*error = -ENOENT;
	} else if (!names->nr) {
		say("%s has no addresses of a kernel (System.map, or kallsyms as root sees it)",
		    path);
		*error = -EINVAL;
	}
	if (file)
		fclose(file);
	if (*error) {
		names_free(names);
		return NULL;
	}
	return names;
}

struct names *names_parse(const char *text, size_t size)
{
	struct names *names = calloc(1, sizeof(*names));
	FILE *file = size ? fmemopen((char *)(uintptr_t)text, size, "r") : NULL;
	bool failed = !names || !file || read_lines(names, file);

	if (file)
		fclose(file);
	if (!failed && names->nr)
		return names;
	names_free(names);
	return NULL;
}

void names_place(struct names *names, const struct windows *windows, struct notes *notes)
{
	const struct name *text = names->text;

	names->placed = false;
	if (!windows->image.found || !text) {
		note(notes, "addresses have no names: %s",
		     text ? "no kernel image was found" : "the names have no _text");
		return;
	}
	names->moved = windows->image_low - text->address;
	if (names->moved % MIB_2) {
		note(notes, "addresses have no names: the kernel's image is not where these names "
			    "may have been moved to");
		return;
	}
	names->low = windows->image.base;
	names->high = windows->image.base + windows->image.size;
	names->placed = true;
}

/* The last name that is not above the address, and the first of those that are the same. */
static const struct name *name_below(const struct names *names, uint64_t address)
{
	size_t nr = sorted_up_to(names->all, names->nr, sizeof(*names->all), address);

	if (!nr)
		return NULL;
	address = names->all[nr - 1].address;
	return &names->all[sorted_below(names->all, nr, sizeof(*names->all), address)];
}

const char *names_of(const struct names *names, uint64_t va, char *to, size_t size)
{
	const struct name *name;
	uint64_t past;

	to[0] = '\0';
	if (!names || !names->placed || va < names->low || va >= names->high)
		return to;
	name = name_below(names, va - names->moved);
	if (!name)
		return to;
	past = va - names->moved - name->address;
	if (name->is_sparse && past >= PAGE)
		return to;
	if (past)
		snprintf(to, size, "%s+0x%" PRIx64, name->text, past);
	else
		snprintf(to, size, "%s", name->text);
	return to;
}
