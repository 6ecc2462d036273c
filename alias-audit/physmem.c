/* SPDX-License-Identifier: MIT */
#include "physmem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "room.h"
#include "sorted.h"

#define GPA_MAX (1ull << 47)
#define CHUNK   (1u << 20) /* bytes that a scan reads at once */

void physmem_init(struct physmem *mem, const struct physmem_ops *ops, void *source)
{
	uint64_t seed = 0;

	/* Without one the map is merely one whose slots a guest could foresee. */
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) < 0)
		seed = 0;
	*mem = (struct physmem){.ops = ops, .source = source};
	map_init(&mem->copies, seed);
}

void physmem_refresh(struct physmem *mem)
{
	uint64_t pfn, copy;
	size_t at = 0;

	while (map_next(&mem->copies, &at, &pfn, &copy))
		free((void *)(uintptr_t)copy);
	map_clear(&mem->copies);
	mem->unreadable = 0;
	mem->scanned = mem->scanned_end = 0;
	mem->exhausted = false;
}

void physmem_free(struct physmem *mem)
{
	physmem_refresh(mem);
	free(mem->ranges);
	mem->ranges = NULL;
	mem->nr_ranges = 0;
}

/* Returns 0, or a negated errno. */
static int add_range(struct physmem *mem, const struct physmem_range *range)
{
	struct physmem_range *ranges;

	if (mem->nr_ranges == PHYSMEM_RANGES_MAX)
		return -E2BIG;
	ranges = room_for_one(mem->ranges, mem->nr_ranges, sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	mem->ranges = ranges;
	mem->ranges[mem->nr_ranges++] = *range;
	return 0;
}

int physmem_add(struct physmem *mem, uint64_t gpa, uint64_t size)
{
	struct physmem_range *last = mem->nr_ranges ? &mem->ranges[mem->nr_ranges - 1] : NULL;
	uint64_t end, start;
	int error = 0;

	if (gpa > GPA_MAX || size > GPA_MAX - gpa)
		return -ERANGE;
	start = (gpa + FRAME_SIZE - 1) & -(uint64_t)FRAME_SIZE;
	end = (gpa + size) & -(uint64_t)FRAME_SIZE;
	if (end <= start)
		return 0;
	if (last && start < last->gpa + last->size)
		return -EINVAL;
	if (last && start == last->gpa + last->size)
		last->size += end - start;
	else
		error = add_range(mem, &(struct physmem_range){start, end - start, mem->size});
	if (error)
		return error;
	mem->size += end - start;
	mem->frames = end >> FRAME_SHIFT;
	return 0;
}

/* The first range that ends after `gpa`, or the number of ranges. */
static size_t range_after(const struct physmem *mem, uint64_t gpa)
{
	size_t nr = sorted_up_to(mem->ranges, mem->nr_ranges, sizeof(*mem->ranges), gpa);
	bool in_last = nr && gpa - mem->ranges[nr - 1].gpa < mem->ranges[nr - 1].size;

	return nr - in_last;
}

bool physmem_has(const struct physmem *mem, uint64_t pfn)
{
	uint64_t gpa = pfn << FRAME_SHIFT;
	size_t i;

	if (pfn >= mem->frames)
		return false;
	i = range_after(mem, gpa);
	return i < mem->nr_ranges && mem->ranges[i].gpa <= gpa;
}

/* Bytes of memory below `gpa`. */
static uint64_t bytes_below(const struct physmem *mem, uint64_t gpa)
{
	size_t i = range_after(mem, gpa);

	if (i == mem->nr_ranges)
		return mem->size;
	if (gpa <= mem->ranges[i].gpa)
		return mem->ranges[i].before;
	return mem->ranges[i].before + (gpa - mem->ranges[i].gpa);
}

uint64_t physmem_count(const struct physmem *mem, uint64_t pfn, uint64_t nr)
{
	uint64_t start = pfn << FRAME_SHIFT, end = (pfn + nr) << FRAME_SHIFT;

	return (bytes_below(mem, end) - bytes_below(mem, start)) >> FRAME_SHIFT;
}

/* Reads a frame whole, or makes it zeros. */
static void read_frame(struct physmem *mem, uint64_t pfn, void *to)
{
	if (mem->ops->read(mem->source, pfn << FRAME_SHIFT, to, FRAME_SIZE) == FRAME_SIZE)
		return;
	memset(to, 0, FRAME_SIZE);
	/* Unless it was counted before. */
	if (!map_find(&mem->copies, pfn) && (pfn < mem->scanned || pfn >= mem->scanned_end))
		mem->unreadable++;
}

const uint64_t *physmem_table(struct physmem *mem, uint64_t pfn)
{
	struct map_slot *slot = map_find(&mem->copies, pfn);
	void *copy;

	if (slot)
		return (const uint64_t *)(uintptr_t)slot->value;
	if (!physmem_has(mem, pfn))
		return NULL;
	copy = malloc(FRAME_SIZE);
	if (copy)
		read_frame(mem, pfn, copy);
	if (!copy || !map_put(&mem->copies, pfn, (uintptr_t)copy)) {
		free(copy);
		mem->exhausted = true;
		return NULL;
	}
	return copy;
}

const uint64_t *physmem_frame(struct physmem *mem, uint64_t pfn)
{
	if (!mem->ops->frame)
		return physmem_table(mem, pfn);
	return physmem_has(mem, pfn) ? mem->ops->frame(mem->source, pfn) : NULL;
}

/* Looks at the frames of [gpa, gpa + size) where they are. Returns false at the end of the scan. */
static bool scan_in_place(struct physmem *mem, uint64_t gpa, uint64_t size, physmem_visit *visit,
			  void *ctx)
{
	for (uint64_t pfn = gpa >> FRAME_SHIFT; pfn < (gpa + size) >> FRAME_SHIFT; pfn++)
		if (!visit(ctx, pfn, mem->ops->frame(mem->source, pfn)))
			return false;
	return true;
}

/* The same for what the buffer has room for. */
static bool scan_chunk(struct physmem *mem, uint64_t gpa, size_t size, uint8_t *buffer,
		       physmem_visit *visit, void *ctx)
{
	size_t got = mem->ops->read(mem->source, gpa, buffer, size) & -(size_t)FRAME_SIZE;

	for (size_t at = got; at < size; at += FRAME_SIZE)
		read_frame(mem, (gpa + at) >> FRAME_SHIFT, buffer + at);
	mem->scanned_end = (gpa + size) >> FRAME_SHIFT;
	for (size_t at = 0; at < size; at += FRAME_SIZE)
		if (!visit(ctx, (gpa + at) >> FRAME_SHIFT, (const uint64_t *)(buffer + at)))
			return false;
	return true;
}

static bool scan_range(struct physmem *mem, uint64_t gpa, uint64_t end, uint8_t *buffer,
		       physmem_visit *visit, void *ctx)
{
	while (gpa < end) {
		uint64_t data_end = end, size;

		if (mem->ops->next_data)
			gpa = mem->ops->next_data(mem->source, gpa, &data_end) &
			      -(uint64_t)FRAME_SIZE;
		size = ((data_end + FRAME_SIZE - 1) & -(uint64_t)FRAME_SIZE) - gpa;
		size = buffer && size > CHUNK ? CHUNK : size;
		if (buffer ? !scan_chunk(mem, gpa, size, buffer, visit, ctx)
			   : !scan_in_place(mem, gpa, size, visit, ctx))
			return false;
		gpa += size;
	}
	return true;
}

int physmem_scan(struct physmem *mem, uint64_t from, uint64_t to, physmem_visit *visit, void *ctx)
{
	uint64_t gpa, end;
	uint8_t *buffer = mem->ops->frame ? NULL : aligned_alloc(FRAME_SIZE, CHUNK);

	if (!buffer && !mem->ops->frame)
		return -ENOMEM;
	to = to < mem->frames ? to : mem->frames;
	mem->scanned = mem->scanned_end = from;
	for (size_t i = range_after(mem, from << FRAME_SHIFT); i < mem->nr_ranges; i++) {
		gpa = mem->ranges[i].gpa;
		end = gpa + mem->ranges[i].size;
		gpa = gpa > from << FRAME_SHIFT ? gpa : from << FRAME_SHIFT;
		end = end < to << FRAME_SHIFT ? end : to << FRAME_SHIFT;
		if (gpa >= end || !scan_range(mem, gpa, end, buffer, visit, ctx))
			break;
	}
	free(buffer);
	return 0;
}
