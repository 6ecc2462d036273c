/* SPDX-License-Identifier: MIT */
#include "signals.h"

#include <stddef.h>
#include <sys/signalfd.h>
#include "fatal.h"

void signals_ending(sigset_t *set)
{
	static const int ending[] = {SIGHUP,  SIGINT,  SIGTERM,   SIGUSR1, SIGUSR2, SIGALRM,
				     SIGPROF, SIGXCPU, SIGVTALRM, SIGIO,   SIGPWR,  SIGSTKFLT};

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		sigaddset(set, ending[i]);
	for (int i = SIGRTMIN; i <= SIGRTMAX; i++)
		sigaddset(set, i);
}

int signals_open(const sigset_t *ending, const sigset_t *others)
{
	struct sigaction old;
	sigset_t set = *others;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	for (int i = 1; i < NSIG; i++) {
		if (sigismember(ending, i) != 1)
			continue;
		fatal_handle(i);
		/* What was ignored at the start (nohup) stays so: a signalfd would see it. */
		if (sigaction(i, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaddset(&set, i);
	}
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd >= 0)
		sigprocmask(SIG_BLOCK, &set, NULL);
	return fd;
}
