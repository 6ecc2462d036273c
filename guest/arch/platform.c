/* SPDX-License-Identifier: MIT */
/* Keeps the description of the machine; pvh.c and fdt.c parse it. */
#include "platform.h"

#include <string.h>

#include "console.h"
#include "panic.h"
#include "pgtable.h"
#include "pvh.h"

#define PC_LOW_END 0x100000ul

struct platform platform;

static void insert_range(struct phys_range *ranges, unsigned *nr, struct phys_range r)
{
	unsigned at = 0;

	while (at < *nr && ranges[at].end < r.start)
		at++;
	while (at < *nr && ranges[at].start <= r.end) { /* overlaps or touches: merge */
		r.start = r.start < ranges[at].start ? r.start : ranges[at].start;
		r.end = r.end > ranges[at].end ? r.end : ranges[at].end;
		memmove(&ranges[at], &ranges[at + 1], (--*nr - at) * sizeof(r));
	}
	if (*nr == PLATFORM_RANGES)
		panic("the memory map has more than %u ranges", PLATFORM_RANGES);
	memmove(&ranges[at + 1], &ranges[at], ((*nr)++ - at) * sizeof(r));
	ranges[at] = r;
}

static uint64_t range_end(uint64_t start, uint64_t size)
{
	uint64_t end;

	if (__builtin_add_overflow(start, size, &end) || end > PTE_ADDR)
		panic("memory range %#lx + %#lx does not fit into the address space", start, size);
	return end;
}

void platform_add_memory(struct platform *to, uint64_t start, uint64_t size)
{
	struct phys_range r = {(start + PAGE_SIZE - 1) & -PAGE_SIZE,
			       range_end(start, size) & -PAGE_SIZE};

	if (r.start < r.end)
		insert_range(to->memory, &to->nr_memory, r);
}

void platform_add_reserved(struct platform *to, uint64_t start, uint64_t size)
{
	struct phys_range r = {start & -PAGE_SIZE,
			       (range_end(start, size) + PAGE_SIZE - 1) & -PAGE_SIZE};

	if (r.start < r.end)
		insert_range(to->reserved, &to->nr_reserved, r);
}

void platform_set_bootargs(struct platform *to, const char *words, uint64_t max_len)
{
	uint64_t len = strnlen(words, max_len);

	if (len >= sizeof(to->bootargs))
		panic("boot arguments longer than %zu bytes", sizeof(to->bootargs) - 1);
	memcpy(to->bootargs, words, len);
	to->bootargs[len] = '\0';
}

void platform_init(uint64_t start_info_gpa)
{
	pvh_parse(start_info_gpa, &platform);
	if (!platform.nr_memory)
		panic("the machine has no memory");
	/* The boot protocol, the trampoline and the shared pages lie in low memory. */
	platform_add_reserved(&platform, 0, PC_LOW_END);
	console_set_port(platform.console_port);
}
