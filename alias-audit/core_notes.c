/* SPDX-License-Identifier: MIT */
#include "core_notes.h"

#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOTES_SIZE_MAX (64u << 20)

/* QEMU's QEMUCPUState, version 1 (its target/i386/arch_dump.c). */
#define QEMU_VERSION    1u
#define QEMU_SIZE       440u /* later ones are longer */
#define QEMU_AT_VERSION 0u
#define QEMU_AT_CR      392u /* cr[0] to cr[4], 8 bytes each */

/* kdump_sub_header (makedumpfile's diskdump_mod.h), in the second block. */
#define SUB_HEADER_AT_NOTES 48u /* offset of the notes in the file, and their size */

static uint64_t load64(const uint8_t *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

static uint32_t load32(const uint8_t *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

static int add_cpu(struct core_cpus *cpus, const uint8_t *desc, size_t size)
{
	struct cpu_state *cpu;

	if (size < QEMU_SIZE || load32(desc + QEMU_AT_VERSION) != QEMU_VERSION ||
	    cpus->nr == CORE_MAX_CPUS)
		return 0;
	if (!(cpus->nr & (cpus->nr - 1))) {
		size_t room = cpus->nr ? 2 * cpus->nr : 1;

		cpu = realloc(cpus->cpu, room * sizeof(*cpu));
		if (!cpu)
			return -ENOMEM;
		cpus->cpu = cpu;
	}
	cpus->cpu[cpus->nr++] = (struct cpu_state){
		.cr0 = load64(desc + QEMU_AT_CR),
		.cr3 = load64(desc + QEMU_AT_CR + 24),
		.cr4 = load64(desc + QEMU_AT_CR + 32),
	};
	return 0;
}

/* Name and description of a note are padded to 4 bytes each. */
static size_t padded(uint32_t size)
{
	return ((size_t)size + 3) & ~(size_t)3;
}

int core_notes_parse(struct core_cpus *cpus, const uint8_t *notes, size_t size)
{
	while (size >= sizeof(Elf64_Nhdr)) {
		size_t name = padded(load32(notes)), desc = padded(load32(notes + 4));
		uint32_t desc_size = load32(notes + 4);
		const uint8_t *at = notes + sizeof(Elf64_Nhdr);
		size_t left = size - sizeof(Elf64_Nhdr);
		int error;

		if (name > left || desc_size > left - name)
			return 0;
		if (load32(notes) >= 4 && !memcmp(at, "QEMU", 4)) {
			error = add_cpu(cpus, at + name, desc_size);
			if (error)
				return error;
		}
		if (desc > left - name)
			return 0;
		notes = at + name + desc;
		size = left - name - desc;
	}
	return 0;
}

static int read_part(struct core_cpus *cpus, int fd, uint64_t offset, uint64_t size)
{
	uint8_t *notes;
	ssize_t got;
	int error = -EIO;

	if (size == 0)
		return 0;
	if (size > NOTES_SIZE_MAX || offset > INT64_MAX - size)
		return -EIO;
	notes = malloc(size);
	if (!notes)
		return -ENOMEM;
	got = pread(fd, notes, size, (off_t)offset);
	if (got >= 0)
		error = core_notes_parse(cpus, notes, (size_t)got);
	free(notes);
	return error;
}

static int read_elf(struct core_cpus *cpus, int fd)
{
	Elf *elf = elf_version(EV_CURRENT) == EV_NONE ? NULL : elf_begin(fd, ELF_C_READ, NULL);
	size_t nr = 0;
	int error = -EIO;

	if (elf && !elf_getphdrnum(elf, &nr))
		error = 0;
	for (size_t i = 0; !error && i < nr; i++) {
		GElf_Phdr phdr;

		if (gelf_getphdr(elf, (int)i, &phdr) && phdr.p_type == PT_NOTE)
			error = read_part(cpus, fd, phdr.p_offset, phdr.p_filesz);
	}
	elf_end(elf);
	return error;
}

static int read_compressed(struct core_cpus *cpus, int fd, uint64_t block_size)
{
	uint8_t where[16];

	if (pread(fd, where, sizeof(where), (off_t)(block_size + SUB_HEADER_AT_NOTES)) !=
	    (ssize_t)sizeof(where))
		return -EIO;
	return read_part(cpus, fd, load64(where), load64(where + 8));
}

int core_notes_read(struct core_cpus *cpus, int fd, bool is_elf, uint64_t block_size)
{
	if (is_elf)
		return read_elf(cpus, fd);
	return read_compressed(cpus, fd, block_size & 0xffffff);
}
