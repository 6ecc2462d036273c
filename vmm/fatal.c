/* SPDX-License-Identifier: MIT */
#include "fatal.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "clock.h"

#define ASK_SIGNAL      SIGURG /* does nothing by default */
#define LONGEST_WAIT_NS 5000000000ull
#define RETRY_MS        10
#define NR_CRASHES      (sizeof(crashes) / sizeof(crashes[0]))

static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};

/* Used by the main thread alone; `made` is written last and read by its signal handlers. */
static struct {
	char path[PATH_MAX];
	dev_t dev;
	ino_t ino;
	volatile sig_atomic_t made;
} files[FATAL_NR_FILES];

/* Written once, before other threads exist. */
static void (*restore_terminal)(void);

/* By another thread, of the main thread; and that it is done. */
static atomic_bool asked, removed;

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

static void remove_files(void)
{
	for (enum fatal_file i = 0; i < FATAL_NR_FILES; i++)
		fatal_file_remove(i);
}

/* Ends all the same, if the main thread is stuck. */
static void have_files_removed(void)
{
	uint64_t start = now_ns();

	atomic_store(&asked, true);
	if (tgkill(getpid(), getpid(), ASK_SIGNAL) < 0)
		return;
	while (!atomic_load(&removed) && now_ns() - start < LONGEST_WAIT_NS)
		poll(NULL, 0, RETRY_MS);
}

/* On the main thread, which then does no more than wait for the end. */
static void on_asked(int signal)
{
	(void)signal;
	if (!atomic_load(&asked)) /* it came from outside */
		return;
	remove_files();
	atomic_store(&removed, true);
	poll(NULL, 0, LONGEST_WAIT_NS / 1000000);
}

void fatal_clean_up(void)
{
	if (restore_terminal)
		restore_terminal();
	if (gettid() == getpid())
		remove_files();
	else
		have_files_removed();
}

static void on_fatal(int signal)
{
	fatal_clean_up();
	/* SA_RESETHAND: it is delivered again after we return, and ends the process. */
	raise(signal);
	if (getpid() == 1) /* but not a container's first one */
		_exit(128 + signal);
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
	struct sigaction action = {.sa_handler = on_asked, .sa_flags = SA_RESTART};
	sigset_t ask;

	restore_terminal = restore;
	for (size_t i = 0; i < NR_CRASHES; i++)
		fatal_handle(crashes[i]);
	fatal_handle(SIGQUIT);
	sigaction(ASK_SIGNAL, &action, NULL);
	sigemptyset(&ask);
	sigaddset(&ask, ASK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &ask, NULL);
	signal(SIGXFSZ, SIG_IGN);
}

void fatal_unblock_crashes(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < NR_CRASHES; i++)
		sigaddset(&set, crashes[i]);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
