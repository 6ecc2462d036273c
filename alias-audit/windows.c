/* SPDX-License-Identifier: MIT */
#include "windows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include "entry.h"
#include "walk.h"

#define MIB_2     (2ull << 20)
#define GIB       (1ull << 30)
#define UPPER     (1ull << 63)
#define IMAGE_LOW 0xffffffff80000000ull /* of Linux's image, before KASLR, and of its modules */
#define IMAGE_END 0xffffffffff000000ull

/* Differences that are remembered. Most are those of single pages, and of no window. */
#define OFFSETS_MAX 65536u
/* A direct map maps at least this part of memory. */
#define DIRECT_PART 4u

/* An address less what it maps. */
struct offset {
	uint64_t value;
	uint64_t frames; /* of memory that are mapped so */
	uint64_t low, high;
};

struct offsets {
	const struct physmem *mem;
	struct map index; /* value -> index + 1 */
	struct offset *all;
	size_t nr;
	bool overflow;
};

static struct offset *offset_of(struct offsets *offsets, uint64_t value)
{
	struct map_slot *slot = map_find(&offsets->index, value);

	if (slot)
		return &offsets->all[slot->value - 1];
	if (offsets->nr == OFFSETS_MAX || !map_put(&offsets->index, value, offsets->nr + 1)) {
		offsets->overflow = true;
		return NULL;
	}
	offsets->all[offsets->nr] = (struct offset){.value = value, .low = UINT64_MAX};
	return &offsets->all[offsets->nr++];
}

static bool count_leaf(void *ctx, const struct walk_leaf *leaf)
{
	struct offsets *offsets = ctx;
	uint64_t size = 1ull << pte_shift(leaf->level);
	uint64_t frames =
		physmem_count(offsets->mem, leaf->gpa >> FRAME_SHIFT, size >> FRAME_SHIFT);
	struct offset *offset;

	if ((leaf->va - leaf->gpa) % MIB_2 || !frames)
		return true;
	offset = offset_of(offsets, leaf->va - leaf->gpa);
	if (!offset)
		return true;
	offset->frames += frames;
	offset->low = leaf->va < offset->low ? leaf->va : offset->low;
	offset->high = leaf->va + size - 1 > offset->high ? leaf->va + size - 1 : offset->high;
	return true;
}

static bool is_image(const struct offset *offset)
{
	return offset->low >= IMAGE_LOW && offset->high < IMAGE_END;
}

static void set_direct_map(struct windows *windows, const struct physmem *mem,
			   const struct offset *offset)
{
	uint64_t size = ((mem->frames << FRAME_SHIFT) + MIB_2 - 1) & -MIB_2;

	windows->direct_map = (struct window){.found = true, .base = offset->value, .size = size};
	windows->direct_frames = offset->frames;
}

static void set_image(struct windows *windows, const struct offset *offset)
{
	uint64_t base = offset->low & -MIB_2;

	windows->image = (struct window){.found = true,
					 .base = base,
					 .size = (offset->high | (MIB_2 - 1)) - base + 1,
					 .gpa = base - offset->value};
	windows->image_low = offset->low;
}

static void choose_windows(struct windows *windows, const struct offsets *offsets,
			   struct notes *notes)
{
	uint64_t memory = offsets->mem->size >> FRAME_SHIFT;
	const struct offset *direct = NULL, *image = NULL;

	for (size_t i = 0; i < offsets->nr; i++) {
		const struct offset *offset = &offsets->all[i];

		if (is_image(offset) && (!image || offset->frames > image->frames))
			image = offset;
		if (!is_image(offset) && offset->value % GIB == 0 && offset->value >= UPPER &&
		    (!direct || offset->frames > direct->frames))
			direct = offset;
	}
	if (direct && direct->frames >= memory / DIRECT_PART)
		set_direct_map(windows, offsets->mem, direct);
	else
		note(notes, "no direct map was found: its mappings are told as all others");
	if (image)
		set_image(windows, image);
	else
		note(notes, "no mapping of a kernel image was found in the upper 2 GiB");
	if (offsets->overflow)
		note(notes,
		     "the kernel's half has more than %u different mappings: windows may "
		     "have been missed",
		     OFFSETS_MAX);
}

int windows_find(struct windows *windows, struct physmem *mem, uint64_t root_pfn, unsigned levels,
		 struct notes *notes)
{
	struct offsets offsets = {.mem = mem};
	int error = -ENOMEM;

	*windows = (struct windows){0};
	map_init(&offsets.index, mem->copies.seed);
	offsets.all = malloc(OFFSETS_MAX * sizeof(*offsets.all));
	if (offsets.all)
		error = walk_leaves(mem, root_pfn, levels, KERNEL_HALF, ENTRIES, count_leaf,
				    &offsets);
	if (!error)
		choose_windows(windows, &offsets, notes);
	map_clear(&offsets.index);
	free(offsets.all);
	return error;
}

static bool is_in(const struct window *window, uint64_t va)
{
	return window->found && va - window->base < window->size;
}

enum place windows_place(const struct windows *windows, uint64_t va, bool user)
{
	if (va < UPPER)
		return user ? PLACE_USER : PLACE_SUPERVISOR;
	if (is_in(&windows->direct_map, va))
		return PLACE_DIRECT_MAP;
	if (is_in(&windows->image, va))
		return PLACE_IMAGE;
	if (va >= IMAGE_LOW)
		return PLACE_MODULES;
	if (va >= 0xffffffef00000000ull)
		return PLACE_EFI;
	if (va >= 0xffffff0000000000ull && va < 0xffffff8000000000ull)
		return PLACE_ESPFIX;
	if (va >= 0xfffffe0000000000ull && va < 0xfffffe8000000000ull)
		return PLACE_CPU_ENTRY;
	return PLACE_KERNEL;
}

static const struct {
	const char *name, *word;
} places[PLACES] = {
	[PLACE_USER] = {"user space", "user"},
	[PLACE_SUPERVISOR] = {"the kernel's mappings of low addresses", "supervisor-low"},
	[PLACE_DIRECT_MAP] = {"the direct map", "direct-map"},
	[PLACE_IMAGE] = {"the kernel image's window", "kernel-image"},
	[PLACE_MODULES] = {"modules, fixed mappings", "modules"},
	[PLACE_CPU_ENTRY] = {"CPU entry areas", "cpu-entry"},
	[PLACE_ESPFIX] = {"espfix stacks", "espfix"},
	[PLACE_EFI] = {"EFI's mappings", "efi"},
	[PLACE_KERNEL] = {"vmalloc or another part of the kernel's half", "kernel"},
};

const char *place_name(enum place place)
{
	return place < PLACES ? places[place].name : "nowhere known";
}

const char *place_word(enum place place)
{
	return place < PLACES ? places[place].word : "unknown";
}
