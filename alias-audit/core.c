/* SPDX-License-Identifier: MIT */
#include "core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <libkdumpfile/kdumpfile.h>
#include "core_elf.h"
#include "core_notes.h"
#include "crash.h"
#include "diskdump.h"
#include "flattened.h"
#include "say.h"

/* What Linux's phys_base is added to (__START_KERNEL_map). */
#define IMAGE_START 0xffffffff80000000ull

struct core {
	const char *path;
	int fd;
	kdump_ctx_t *dump;
	char format[24];
	char *last_words; /* when the library crashes */
	struct core_cpus cpus;
	struct core_segments segments; /* of an ELF core */
	bool is_elf, is_compressed;    /* or else of a kind that libkdumpfile alone knows */
	struct diskdump header;        /* of a compressed one */
};

static size_t read_core(void *source, uint64_t gpa, void *to, size_t size)
{
	struct core *core = source;

	crash_begin();
	kdump_read(core->dump, KDUMP_MACHPHYSADDR, gpa, to, &size);
	crash_end();
	return size;
}

static uint64_t next_data(void *source, uint64_t gpa, uint64_t *end)
{
	const struct core *core = source;

	return core_elf_next_data(&core->segments, core->fd, gpa, *end);
}

static const struct physmem_ops core_ops = {.read = read_core, .next_data = next_data};

const struct cpu_state *core_cpus(const struct core *core, size_t *nr)
{
	*nr = core->cpus.nr;
	return core->cpus.cpu;
}

const char *core_format(const struct core *core)
{
	return core->format;
}

void core_close(struct core *core)
{
	if (!core)
		return;
	crash_begin();
	if (core->dump)
		kdump_free(core->dump);
	crash_end();
	if (core->fd >= 0)
		close(core->fd);
	core_segments_free(&core->segments);
	free(core->cpus.cpu);
	free(core->last_words);
	free(core);
}

/* A number that VMCOREINFO has in the line "KEY=NUMBER". */
static bool vmcoreinfo_number(const struct core *core, const char *key, int64_t *out)
{
	char *text = NULL, *end;
	kdump_status status;
	bool is_number;

	crash_begin();
	status = kdump_vmcoreinfo_line(core->dump, key, &text);
	crash_end();
	if (status != KDUMP_OK || !text)
		return false;
	errno = 0;
	*out = strtoll(text, &end, 10);
	is_number = !errno && end != text;
	free(text);
	return is_number;
}

uint64_t core_kernel_root(const struct core *core, unsigned *levels)
{
	int64_t phys_base, five = 0;
	kdump_status status;
	kdump_addr_t va;

	*levels = 0;
	crash_begin();
	status = kdump_vmcoreinfo_symbol(core->dump, "swapper_pg_dir", &va);
	crash_end();
	if (status != KDUMP_OK || !vmcoreinfo_number(core, "NUMBER(phys_base)", &phys_base))
		return 0;
	if (!vmcoreinfo_number(core, "NUMBER(pgtable_l5_enabled)", &five))
		five = 0;
	*levels = five ? 5 : 4;
	return va - IMAGE_START + (uint64_t)phys_base;
}

char *core_vmcoreinfo(const struct core *core)
{
	kdump_status status;
	char *text = NULL;

	crash_begin();
	status = kdump_vmcoreinfo_raw(core->dump, &text);
	crash_end();
	return status == KDUMP_OK ? text : NULL;
}

static int add_ranges(struct physmem *mem, kdump_bmp_t *map)
{
	kdump_addr_t first = 0, end;

	while (kdump_bmp_find_set(map, &first) == KDUMP_OK) {
		int error;

		end = first;
		if (kdump_bmp_find_clear(map, &end) != KDUMP_OK || end <= first)
			return -EINVAL;
		error = physmem_add(mem, first << FRAME_SHIFT, (end - first) << FRAME_SHIFT);
		if (error)
			return error;
		first = end;
	}
	return 0;
}

/* Which frames the core has. The bitmap stays the dump's. */
static int find_ranges(struct core *core, struct physmem *mem)
{
	kdump_attr_t attr = {.type = KDUMP_BITMAP};
	int error = -EINVAL;

	if (core->segments.known)
		return core_elf_ranges(&core->segments, mem);
	crash_begin();
	if (kdump_get_typed_attr(core->dump, KDUMP_ATTR_FILE_PAGEMAP, &attr) == KDUMP_OK)
		error = add_ranges(mem, attr.val.bitmap);
	crash_end();
	return error;
}

/* The library does not believe the header of a compressed core of QEMU, which names the machine and
 * nothing else of a utsname. */
static void name_machine(struct core *core)
{
	const char *text = NULL;

	if (kdump_get_string_attr(core->dump, KDUMP_ATTR_ARCH_NAME, &text) != KDUMP_OK &&
	    core->is_compressed && !strcmp(core->header.machine, KDUMP_ARCH_X86_64))
		kdump_set_string_attr(core->dump, KDUMP_ATTR_ARCH_NAME, KDUMP_ARCH_X86_64);
}

/* Which kind of a core is it, and what do its headers tell? */
static void find_format(struct core *core)
{
	const char *text = NULL;

	if (kdump_get_string_attr(core->dump, KDUMP_ATTR_FILE_FORMAT, &text) == KDUMP_OK && text)
		snprintf(core->format, sizeof(core->format), "%s", text);
	core->is_elf = !strcmp(core->format, "elf");
	core->is_compressed =
		!strcmp(core->format, "diskdump") && diskdump_read(&core->header, core->fd);
}

