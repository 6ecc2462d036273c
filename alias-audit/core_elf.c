/* SPDX-License-Identifier: MIT */
#include "core_elf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <gelf.h>
#include "file_data.h"
#include "room.h"
#include "sorted.h"

struct reading {
	int fd;
	uint64_t file_size;
	uint64_t end; /* where the file should end */
	struct core_segments *segments;
	struct core_cpus *cpus;
	struct notes *doubts;
};

static uint64_t offset_of(uint64_t number)
{
	return number < INT64_MAX ? number : INT64_MAX;
}

/* Returns 0, or -ENOMEM. */
static int add_segment(struct core_segments *segments, const struct core_segment *segment)
{
	struct core_segment *all = room_for_one(segments->segment, segments->nr, sizeof(*all));

	if (!all)
		return -ENOMEM;
	segments->segment = all;
	segments->segment[segments->nr++] = *segment;
	return 0;
}

/* Of memory. Returns 0, or -ENOMEM. */
static int take_segment(struct reading *reading, const GElf_Phdr *phdr)
{
	struct core_segments *segments = reading->segments;
	uint64_t offset = offset_of(phdr->p_offset), size = offset_of(phdr->p_filesz);
	uint64_t left = offset < reading->file_size ? reading->file_size - offset : 0;

	if (size && offset + size > reading->end)
		reading->end = offset + size;
	if (!size)
		return 0;
	if (phdr->p_paddr > UINT64_MAX - size) {
		segments->known = false;
		return 0;
	}
	return add_segment(segments, &(struct core_segment){.gpa = phdr->p_paddr,
							    .size = size,
							    .offset = offset,
							    .in_file = size < left ? size : left});
}

static int compare_segments(const void *a, const void *b)
{
	const struct core_segment *one = a, *other = b;

	return (one->gpa > other->gpa) - (one->gpa < other->gpa);
}

static void sort_segments(struct core_segments *segments)
{
	uint64_t all_end = 0;

	if (segments->nr)
		qsort(segments->segment, segments->nr, sizeof(*segments->segment),
		      compare_segments);
	for (size_t i = 0; i < segments->nr; i++) {
		struct core_segment *segment = &segments->segment[i];
		uint64_t end = segment->gpa + segment->in_file;

		all_end = end > all_end ? end : all_end;
		segment->all_end = all_end;
	}
}

/* Returns 0, or -ENOMEM. */
static int take_headers(struct reading *reading, Elf *elf)
{
	size_t nr = 0;
	int error = 0;

	reading->segments->known = elf && !elf_getphdrnum(elf, &nr);
	if (!reading->segments->known)
		note(reading->doubts, "the program headers of the core can't be read");
	for (size_t i = 0; !error && i < nr; i++) {
		GElf_Phdr phdr;

		if (!gelf_getphdr(elf, (int)i, &phdr)) {
			note(reading->doubts,
			     "the program headers of the core can't be read whole");
			reading->segments->known = false;
			break;
		}
		if (phdr.p_type == PT_LOAD)
			error = take_segment(reading, &phdr);
		else if (phdr.p_type == PT_NOTE)
			error = core_notes_read(reading->cpus, reading->fd, phdr.p_offset,
						phdr.p_filesz, reading->doubts);
	}
	return error;
}

/* In KiB, rounded up. */
static uint64_t whole_kib(uint64_t bytes)
{
	return (bytes >> 10) + !!(bytes & 1023);
}

int core_elf_read(int fd, struct core_segments *segments, struct core_cpus *cpus,
		  struct notes *doubts)
{
	Elf *elf = elf_version(EV_CURRENT) == EV_NONE ? NULL : elf_begin(fd, ELF_C_READ, NULL);
	struct reading reading = {.fd = fd, .segments = segments, .cpus = cpus, .doubts = doubts};
	struct stat st;
	int error;

	*segments = (struct core_segments){0};
	if (!fstat(fd, &st))
		reading.file_size = (uint64_t)st.st_size;
	error = take_headers(&reading, elf);
	elf_end(elf);
	sort_segments(segments);
	if (reading.end > reading.file_size)
		note(doubts,
		     "the core is cut: the last %" PRIu64 " KiB of %" PRIu64 " are missing, and "
		     "were taken for zeros",
		     whole_kib(reading.end - reading.file_size), whole_kib(reading.end));
	return error;
}

int core_elf_ranges(const struct core_segments *segments, struct physmem *mem)
{
	uint64_t end;
	size_t i = 0;
	int error = 0;

	while (!error && i < segments->nr) {
		const struct core_segment *first = &segments->segment[i];

		end = first->gpa + first->size;
		for (i++; i < segments->nr && segments->segment[i].gpa <= end; i++) {
			uint64_t next = segments->segment[i].gpa + segments->segment[i].size;

			end = next > end ? next : end;
		}
		error = physmem_add(mem, first->gpa, end - first->gpa);
	}
	return error;
}

void core_segments_free(struct core_segments *segments)
{
	free(segments->segment);
	*segments = (struct core_segments){0};
}

/* Of one segment, which begins before `end` and ends after `gpa`. */
static uint64_t next_of(const struct core_segment *segment, int fd, uint64_t gpa, uint64_t end)
{
	uint64_t from = gpa > segment->gpa ? gpa - segment->gpa : 0;
	uint64_t data =
		file_next_data(fd, segment->offset + from, segment->offset + segment->in_file);

	data -= segment->offset;
	return data < segment->in_file ? segment->gpa + data : end;
}

uint64_t core_elf_next_data(const struct core_segments *segments, int fd, uint64_t gpa,
			    uint64_t end)
{
	size_t i;

	if (!segments->known)
		return gpa;
	i = sorted_up_to(segments->segment, segments->nr, sizeof(*segments->segment), gpa);
	for (; i < segments->nr && segments->segment[i].gpa < end; i++) {
		const struct core_segment *segment = &segments->segment[i];
		uint64_t next;

		if (segment->gpa + segment->in_file <= gpa)
			continue;
		next = next_of(segment, fd, gpa, end);
		end = next < end ? next : end;
	}
	return end;
}
