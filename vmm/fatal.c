/* SPDX-License-Identifier: MIT */
#include "fatal.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Used by the main thread alone; `made` is written last and read by its signal handlers. */
static struct {
	char path[PATH_MAX];
	dev_t dev;
	ino_t ino;
	volatile sig_atomic_t made;
} files[FATAL_NR_FILES];

/* Written once, before other threads exist. */
static void (*restore_terminal)(void);

int fatal_file_made(enum fatal_file which, const char *path)
{
	struct stat st;

	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	if (lstat(path, &st) < 0)
		return -errno;
	strcpy(files[which].path, path);
	files[which].dev = st.st_dev;
	files[which].ino = st.st_ino;
	files[which].made = 1;
	return 0;
}

void fatal_file_keep(enum fatal_file which)
{
	files[which].made = 0;
}

void fatal_file_remove(enum fatal_file which)
{
	struct stat st;

	if (!files[which].made)
		return;
	if (lstat(files[which].path, &st) == 0 && st.st_dev == files[which].dev &&
	    st.st_ino == files[which].ino)
		unlink(files[which].path);
	files[which].made = 0;
}

void fatal_clean_up(void)
{
	if (restore_terminal)
		restore_terminal();
	if (gettid() != getpid())
		return;
	for (enum fatal_file i = 0; i < FATAL_NR_FILES; i++)
		fatal_file_remove(i);
}

static void on_fatal(int signal)
{
	fatal_clean_up();
	/* SA_RESETHAND: it is delivered again after we return, and ends the process. */
	raise(signal);
}

void fatal_handle(int signal)
{
	struct sigaction action = {.sa_handler = on_fatal, .sa_flags = SA_RESETHAND}, old;

	/* A sanitizer has a handler of its own. */
	if (sigaction(signal, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
		sigaction(signal, &action, NULL);
}

void fatal_install(void (*restore)(void))
{
	static const int crashes[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,
				      SIGABRT, SIGQUIT, SIGTRAP, SIGSYS};

	restore_terminal = restore;
	for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
		fatal_handle(crashes[i]);
	signal(SIGXFSZ, SIG_IGN);
}
