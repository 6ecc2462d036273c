/* SPDX-License-Identifier: MIT */
#include "core_notes.h"

#include <errno.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bsd/sys/endian.h>
#include "room.h"

#define NOTES_SIZE_MAX (64u << 20)

/* QEMU's QEMUCPUState, version 1 (its target/i386/arch_dump.c). */
#define QEMU_VERSION    1u
#define QEMU_SIZE       440u /* later ones are longer */
#define QEMU_AT_VERSION 0u
#define QEMU_AT_CR      392u /* cr[0] to cr[4], 8 bytes each */

static int add_cpu(struct core_cpus *cpus, const uint8_t *desc, size_t size, struct notes *doubts)
{
	struct cpu_state *cpu;

	if (size < QEMU_SIZE || le32dec(desc + QEMU_AT_VERSION) != QEMU_VERSION) {
		note(doubts, "a note of QEMU about a vCPU is of a size or version that is not "
			     "known, and was passed over");
		return 0;
	}
	if (cpus->nr == CORE_MAX_CPUS) {
		note(doubts, "there are more than %u vCPUs, and the others were passed over",
		     CORE_MAX_CPUS);
		return 0;
	}
	cpu = room_for_one(cpus->cpu, cpus->nr, sizeof(*cpu));
	if (!cpu)
		return -ENOMEM;
	cpus->cpu = cpu;
	cpus->cpu[cpus->nr++] = (struct cpu_state){
		.cr0 = le64dec(desc + QEMU_AT_CR),
		.cr3 = le64dec(desc + QEMU_AT_CR + 24),
		.cr4 = le64dec(desc + QEMU_AT_CR + 32),
	};
	return 0;
}

/* Name and description of a note are padded to 4 bytes each. */
static size_t padded(uint32_t size)
{
	return ((size_t)size + 3) & ~(size_t)3;
}

static void note_unread(struct notes *doubts)
{
	note(doubts, "the notes of the core can't be read whole: there may be vCPUs in them");
}

int core_notes_parse(struct core_cpus *cpus, const uint8_t *notes, size_t size,
		     struct notes *doubts)
{
	while (size >= sizeof(Elf64_Nhdr)) {
		size_t name = padded(le32dec(notes)), desc = padded(le32dec(notes + 4));
		uint32_t desc_size = le32dec(notes + 4);
		const uint8_t *at = notes + sizeof(Elf64_Nhdr);
		size_t left = size - sizeof(Elf64_Nhdr);
		int error = 0;

		if (name > left || desc_size > left - name) {
			note_unread(doubts);
			return 0;
		}
		if (le32dec(notes) >= 4 && !memcmp(at, "QEMU", 4))
			error = add_cpu(cpus, at + name, desc_size, doubts);
		if (error || desc > left - name)
			return error;
		notes = at + name + desc;
		size = left - name - desc;
	}
	return 0;
}

int core_notes_read(struct core_cpus *cpus, int fd, uint64_t offset, uint64_t size,
		    struct notes *doubts)
{
	uint8_t *notes;
	ssize_t got;
	int error;

	if (size == 0)
		return 0;
	if (size > NOTES_SIZE_MAX || offset > INT64_MAX - size) {
		note_unread(doubts);
		return 0;
	}
	notes = malloc(size);
	if (!notes)
		return -ENOMEM;
	got = pread(fd, notes, size, (off_t)offset);
	if (got != (ssize_t)size)
		note_unread(doubts);
	error = core_notes_parse(cpus, notes, got > 0 ? (size_t)got : 0, doubts);
	free(notes);
	return error;
}
