/* SPDX-License-Identifier: MIT */
#include "core_holes.h"

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>
#include <gelf.h>

static bool makes_sense(const GElf_Phdr *phdr)
{
	return phdr->p_filesz <= INT64_MAX && phdr->p_offset <= INT64_MAX - phdr->p_filesz &&
	       phdr->p_paddr <= INT64_MAX - phdr->p_filesz;
}

/* False: there are others than it takes. */
static bool take_segments(struct core_segments *segments, Elf *elf, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		GElf_Phdr phdr;

		if (!gelf_getphdr(elf, (int)i, &phdr) || !makes_sense(&phdr))
			return false;
		if (phdr.p_type != PT_LOAD || !phdr.p_filesz)
			continue;
		if (segments->nr == CORE_SEGMENTS_MAX)
			return false;
		segments->segment[segments->nr++] =
			(struct core_segment){phdr.p_paddr, phdr.p_filesz, phdr.p_offset};
	}
	return true;
}

void core_holes_read(struct core_segments *segments, int fd)
{
	Elf *elf = elf_version(EV_CURRENT) == EV_NONE ? NULL : elf_begin(fd, ELF_C_READ, NULL);
	size_t nr;

	segments->nr = 0;
	if (!elf || elf_getphdrnum(elf, &nr) || !take_segments(segments, elf, nr))
		segments->nr = 0;
	elf_end(elf);
}

/* Of one segment, which begins before `end` and ends after `gpa`. */
static uint64_t next_of(const struct core_segment *segment, int fd, uint64_t gpa, uint64_t end)
{
	uint64_t from = gpa > segment->gpa ? gpa : segment->gpa;
	off_t data = lseek(fd, (off_t)(segment->offset + (from - segment->gpa)), SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? end : from;
	if ((uint64_t)data - segment->offset >= segment->size)
		return end;
	return segment->gpa + ((uint64_t)data - segment->offset);
}

uint64_t core_holes_next_data(const struct core_segments *segments, int fd, uint64_t gpa,
			      uint64_t end)
{
	if (!segments->nr)
		return gpa;
	for (size_t i = 0; i < segments->nr; i++) {
		const struct core_segment *segment = &segments->segment[i];
		uint64_t next;

		if (segment->gpa >= end || segment->gpa + segment->size <= gpa)
			continue;
		next = next_of(segment, fd, gpa, end);
		end = next < end ? next : end;
	}
	return end;
}
