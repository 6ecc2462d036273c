/* SPDX-License-Identifier: MIT */
#include "boot/image.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "alias_abi.h"
#include "boot/bzimage.h"
#include "installed.h"
#include "say.h"

#define NOTE_PHYS32_ENTRY 18 /* XEN_ELFNOTE_PHYS32_ENTRY, Xen's public/elfnote.h */
#define NOTE_NAME         "Xen"

/* For Linux images that do not say; a bzImage's header says the same. */
#define LINUX_CMDLINE_MAX 2047u
#define LINUX_INITRD_MAX  0x7fffffffull

#define PAGE  4096u
#define PIECE (1u << 20) /* of a segment; a multiple of a page */

static const char *check_header(const struct image *image, Elf *elf, size_t *nr_phdrs)
{
	GElf_Ehdr ehdr;

	if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &ehdr))
		return "not an ELF file, nor a Linux bzImage";
	if (ehdr.e_ident[EI_CLASS] != ELFCLASS64 || ehdr.e_ident[EI_DATA] != ELFDATA2LSB ||
	    ehdr.e_machine != EM_X86_64)
		return "not an ELF file for x86-64";
	if (ehdr.e_ident[EI_VERSION] != EV_CURRENT || ehdr.e_version != EV_CURRENT)
		return "of an unknown ELF version";
	if (ehdr.e_type != ET_EXEC)
		return "not an executable at fixed addresses";
	if (ehdr.e_ehsize != sizeof(Elf64_Ehdr) || ehdr.e_phentsize != sizeof(Elf64_Phdr))
		return "an ELF file whose headers have a wrong size";
	if (elf_getphdrnum(elf, nr_phdrs) || *nr_phdrs == 0)
		return "an ELF file without program headers";
	if (*nr_phdrs > image->size / sizeof(Elf64_Phdr) ||
	    ehdr.e_phoff > image->size - *nr_phdrs * sizeof(Elf64_Phdr))
		return "cut off within its program headers";
	return NULL;
}

static bool note_is(const GElf_Nhdr *note, const char *name, const char *wanted, uint32_t type)
{
	size_t size = strlen(wanted) + 1;

	return note->n_type == type && note->n_namesz == size && !memcmp(name, wanted, size);
}

static const char *take_entry(struct image *image, const GElf_Nhdr *note, const void *desc)
{
	uint64_t entry = 0;

	if (note->n_descsz != 4 && note->n_descsz != 8)
		return "an ELF file whose PVH note has a wrong size";
	memcpy(&entry, desc, note->n_descsz);
	if (entry > UINT32_MAX)
		return "an ELF file whose PVH entry lies above 4 GiB";
	image->entry = entry;
	return NULL;
}

static const char *take_abi(struct image *image, const GElf_Nhdr *note, const void *desc)
{
	uint32_t version = 0;

	if (note->n_descsz == sizeof(version))
		memcpy(&version, desc, sizeof(version));
	if (version != ALIAS_ABI_VERSION)
		return "a guest for another version of alias_abi.h than this vmm's";
	image->kind = IMAGE_GUEST;
	return NULL;
}

/* Notes are read to the very end: a remainder that is not a note means a truncated or corrupt
 * file. */
