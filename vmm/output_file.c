/* SPDX-License-Identifier: MIT */
#include "output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "clock.h"
#include "fatal.h"
#include "follow_links.h"
#include "replaceable.h"
#include "say.h"

#define LAST_WAIT_MS 5000 /* a reader gets at least this long, whatever --timeout */
#define RETRY_MS     20   /* between two attempts to open a FIFO */

/* Waits for room; a plain file always has it. Returns 0, or a negated errno. */
static int wait_for_room(const struct output_stream *to)
{
	struct pollfd room = {.fd = to->fd, .events = POLLOUT};
	int ready = to->is_file ? 1 : TEMP_FAILURE_RETRY(poll(&room, 1, to->wait_ms));

	if (ready > 0)
		return 0;
	return ready ? -errno : -ETIMEDOUT;
}

/* Waits for room before each piece, which then fits: the descriptor may be blocking, since other
 * processes share it. */
int output_put(struct output_stream *to, const char *text, size_t len)
{
	while (len > 0) {
		size_t piece = to->is_file || len < PIPE_BUF ? len : PIPE_BUF;
		int err = wait_for_room(to);
		ssize_t n;

		if (err)
			return err;
		n = TEMP_FAILURE_RETRY(write(to->fd, text, piece));
		if (n < 0 && errno != EAGAIN)
			return -errno;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Returns whether it is written, with errno if not. */
static bool put_output(const struct output *output, int fd, int wait_ms, bool is_file)
{
	struct output_stream to = {.fd = fd, .wait_ms = wait_ms, .is_file = is_file};
	int err;

	if (wait_ms >= 0 && wait_ms < LAST_WAIT_MS)
		to.wait_ms = LAST_WAIT_MS;
	err = output->text ? output_put(&to, output->text, strlen(output->text))
			   : output->print(output->ctx, &to);
	errno = -err;
	return err == 0;
}

/* By errno. Returns it negated, after a message. */
static int tell_unwritten(const struct output *output, const char *where)
{
	if (errno != ETIMEDOUT)
		return say_errno("%s to %s", output->what, where);
	say("%s to %s: its reader did not take it in time", output->what, where);
	return -ETIMEDOUT;
}

static int write_stdout(const struct output *output, int wait_ms)
{
	if (put_output(output, STDOUT_FILENO, wait_ms, false))
		return 0;
	return tell_unwritten(output, "standard output");
}

/* The last part of the path. */
static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Returns false if it is too long. */
static bool get_folder(const char *path, char folder[PATH_MAX])
{
	return snprintf(folder, PATH_MAX, "%.*s.", (int)(base_name(path) - path), path) < PATH_MAX;
}

/* The length of so much of the path as a suffix leaves room for in a file's name. */
static int length_before(const char *path, const char *suffix)
{
	const char *base = base_name(path);

	return (int)((size_t)(base - path) + strnlen(base, NAME_MAX - strlen(suffix)));
}

/* Creates a temporary file beside `path`; *name (to be freed, or NULL) is its name. A signal that
 * ends the program removes it. */
static int open_temporary(const char *path, char **name)
{
	static const char suffix[] = ".XXXXXX";
	sigset_t all, old;
	int fd, err = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	do { /* the template each time, since mkstemp() changes it */
		free(*name);
		if (asprintf(name, "%.*s%s", length_before(path, suffix), path, suffix) < 0) {
			*name = NULL;
			err = -ENOMEM;
		}
		fd = err ? -1 : mkstemp(*name);
	} while (fd < 0 && !err && errno == EINTR);
	if (!err)
		err = fd < 0 ? -errno : fatal_file_made(FATAL_OUTPUT, *name);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err && fd >= 0) {
		close(fd);
		unlink(*name);
		fd = -1;
	}
	errno = -err;
	return fd;
}

/* Gives the file the mode that open() would have, or that of the one in whose place it comes: what
 * was private stays so. The owner's is not to be had in the sandbox; so a file of another group
 * gives to our group no more than to everyone. */
static bool set_mode(int fd, const char *path)
{
	mode_t mask = umask(0), mode = 0666 & ~mask;
	struct stat old, st;

	umask(mask);
	if (stat(path, &old) == 0) {
		mode = old.st_mode & 0777;
		if (fstat(fd, &st) || st.st_gid != old.st_gid)
			mode &= ~(mode_t)S_IRWXG | (mode & S_IRWXO) << 3;
	}
	return fchmod(fd, mode) == 0;
}

/* Writes a temporary file beside it and renames that, so that no reader sees half of it. */
static int write_file(const struct output *output)
{
	char *temporary = NULL;
	int fd = open_temporary(output->path, &temporary);
	bool ok = false;
	int err = 0;

	if (fd >= 0) {
		ok = set_mode(fd, output->path) && put_output(output, fd, -1, true);
		ok = close(fd) == 0 && ok && rename(temporary, output->path) == 0;
	}
	if (ok)
		fatal_file_keep(FATAL_OUTPUT);
	else
		err = say_errno("%s to %s", output->what, output->path);
	fatal_file_remove(FATAL_OUTPUT);
	free(temporary);
	return err;
}

static bool is_of_type(const char *path, mode_t type)
{
	struct stat st;

	return stat(path, &st) == 0 && (st.st_mode & S_IFMT) == type;
}

/* Creates what a link leads to, if that is missing. With O_CREAT at once the kernel may refuse
 * another user's file or FIFO in a folder like /tmp (fs.protected_fifos). */
static int open_to_write(const char *path)
{
	const int flags = O_WRONLY | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int fd = TEMP_FAILURE_RETRY(open(path, flags));

	if (fd < 0 && errno == ENOENT)
		fd = TEMP_FAILURE_RETRY(open(path, flags | O_CREAT, 0666));
	return fd;
}

/* Opening a FIFO succeeds once there is a reader, which may come late. */
static int open_special(const struct output *output, int wait_ms)
{
	uint64_t start = now_ns();
	bool said = false;
	int fd;

	while ((fd = open_to_write(output->path)) < 0 && errno == ENXIO &&
	       is_of_type(output->path, S_IFIFO)) {
		errno = ENXIO;
		if (wait_ms >= 0 && now_ns() - start >= (uint64_t)wait_ms * 1000000)
			return -1;
		if (!said)
			say("%s to %s: waiting for a reader", output->what, output->path);
		said = true;
		poll(NULL, 0, RETRY_MS);
	}
	return fd;
}

static int write_special(const struct output *output, int wait_ms)
{
	int fd = open_special(output, wait_ms);
	bool unread = fd < 0 && errno == ENXIO;
	bool ok = fd >= 0 && put_output(output, fd, wait_ms, false);

	if (fd >= 0)
		ok = close(fd) == 0 && ok;
	if (unread && is_of_type(output->path, S_IFSOCK)) {
		say("%s to %s: this is a socket", output->what, output->path);
		return -EOPNOTSUPP;
	}
	if (!ok && !unread)
		return tell_unwritten(output, output->path);
	if (ok)
		return 0;
	say("%s to %s: there is no reader, and the time limit has passed", output->what,
	    output->path);
	return -ENXIO;
}

int output_file_write(const struct output *output, int wait_ms)
{
	if (!strcmp(output->path, "-"))
		return write_stdout(output, wait_ms);
	return is_replaceable(output->path) ? write_file(output) : write_special(output, wait_ms);
}

/* May the name be given to another file? rmdir() of what is no folder changes nothing, and says so
 * only after whatever a rename would say as well: of a sticky folder, an immutable file. */
static int check_name(const char *path)
{
	char folder[PATH_MAX];
	struct statx st;

	/* A trial could not be removed again, either. */
	if (get_folder(path, folder) && statx(AT_FDCWD, folder, 0, STATX_TYPE, &st) == 0 &&
	    st.stx_attributes & STATX_ATTR_APPEND)
		return -EPERM;
	if (rmdir(path) == 0 || errno == ENOENT || errno == ENOTDIR)
		return 0;
	return -errno;
}

static int check_file(const char *path)
{
	char *temporary = NULL;
	int err = check_name(path);
	int fd = err ? -1 : open_temporary(path, &temporary);

	if (!err && fd < 0)
		err = -errno;
	if (fd >= 0) {
		close(fd);
		if (unlink(temporary) < 0) /* nor could it be renamed */
			err = -errno;
		fatal_file_keep(FATAL_OUTPUT);
	}
	free(temporary);
	return err;
}

/* A link to a missing file. A trial by that name might meet a file that has been made meanwhile. */
static int check_target(const char *link)
{
	char target[PATH_MAX];

	return follow_links(link, target) ? check_file(target) : -ENAMETOOLONG;
}

static int check_open(const char *path)
{
	int fd = TEMP_FAILURE_RETRY(open(path, O_WRONLY | O_CLOEXEC));

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* A pipe is not opened here: closing it would look like the end to its reader. */
static int check_special(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOENT ? check_target(path) : -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (S_ISSOCK(st.st_mode))
		return -EOPNOTSUPP;
	if (S_ISREG(st.st_mode))
		return check_open(path);
	return eaccess(path, W_OK) ? -errno : 0;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool stat_folder_of(const char *path, struct stat *st)
{
	char folder[PATH_MAX];

	return get_folder(path, folder) && stat(folder, st) == 0;
}

/* Would the same file be made by both names? Neither is there. */
static bool is_same_name(const char *path, const char *other)
{
	char first[PATH_MAX], second[PATH_MAX];
	struct stat a, b;

	if (!follow_links(path, first) || !follow_links(other, second))
		return false;
	return !strcmp(base_name(first), base_name(second)) &&
	       (!strcmp(first, second) ||
		(stat_folder_of(first, &a) && stat_folder_of(second, &b) && is_same(&a, &b)));
}

bool output_file_replaces(const char *path, const char *other)
{
	struct stat a, b;
	bool is_there = stat(path, &a) == 0;

	if ((stat(other, &b) == 0) != is_there)
		return false;
	if (is_there)
		return S_ISREG(a.st_mode) && is_same(&a, &b);
	return is_same_name(path, other);
}

int output_file_check(const char *option, const char *path)
{
	int err;

	if (!strcmp(path, "-"))
		return 0;
	err = is_replaceable(path) ? check_file(path) : check_special(path);
	return err ? say_error(err, "%s %s", option, path) : 0;
}
