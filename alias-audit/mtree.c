/* SPDX-License-Identifier: MIT */
#include "mtree.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Copies the line at `text`, as much of it as there is room for, without a carriage return. Returns
 * the start of the next one, or NULL after the last. */
static const char *next_line(const char *text, char *line, size_t size)
{
	const char *end = strchrnul(text, '\n');
	size_t len = (size_t)(end - text);

	len = len < size ? len : size - 1;
	memcpy(line, text, len);
	line[len] = '\0';
	line[strcspn(line, "\r")] = '\0';
	return *end ? end + 1 : NULL;
}

/* The name of a region, which may have blanks, and ends before " @OFFSET", " KVM" or the line. */
static void take_region(struct mtree_range *range, const char *rest)
{
	const char *at = strstr(rest, " @");
	size_t len = at ? (size_t)(at - rest) : strlen(rest);

	if (at)
		range->offset = strtoull(at + 2, NULL, 16);
	else if (len > 4 && !strcmp(rest + len - 4, " KVM"))
		len -= 4;
	len = len < sizeof(range->region) ? len : sizeof(range->region) - 1;
	memcpy(range->region, rest, len);
	range->region[len] = '\0';
}

/* A line "  0000000000100000-000000001fffffff (prio 0, ram): pc.ram @0000000000100000". */
static bool take_range(const char *line, struct mtree_range *range)
{
	uint64_t last;
	char kind[16];
	int at = 0;

	*range = (struct mtree_range){0};
	if (sscanf(line, " %" SCNx64 "-%" SCNx64 " (prio %*d, %15[a-z/]): %n", &range->gpa, &last,
		   kind, &at) != 3 ||
	    !at || last < range->gpa || last == UINT64_MAX ||
	    (strcmp(kind, "ram") && strcmp(kind, "rom")))
		return false;
	range->size = last - range->gpa + 1;
	take_region(range, line + at);
	return true;
}

size_t mtree_parse(const char *text, struct mtree_range *ranges, size_t max)
{
	char line[256];
	bool is_system = false;
	size_t nr = 0;

	while (text && nr < max) {
		text = next_line(text, line, sizeof(line));
		if (!strncmp(line, "FlatView ", 9)) {
			if (is_system && nr)
				break;
			is_system = false;
		} else if (!strncmp(line, " AS \"memory\",", 13)) {
			is_system = true;
		} else if (is_system && take_range(line, &ranges[nr])) {
			nr++;
		}
	}
	return nr;
}

static bool register_of(const char *line, const char *name, uint64_t *value)
{
	const char *at = strstr(line, name);
	char *end;

	if (!at)
		return false;
	at += strlen(name);
	*value = strtoull(at, &end, 16);
	return end != at;
}

size_t registers_parse(const char *text, struct cpu_state *cpus, size_t max)
{
	char line[256];
	size_t nr = 0;
	struct cpu_state cpu = {0};

	while (text && nr < max) {
		text = next_line(text, line, sizeof(line));
		if (register_of(line, "CR0=", &cpu.cr0) && register_of(line, "CR3=", &cpu.cr3) &&
		    register_of(line, "CR4=", &cpu.cr4))
			cpus[nr++] = cpu;
		else if (nr && register_of(line, "EFER=", &cpu.efer)) {
			cpus[nr - 1].efer = cpu.efer;
			cpus[nr - 1].knows_efer = true;
		}
	}
	return nr;
}
