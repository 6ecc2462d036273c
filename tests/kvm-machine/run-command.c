/* SPDX-License-Identifier: MIT */
/*
 * run-command PORT: inside the emulated machine, run the command described in /machine with its
 * standard streams carried over the virtio-serial ports PORT1 (stdin), PORT2 (stdout) and PORT3
 * (stderr). A number read from PORT4 is a signal for the command. Prints the command's exit status:
 * 128 + N when signal N ended it, 127 when it was not found and 126 when it could not be run.
 * Whatever the command leaves running is killed when it ends, as the machine ends then.
 *
 * The command gets pipes, not the ports: a port can be opened only once, so /dev/stdout would not
 * work, and a write to one is cut at 32 KiB.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_AFTER_S 3 /* a command that outlives its signal by this much is killed */

enum { OUT, ERR, CONTROL, SIGNALS, SOURCES };

/* Reads /machine/NAME, a list of strings that each end in NUL, into a NULL-ended vector. */
static char **read_strings(const char *name)
{
	char path[64], *text = NULL, **strings = calloc(1, sizeof(*strings));
	size_t size = 0, count = 0;
	snprintf(path, sizeof(path), "/machine/%s", name);
	FILE *file = fopen(path, "re");
	if (!file || !strings)
		err(126, "%s", path);
	while (getdelim(&text, &size, '\0', file) > 0) {
		strings = reallocarray(strings, count + 2, sizeof(*strings));
		if (!strings)
			err(126, "%s", path);
		strings[count++] = text;
		strings[count] = NULL;
		text = NULL;
	}
	free(text);
	fclose(file);
	return strings;
}

static int open_port(const char *port, int number, int flags)
{
	char path[64];
	snprintf(path, sizeof(path), "%s%d", port, number);
	int fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

/* Copies what one read from `from` yields. False at its end, or when nobody reads `to` any more. */
static bool copy_some(int from, int to)
{
	static char buffer[64 << 10];
	ssize_t length = read(from, buffer, sizeof(buffer)), written = 0;
	for (ssize_t done = 0; done < length; done += written) {
		written = write(to, buffer + done, length - done);
		if (written < 0)
			return false;
	}
	return length > 0;
}

static pid_t start_process(void)
{
	pid_t pid = fork();
	if (pid < 0)
		err(1, "fork");
	return pid;
}

/* A process of its own passes stdin on, so that a command that reads none holds up nothing else. */
static int start_stdin(const char *port)
{
	int pipe_ends[2];
	if (pipe2(pipe_ends, O_CLOEXEC))
		err(1, "pipe");
	if (start_process() == 0) {
		close(pipe_ends[0]);
		int from = access("/machine/stdin", F_OK) == 0
				   ? open("/machine/stdin", O_RDONLY | O_CLOEXEC)
				   : open_port(port, 1, O_RDONLY);
		while (copy_some(from, pipe_ends[1]))
			;
		_exit(0);
	}
	close(pipe_ends[1]);
	return pipe_ends[0];
}

/* In the child: becomes the command, or says on its stderr why not. */
static void become_command(const int stdio[3], const sigset_t *mask)
{
	for (int i = 0; i < 3; i++)
		if (dup2(stdio[i], i) < 0)
			err(126, "dup2");
	char **directory = read_strings("directory");
	char **argv = read_strings("command");
	environ = read_strings("environment");
	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	if (!directory[0] || chdir(directory[0]))
		err(126, "cannot enter the working directory");
	if (!argv[0])
		errx(126, "no command");
	execvp(argv[0], argv);
	int status = errno == ENOENT ? 127 : 126;
	err(status, "%s", argv[0]);
}

/* Starts the command; the reading ends of its stdout and stderr are left in `sources`. */
static pid_t start_command(int in, struct pollfd *sources, const sigset_t *mask)
{
	bool merged = access("/machine/merged", F_OK) == 0; /* stderr is the same file as stdout */
	int out[2], error[2];
	if (pipe2(out, O_CLOEXEC) || pipe2(error, O_CLOEXEC))
		err(1, "pipe");
	pid_t pid = start_process();
	if (pid == 0)
		become_command((int[]){in, out[1], merged ? out[1] : error[1]}, mask);
	setpgid(pid, pid); /* in both, so that it is done before a signal can be passed on */
	close(in);
	close(out[1]);
	close(error[1]);
	sources[OUT].fd = out[0];
	sources[ERR].fd = error[0];
	return pid;
}

/* Reaps what has ended. True when the command is among it; its wait status is in *status then. */
static bool reap(pid_t command, int *status)
{
	bool ended = false;
	int one;
	for (pid_t pid; (pid = waitpid(-1, &one, WNOHANG)) > 0;) {
		if (pid == command) {
			*status = one;
			ended = true;
		}
	}
	return ended;
}

/* Passes the signal on whose number the host sent, and sees to it that the command ends by it. */
static void pass_signal(int control, pid_t command)
{
	char text[16];
	ssize_t length = read(control, text, sizeof(text) - 1);
	if (length <= 0)
		return;
	text[length] = '\0';
	kill(-command, atoi(text));
	alarm(KILL_AFTER_S);
}

/*
 * Carries the streams until the command has ended and all that was written is passed on. When it
 * ends, or its time is up, every process but the first and this one is killed, which also closes
 * the pipes.
 */
static int carry(struct pollfd *sources, const int *ports, pid_t command)
{
	struct signalfd_siginfo event;
	int status = 0;
	bool running = true;
	while (running || sources[OUT].fd >= 0 || sources[ERR].fd >= 0) {
		if (poll(sources, SOURCES, -1) < 0)
			err(1, "poll");
		for (int i = OUT; i <= ERR; i++)
			if (sources[i].revents && !copy_some(sources[i].fd, ports[i]))
				sources[i].fd = -1;
		if ((sources[CONTROL].revents & POLLIN) && running)
			pass_signal(sources[CONTROL].fd, command);
		if (!sources[SIGNALS].revents ||
		    read(sources[SIGNALS].fd, &event, sizeof(event)) < 0)
			continue;
		if (running && reap(command, &status))
			running = false;
		if (!running || event.ssi_signo == SIGALRM)
			kill(-1, SIGKILL);
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(1, "usage: run-command PORT");
	struct pollfd sources[SOURCES] = {0};
	int ports[] = {
		[OUT] = open_port(argv[1], 2, O_WRONLY), [ERR] = open_port(argv[1], 3, O_WRONLY)};
	sigset_t awaited, old;
	sigemptyset(&awaited);
	sigaddset(&awaited, SIGCHLD);
	sigaddset(&awaited, SIGALRM);
	sigprocmask(SIG_BLOCK, &awaited, &old);
	signal(SIGPIPE, SIG_IGN);
	sources[CONTROL].fd = open_port(argv[1], 4, O_RDONLY);
	sources[SIGNALS].fd = signalfd(-1, &awaited, SFD_CLOEXEC);
	if (sources[SIGNALS].fd < 0)
		err(1, "signalfd");
	for (int i = 0; i < SOURCES; i++)
		sources[i].events = POLLIN;
	pid_t command = start_command(start_stdin(argv[1]), sources, &old);
	printf("%d\n", carry(sources, ports, command));
	return 0;
}