static const char *read_notes(struct image *image, Elf *elf, const GElf_Phdr *phdr, bool *found)
{
	const char *wrong = NULL;
	Elf_Data *data;
	GElf_Nhdr note;
	size_t offset = 0;

	if (phdr->p_filesz == 0)
		return NULL;
	data = elf_getdata_rawchunk(elf, phdr->p_offset, phdr->p_filesz,
				    phdr->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
	if (!data)
		return "an ELF file whose notes can't be read";
	while (!wrong && offset < data->d_size) {
		const char *bytes = data->d_buf;
		size_t name, desc, next;

		next = gelf_getnote(data, offset, &note, &name, &desc);
		if (next == 0 || note.n_descsz > data->d_size - desc)
			return "an ELF file whose notes are cut short";
		if (!*found && note_is(&note, bytes + name, NOTE_NAME, NOTE_PHYS32_ENTRY)) {
			wrong = take_entry(image, &note, bytes + desc);
			*found = true;
		} else if (note_is(&note, bytes + name, ALIAS_NOTE_NAME, ALIAS_NOTE_GUEST)) {
			wrong = take_abi(image, &note, bytes + desc);
		}
		offset = next;
	}
	return wrong;
}

static const char *add_segment(struct image *image, const GElf_Phdr *phdr)
{
	uint64_t last = phdr->p_paddr + (phdr->p_memsz - 1);

	if (phdr->p_filesz > phdr->p_memsz)
		return "an ELF file with a segment larger in the file than in memory";
	if (phdr->p_memsz == 0)
		return NULL;
	if (last < phdr->p_paddr)
		return "an ELF file with a segment that wraps around";
	if (phdr->p_paddr < IMAGE_MIN_GPA)
		return "an ELF file with a segment below 1 MiB";
	for (unsigned i = 0; i < image->nr; i++) {
		const struct image_segment *other = &image->segment[i];

		if (phdr->p_paddr <= other->gpa + (other->memsz - 1) && other->gpa <= last)
			return "an ELF file with overlapping segments";
	}
	if (image->nr == IMAGE_MAX_SEGMENTS)
		return "an ELF file with too many segments";
	image->segment[image->nr++] = (struct image_segment){
		.gpa = phdr->p_paddr,
		.va = phdr->p_vaddr,
		.filesz = phdr->p_filesz,
		.memsz = phdr->p_memsz,
		.offset = phdr->p_offset,
	};
	return NULL;
}

static const char *check_entry(const struct image *image)
{
	for (unsigned i = 0; i < image->nr; i++)
		if (image->entry - image->segment[i].gpa < image->segment[i].filesz)
			return NULL;
	return "an ELF file whose PVH entry lies outside of its segments";
}

static const char *parse_elf(struct image *image, Elf *elf)
{
	size_t nr_phdrs;
	const char *wrong = check_header(image, elf, &nr_phdrs);
	bool found = false;

	for (size_t i = 0; !wrong && i < nr_phdrs; i++) {
		GElf_Phdr phdr;

		if (!gelf_getphdr(elf, i, &phdr))
			return "cut off within its program headers";
		if (phdr.p_type != PT_LOAD && phdr.p_type != PT_NOTE)
			continue;
		if (phdr.p_offset > image->size || phdr.p_filesz > image->size - phdr.p_offset)
			return "cut off: a segment ends after the file";
		wrong = phdr.p_type == PT_LOAD ? add_segment(image, &phdr)
					       : read_notes(image, elf, &phdr, &found);
	}
	if (wrong)
		return wrong;
	if (!found)
		return "an ELF file without a PVH entry (note Xen 18)";
	return check_entry(image);
}

const char *image_parse(struct image *image)
{
	const char *wrong;
	Elf *elf;

	image->nr = 0;
	if (bzimage_is(image))
		return bzimage_parse(image);
	image->kind = IMAGE_PVH;
	image->cmdline_max = LINUX_CMDLINE_MAX;
	image->initrd_max = LINUX_INITRD_MAX;
	elf_version(EV_CURRENT);
	elf = image->size ? elf_memory(image->file, image->size) : NULL;
	if (!elf)
		return "not an ELF file, nor a Linux bzImage";
	wrong = parse_elf(image, elf);
	elf_end(elf);
	return wrong;
}

static int read_whole(struct image *image, int fd, const char *path)
{
	size_t done = 0;

	while (done < image->size) {
		ssize_t n = pread(fd, (char *)image->file + done, image->size - done, done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return say_errno("reading %s", path);
		if (n == 0)
			break; /* the file has shrunk: it is checked as it is now */
		done += n;
	}
	image->size = done;
	return 0;
}

/* Opens `path`. A name without a slash that does not exist here is looked for among the installed
 * guests. */
static int find_file(const char *path)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
	int fd = TEMP_FAILURE_RETRY(open(path, flags));
	char installed[PATH_MAX];

	if (fd >= 0 || errno != ENOENT)
		return fd;
	if (!strchr(path, '/') && installed_path(path, installed))
		return TEMP_FAILURE_RETRY(open(installed, flags));
	errno = ENOENT;
	return -1;
}

/* Returns the negated errno. */
static int say_not_opened(const char *path)
{
	char installed[PATH_MAX];

	if (errno != ENOENT || strchr(path, '/') || !installed_path(path, installed))
		return say_errno("%s", path);
	say("%s: there is no such file here, and no %s", path, installed);
	return -ENOENT;
}

/* Returns the descriptor, or a negated errno after a message. */
static int open_file(const char *path, struct stat *st)
{
	int fd = find_file(path);
	int err;

	if (fd < 0 || fstat(fd, st) < 0) {
		err = say_not_opened(path);
	} else if (!S_ISREG(st->st_mode)) {
		say("%s: not a guest image: it is not a regular file", path);
		err = -ENOEXEC;
	} else {
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return err;
}

int image_open(struct image *image, const char *path)
{
	struct stat st;
	size_t mapped;
	int fd = open_file(path, &st);
	int err;

	if (fd < 0)
		return fd;
	mapped = st.st_size ? st.st_size : 1;
	image->size = st.st_size;
	image->file =
		mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (image->file == MAP_FAILED) {
		say_errno("memory for %s", path);
		close(fd);
		return -ENOMEM;
	}
	image->mapped = mapped;
	err = read_whole(image, fd, path);
	close(fd);
	if (!err) {
		const char *wrong = image_parse(image);

		if (!wrong)
			return 0;
		say("%s: %s", path, wrong);
		err = -ENOEXEC;
	}
	image_free(image);
	return err;
}

static bool overlap_in_file(const struct image_segment *a, const struct image_segment *b)
{
	return a->offset < b->offset + b->filesz && b->offset < a->offset + a->filesz;
}

/* Gives back the whole pages of a part of the file, so that a large image is never resident twice.
 */
static void forget_pages(const struct image *image, uint64_t offset, uint64_t size)
{
	uint64_t from = (offset + PAGE - 1) / PAGE * PAGE, to = (offset + size) / PAGE * PAGE;

	if (image->mapped && from < to)
		madvise((char *)image->file + from, to - from, MADV_DONTNEED);
}

static void copy_segment(const struct image *image, const struct image_segment *segment, void *to)
{
	bool shared = false;

	for (unsigned i = 0; i < image->nr; i++)
		if (&image->segment[i] != segment)
			shared |= overlap_in_file(segment, &image->segment[i]);
	for (uint64_t done = 0; done < segment->filesz;) {
		uint64_t part = segment->filesz - done < PIECE ? segment->filesz - done : PIECE;
		uint64_t offset = segment->offset + done;

		memcpy((char *)to + done, (const char *)image->file + offset, part);
		if (!shared)
			forget_pages(image, offset, part);
		done += part;
	}
}

int image_load(const struct image *image, const struct memory *mem)
{
	for (unsigned i = 0; i < image->nr; i++) {
		const struct image_segment *segment = &image->segment[i];

		if (!memory_ptr(mem, segment->gpa, segment->memsz)) {
			say("the guest image needs memory at 0x%llx to 0x%llx, more than --mem "
			    "gives",
			    (unsigned long long)segment->gpa,
			    (unsigned long long)(segment->gpa + (segment->memsz - 1)));
			return -ENOEXEC;
		}
	}
	for (unsigned i = 0; i < image->nr; i++) {
		const struct image_segment *segment = &image->segment[i];

		copy_segment(image, segment, memory_ptr(mem, segment->gpa, segment->memsz));
	}
	return 0;
}

void image_free(struct image *image)
{
	if (image->mapped)
		munmap(image->file, image->mapped);
	image->mapped = 0;
}
