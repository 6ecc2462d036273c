/* SPDX-License-Identifier: MIT */
#include "qemu.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "file_data.h"
#include "mtree.h"
#include "qmp.h"
#include "say.h"

/* Where the bytes of a range are. */
struct part {
	uint64_t gpa, size;
	int fd; /* owned by struct qemu */
	uint64_t offset;
	bool is_process; /* fd is /proc/PID/mem */
};

struct qemu {
	struct qmp *qmp;
	pid_t pid;
	struct part part[MTREE_MAX];
	size_t nr_parts;
	int mem_fd;     /* --mem, or the file that was found; -1: none, -2: several */
	int process_fd; /* /proc/PID/mem; -1: not open */
	char file_region[MTREE_NAME_MAX]; /* the region that mem_fd is */
	struct cpu_state cpu[MONITOR_MAX_CPU];
	size_t nr_cpus;
};

/* --- reading ---------------------------------------------------------------------------------- */

static const struct part *part_of(const struct qemu *qemu, uint64_t gpa)
{
	for (size_t i = 0; i < qemu->nr_parts; i++)
		if (gpa - qemu->part[i].gpa < qemu->part[i].size)
			return &qemu->part[i];
	return NULL;
}

static size_t read_guest(void *source, uint64_t gpa, void *to, size_t size)
{
	const struct qemu *qemu = source;
	size_t done = 0;

	while (done < size) {
		const struct part *part = part_of(qemu, gpa + done);
		uint64_t at = part ? gpa + done - part->gpa : 0;
		size_t want;
		ssize_t n;

		if (!part)
			break;
		want = size - done < part->size - at ? size - done : part->size - at;
		n = pread(part->fd, (char *)to + done, want, (off_t)(part->offset + at));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

/* Holes of a file are zeros. */
static uint64_t next_data(void *source, uint64_t gpa, uint64_t *end)
{
	const struct qemu *qemu = source;
	const struct part *part = part_of(qemu, gpa);
	uint64_t shift;

	if (!part || part->is_process)
		return gpa;
	shift = part->offset - part->gpa;
	gpa = file_next_data(part->fd, gpa + shift, part->offset + part->size) - shift;
	return gpa < *end ? gpa : *end;
}

static const struct physmem_ops qemu_ops = {.read = read_guest, .next_data = next_data};

/* --- finding memory --------------------------------------------------------------------------- */

/* The region that most of memory is in. */
static const struct mtree_range *main_region(const struct mtree_range *ranges, size_t nr)
{
	const struct mtree_range *best = &ranges[0];

	for (size_t i = 1; i < nr; i++)
		if (ranges[i].size > best->size)
			best = &ranges[i];
	return best;
}

/* The end of a region, as far as the guest sees it. */
static uint64_t region_end(const struct mtree_range *ranges, size_t nr, const char *region)
{
	uint64_t end = 0;

	for (size_t i = 0; i < nr; i++)
		if (!strcmp(ranges[i].region, region) && ranges[i].offset + ranges[i].size > end)
			end = ranges[i].offset + ranges[i].size;
	return end;
}

/* Could it be the memory of a guest: a file, or one without a name, of that size? */
static bool may_be_memory(const char *path, uint64_t size, struct stat *st)
{
	char target[PATH_MAX];
	ssize_t len = readlink(path, target, sizeof(target) - 1);

	if (len <= 0)
		return false;
	target[len] = '\0';
	return target[0] == '/' && !stat(path, st) && S_ISREG(st->st_mode) &&
	       (uint64_t)st->st_size == size;
}

/* Looks among the open files of QEMU for one of this size. Returns a descriptor; -1: there is none;
 * -2: there are several. */
static int find_file(pid_t pid, uint64_t size)
{
	char folder[64], path[sizeof(folder) + 256];
	struct stat st, first = {0};
	struct dirent *entry;
	bool seen = false;
	int found = -1;
	DIR *dir;

	snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)pid);
	dir = opendir(folder);
	if (!dir)
		return -1;
	while ((entry = readdir(dir)) && found != -2) {
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (!may_be_memory(path, size, &st))
			continue;
		if (seen && (st.st_dev != first.st_dev || st.st_ino != first.st_ino)) {
			if (found >= 0)
				close(found);
			found = -2;
		} else if (found < 0) {
			found = open(path, O_RDONLY | O_CLOEXEC);
			first = st;
			seen = true;
		}
	}
	closedir(dir);
	return found;
}

/* Is it this file, or device that holds blocks, which a picture could replace? */
static bool is_file(const struct stat *st, const struct stat *file)
{
	return (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode)) && st->st_dev == file->st_dev &&
	       st->st_ino == file->st_ino;
}

