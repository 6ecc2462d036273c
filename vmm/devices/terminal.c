/* SPDX-License-Identifier: MIT */
#include "devices/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include "say.h"

static struct termios original;
/* Set when `original` is complete; read by signal handlers on any thread. */
static volatile sig_atomic_t changed;

static bool set_attributes(const struct termios *attributes)
{
	return TEMP_FAILURE_RETRY(tcsetattr(STDIN_FILENO, TCSANOW, attributes)) == 0;
}

/* If this fails, the next call tries again; the last call is from exit(). */
void terminal_restore(void)
{
	if (changed && set_attributes(&original))
		changed = 0;
}

bool terminal_present(void)
{
	if (isatty(STDIN_FILENO))
		return true;
	if (errno == EIO)
		say_errno("standard input: nothing is read from it");
	return false;
}

/* Is this process in the foreground? Prints a message if that can't be determined. */
static bool in_foreground(void)
{
	pid_t group = tcgetpgrp(STDIN_FILENO);

	if (group < 0 && errno != ENOTTY)
		say_errno("terminal: its foreground process group; nothing is read from it");
	return group == getpgrp();
}

bool terminal_raw(void)
{
	static bool installed; /* exit() calls terminal_restore() */
	struct termios raw;

	if (!in_foreground())
		return false;
	if (!changed && tcgetattr(STDIN_FILENO, &original) < 0) {
		say_errno("terminal: its settings; nothing is read from it");
		return false;
	}
	if (!installed) {
		atexit(terminal_restore);
		installed = true;
	}
	changed = 1;
	raw = original;
	/* Output processing stays on, so that a newline of the guest's or of vmm's begins a
	 * line. */
	raw.c_iflag &=
		~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	raw.c_cflag = (raw.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (set_attributes(&raw))
		return true;
	say_errno("terminal: raw mode; nothing is read from it");
	return false;
}

bool terminal_get_size(struct terminal_size *size)
{
	static const int fds[] = {STDOUT_FILENO, STDIN_FILENO};
	struct winsize now;

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (ioctl(fds[i], TIOCGWINSZ, &now) < 0 || now.ws_col == 0 || now.ws_row == 0)
			continue;
		*size = (struct terminal_size){.columns = now.ws_col, .rows = now.ws_row};
		return true;
	}
	return false;
}