/* Of a machine that can be read here? Says why not. */
static bool is_x86_64(struct core *core)
{
	const char *text = NULL;
	kdump_num_t size = 0;

	name_machine(core);
	if (kdump_get_string_attr(core->dump, KDUMP_ATTR_ARCH_NAME, &text) != KDUMP_OK || !text) {
		say("%s: no machine is named in it: not a core", core->path);
		return false;
	}
	if (strcmp(text, KDUMP_ARCH_X86_64)) {
		say("%s is of a machine %s; only x86_64 is read", core->path, text);
		return false;
	}
	if (kdump_get_number_attr(core->dump, KDUMP_ATTR_PAGE_SIZE, &size) != KDUMP_OK ||
	    size != FRAME_SIZE) {
		say("%s: its pages are not of 4 KiB", core->path);
		return false;
	}
	return true;
}

/* A compressed core has bits for all the frames that it counts. The library believes the number,
 * and some of its versions then look for minutes for what isn't there. */
static bool bitmap_is_whole(const struct core *core)
{
	return !core->is_compressed || !core->header.counts_frames ||
	       core->header.frames <= core->header.bitmap_bits;
}

static int open_file(struct core *core)
{
	struct stat st;

	core->fd = open(core->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (core->fd < 0) {
		say_errno("%s", core->path);
		return -ENOENT;
	}
	if (fstat(core->fd, &st) || !S_ISREG(st.st_mode)) {
		say("%s is not a plain file", core->path);
		return -ENOENT;
	}
	return 0;
}

/* Puts a core that comes in pieces together. Returns 0, or an error of
 * core_open() after a message. */
static int put_together(struct core *core)
{
	int fd;

	if (!flattened_is(core->fd))
		return 0;
	fd = flattened_unpack(core->fd);
	if (fd < 0) {
		say("%s is flattened, and can't be put together in a file in $TMPDIR or "
		    "/var/tmp: %s",
		    core->path, fd == -EINVAL ? "it is cut or corrupt" : strerror(-fd));
		return fd == -EINVAL ? -EINVAL : -EIO;
	}
	close(core->fd);
	core->fd = fd;
	return 0;
}

/* Of a failure to open: is it the system's, or has the core sent the library to places that no file
 * has? errno is what the library's last call of the system has left. */
static int open_error(kdump_status status)
{
	return status == KDUMP_ERR_SYSTEM && errno != EINVAL && errno != EOVERFLOW ? -EIO : -EINVAL;
}

static int open_dump(struct core *core)
{
	kdump_status status;

	if (asprintf(&core->last_words,
		     "alias-audit: %s can't be read as a core: libkdumpfile crashed over it\n",
		     core->path) < 0) {
		core->last_words = NULL;
		say("out of memory");
		return -ENOMEM;
	}
	crash_handle(core->last_words);
	core->dump = kdump_new();
	if (!core->dump) {
		say("out of memory");
		return -ENOMEM;
	}
	/* A file that shrinks meanwhile must be an error, and no SIGBUS. */
	kdump_set_number_attr(core->dump, KDUMP_ATTR_FILE_MMAP_POLICY, KDUMP_MMAP_NEVER);
	errno = 0;
	status = kdump_open_fd(core->dump, core->fd);
	if (status != KDUMP_OK) {
		int error = open_error(status);
		const char *why = kdump_get_err(core->dump);

		say("%s can't be read as a core: %s", core->path, why ? why : "unknown");
		return error;
	}
	find_format(core);
	if (!is_x86_64(core))
		return -EINVAL;
	if (!bitmap_is_whole(core)) {
		say("%s counts more frames than it has bits for: it is cut or corrupt", core->path);
		return -EINVAL;
	}
	/* Only then it reads VMCOREINFO; that it finds no page tables is no matter. */
	kdump_set_string_attr(core->dump, KDUMP_ATTR_OSTYPE, "linux");
	return 0;
}

/* Says what is wrong. Returns the error of core_open(). */
static int say_parts_error(const struct core *core, int error)
{
	if (error == -ENOMEM)
		say("out of memory");
	else if (error == -ENODATA)
		say("%s has no memory in it", core->path);
	else if (error == -E2BIG)
		say("%s has memory in more than %u pieces", core->path, PHYSMEM_RANGES_MAX);
	else if (error == -ERANGE)
		say("%s has memory beyond 128 TiB: it is corrupt, or of no machine", core->path);
	else
		say("%s: which memory it has can't be read", core->path);
	return error == -ENOMEM ? -ENOMEM : -EINVAL;
}

static int read_core_parts(struct core *core, struct physmem *mem, struct notes *doubts)
{
	int error = 0;

	if (core->is_elf)
		error = core_elf_read(core->fd, &core->segments, &core->cpus, doubts);
	if (!error)
		error = find_ranges(core, mem);
	if (!error && !mem->nr_ranges)
		error = -ENODATA;
	if (!error && core->is_compressed)
		error = core_notes_read(&core->cpus, core->fd, core->header.notes_at,
					core->header.notes_size, doubts);
	return error ? say_parts_error(core, error) : 0;
}

struct core *core_open(const char *path, struct physmem *mem, struct notes *doubts, int *error)
{
	struct core *core = calloc(1, sizeof(*core));

	physmem_init(mem, &core_ops, core);
	if (!core) {
		say("out of memory");
		*error = -ENOMEM;
		return NULL;
	}
	core->path = path;
	core->fd = -1;
	*error = open_file(core);
	if (!*error)
		*error = put_together(core);
	if (!*error) {
		crash_begin();
		*error = open_dump(core);
		crash_end();
	}
	if (!*error)
		*error = read_core_parts(core, mem, doubts);
	if (!*error)
		return core;
	core_close(core);
	return NULL;
}