/* Has the process that file open? What it does not tell is taken for no. */
static bool process_has_file(pid_t pid, const struct stat *file)
{
	char folder[64];
	struct dirent *entry;
	struct stat st;
	bool has = false;
	DIR *dir;

	snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)pid);
	dir = opendir(folder);
	if (!dir)
		return false;
	while (!has && (entry = readdir(dir)))
		has = !fstatat(dirfd(dir), entry->d_name, &st, 0) && is_file(&st, file);
	closedir(dir);
	return has;
}

static int open_process(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Where in QEMU's own memory that address is: "Host virtual address for 0x1000 (pc.ram) is 0x7f.."
 * Returns 0 after a message if it isn't told. */
static uint64_t host_address(struct qemu *qemu, uint64_t gpa)
{
	char line[64];
	char *text;
	const char *at;
	uint64_t address = 0;

	snprintf(line, sizeof(line), "gpa2hva 0x%" PRIx64, gpa);
	text = qmp_monitor(qemu->qmp, line);
	at = text ? strstr(text, ") is 0x") : NULL;
	if (at)
		address = strtoull(at + strlen(") is "), NULL, 16);
	if (text && !address)
		say("QEMU does not say where 0x%" PRIx64 " of the guest is in its memory", gpa);
	free(text);
	return address;
}

/* Returns 0, or a negated errno after a message. */
static int add_part(struct qemu *qemu, struct physmem *mem, const struct mtree_range *range)
{
	struct part part = {.gpa = range->gpa, .size = range->size};
	int error;

	if (qemu->mem_fd >= 0 && !strcmp(range->region, qemu->file_region)) {
		part.fd = qemu->mem_fd;
		part.offset = range->offset;
	} else {
		part.fd = qemu->process_fd;
		part.is_process = true;
		part.offset = host_address(qemu, range->gpa);
		if (!part.offset)
			return -ENOTCONN;
	}
	error = part.offset > INT64_MAX - part.size ? -EINVAL
						    : physmem_add(mem, part.gpa, part.size);
	if (!error) {
		qemu->part[qemu->nr_parts++] = part;
		return 0;
	}
	say("%s", error == -ENOMEM ? "out of memory" : "QEMU's tree of memory makes no sense");
	return error == -ENOMEM ? -ENOMEM : -ENOTCONN;
}

/* Ranges of a file, or with a process all. Others are noted. Returns 0, or a negated errno after a
 * message. */
static int add_parts(struct qemu *qemu, struct physmem *mem, const struct mtree_range *ranges,
		     size_t nr, struct notes *notes)
{
	int error = 0;

	for (size_t i = 0; !error && i < nr; i++) {
		bool in_file = qemu->mem_fd >= 0 && !strcmp(ranges[i].region, qemu->file_region);

		if (!in_file && qemu->process_fd < 0)
			note(notes,
			     "%" PRIu64 " KiB at 0x%" PRIx64 " (%s) are in no file that is shared, "
			     "and were not looked at",
			     ranges[i].size >> 10, ranges[i].gpa, ranges[i].region);
		else
			error = add_part(qemu, mem, &ranges[i]);
	}
	return error;
}

/* Is the backend of this name private to QEMU, so that its file, if any, is not what the guest
 * sees? What QEMU does not tell is taken for no. */
static bool is_private(struct qemu *qemu, const char *region)
{
	json_t *backends = qmp_execute(qemu->qmp, "query-memdev", NULL), *backend;
	bool is = false;
	size_t i;

	json_array_foreach(backends, i, backend)
	{
		const char *id = json_string_value(json_object_get(backend, "id"));

		if (id && !strcmp(id, region))
			is = json_is_false(json_object_get(backend, "share"));
	}
	json_decref(backends);
	return is;
}

/* Opens what memory is to be read from. Returns 0, or a negated errno after a message. */
static int open_memory(struct qemu *qemu, const struct qemu_options *options,
		       const struct mtree_range *ranges, size_t nr)
{
	const char *region = main_region(ranges, nr)->region;

	snprintf(qemu->file_region, sizeof(qemu->file_region), "%s", region);
	if (options->mem) {
		qemu->mem_fd = open(options->mem, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (qemu->mem_fd >= 0)
			return 0;
		say_errno("%s", options->mem);
		return -ENOENT;
	}
	if (!is_private(qemu, region))
		qemu->mem_fd = find_file(qemu->pid, region_end(ranges, nr, region));
	if (qemu->mem_fd >= 0)
		return 0;
	qemu->process_fd = open_process(qemu->pid);
	if (qemu->process_fd >= 0)
		return 0;
	say("the guest's memory can't be read: process %d has %s of its size, and its own memory is "
	    "closed (%s). Give QEMU -object memory-backend-memfd,share=on, or this program --mem "
	    "FILE, --pid PID, or the rights of a debugger",
	    (int)qemu->pid, qemu->mem_fd == -2 ? "several files" : "no file", strerror(errno));
	return -ENOTCONN;
}

/* Has the file of --mem what is to be read from it? Returns 0, or a negated errno after a message.
 */
static int check_named(const struct qemu *qemu, const char *path, uint64_t size)
{
	struct stat st;

	if (fstat(qemu->mem_fd, &st)) {
		say_errno("%s", path);
		return -ENOENT;
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode) && !S_ISCHR(st.st_mode)) {
		say("%s is no file or device that could be memory", path);
		return -ENOENT;
	}
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size >= size)
		return 0;
	say("%s is shorter than the guest's memory, of which %" PRIu64 " KiB are to be in it", path,
	    size >> 10);
	return -ENOTCONN;
}

static int find_memory(struct qemu *qemu, const struct qemu_options *options, struct physmem *mem,
		       struct notes *notes)
{
	struct mtree_range *ranges = calloc(MTREE_MAX, sizeof(*ranges));
	char *text = qmp_monitor(qemu->qmp, "info mtree -f");
	size_t nr = text && ranges ? mtree_parse(text, ranges, MTREE_MAX) : 0;
	int error = -ENOTCONN;

	if (!ranges) {
		say("out of memory");
		error = -ENOMEM;
	} else if (text && !nr) {
		say("QEMU's tree of memory has no RAM");
	} else if (nr) {
		if (nr == MTREE_MAX)
			note(notes,
			     "the guest's memory may be in more than %u pieces: the others "
			     "were not looked at",
			     MTREE_MAX);
		error = open_memory(qemu, options, ranges, nr);
		if (!error && qemu->mem_fd == -2)
			note(notes,
			     "QEMU has several files of the size of %s: its own memory was read, which "
			     "takes memory of the host for all of the guest's; --mem FILE names one",
			     qemu->file_region);
		error = error ? error : add_parts(qemu, mem, ranges, nr, notes);
		if (!error && options->mem)
			error = check_named(qemu, options->mem,
					    region_end(ranges, nr, qemu->file_region));
	}
	free(text);
	free(ranges);
	return error;
}

struct qemu *qemu_open(const struct qemu_options *options, struct physmem *mem, struct notes *notes,
		       int *error)
{
	struct qemu *qemu = calloc(1, sizeof(*qemu));

	physmem_init(mem, &qemu_ops, qemu);
	if (!qemu) {
		say("out of memory");
		*error = -ENOMEM;
		return NULL;
	}
	qemu->mem_fd = qemu->process_fd = -1;
	qemu->qmp = qmp_open(options->qmp, options->timeout, error);
	if (qemu->qmp) {
		qemu->pid = options->pid ? options->pid : qmp_peer(qemu->qmp);
		*error = find_memory(qemu, options, mem, notes);
		if (!*error)
			return qemu;
	}
	qemu_close(qemu);
	return NULL;
}

bool qemu_has_file(const struct qemu *qemu, const struct stat *file)
{
	struct stat st;

	return (qemu->mem_fd >= 0 && !fstat(qemu->mem_fd, &st) && is_file(&st, file)) ||
	       process_has_file(qemu->pid, file);
}

void qemu_close(struct qemu *qemu)
{
	if (!qemu)
		return;
	qmp_close(qemu->qmp);
	if (qemu->mem_fd >= 0)
		close(qemu->mem_fd);
	if (qemu->process_fd >= 0)
		close(qemu->process_fd);
	free(qemu);
}

/* --- a look ----------------------------------------------------------------------------------- */

int qemu_begin(struct qemu *qemu)
{
	int error = qmp_pause(qemu->qmp);
	char *text;

	if (error)
		return error;
	text = qmp_monitor(qemu->qmp, "info registers -a");
	qemu->nr_cpus = text ? registers_parse(text, qemu->cpu, MONITOR_MAX_CPU) : 0;
	if (text && !qemu->nr_cpus)
		say("QEMU tells no CR3 of a vCPU");
	free(text);
	if (qemu->nr_cpus)
		return 0;
	qmp_resume(qemu->qmp);
	return -ENOTCONN;
}

bool qemu_end(struct qemu *qemu)
{
	return qmp_resume(qemu->qmp);
}

const struct cpu_state *qemu_cpus(const struct qemu *qemu, size_t *nr)
{
	*nr = qemu->nr_cpus;
	return qemu->cpu;
}

const char *qemu_way(const struct qemu *qemu)
{
	return qemu->mem_fd >= 0 ? "memory in a shared file" : "memory of the process";
}
