/* SPDX-License-Identifier: MIT */
/*
 * vmm-top, the program behind `vmm top`: a live view of a running vmm, over its control socket. One
 * request is on its way at a time, and answers come in order; the view never waits for one, so that
 * keys work however slow the vmm is.
 */
#include <argp.h>
#include <locale.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "clock.h"
#include "control/connection.h"
#include "fatal.h"
#include "lost_output.h"
#include "options.h"
#include "say.h"
#include "signals.h"
#include "status.h"
#include "top/show.h"

#define MAX_SECONDS 3600
#define MAX_MESSAGE 200
#define GOES_ON     -1

static const char doc[] =
	"Shows what a running vmm does, by the socket of its --control: pins, syncs, aliases met, upcalls, purges, TLB "
	"flushes and exits a second, pages held lazily, page tables and how many of them are hot, "
	"and each vCPU's exits by reason. If standard input or output is no terminal, prints a "
	"line an interval.\v"
	"Keys: s asks for the next strategy, t for the next --track, p pauses and r resumes the guest, "
	"q quits.\n\n"
	"Exit status: 0 done, or the vmm has ended, however; 64 wrong command line; 69 no vmm at PATH, or it ended before its first answer, or "
	"an answer is no statistics; 71 a system call failed; 74 standard output failed; 128+N ended by signal N";

static const struct argp_option argp_options[] = {
	{"interval", 'i', "SEC", 0, "Seconds between two samples, 0.05 to 3600; default 1", 0},
	{"count", 'n', "N", 0, "End after N samples", 0},
	{NULL, 0, NULL, 0, NULL, 0},
};

struct top {
	const char *path;
	double interval;
	uint64_t count; /* 0: without end */
	struct connection connection;
	int signals, timer;
	bool on_screen;
	bool asked;            /* a request has no answer yet */
	bool asked_statistics; /* that request is for statistics */
	uint64_t asked_ns;     /* when */
	bool told;             /* that there is no answer yet */
	bool due;              /* time for a sample */
	const char *wish;      /* to be asked next, and its argument; NULL: none */
	const char *argument;
	enum alias_strategy strategy; /* asked for last, or the guest's */
	enum track_mode track;
	char message[MAX_MESSAGE];
	struct top_view view;
};

static error_t parse_key(int key, char *arg, struct argp_state *state)
{
	struct top *top = state->input;
	char *end;

	switch (key) {
	case 'i':
		top->interval = strtod(arg, &end);
		if (end == arg || *end || !(top->interval >= 0.05 && top->interval <= MAX_SECONDS))
			argp_error(state, "--interval takes 0.05 to 3600 seconds");
		return 0;
	case 'n':
		if (!parse_uint(arg, 1, UINT32_MAX, &top->count))
			argp_error(state, "--count takes a number from 1");
		return 0;
	case ARGP_KEY_ARG:
		if (top->path)
			argp_error(state, "too many arguments");
		top->path = arg;
		return 0;
	case ARGP_KEY_END:
		if (!top->path)
			argp_error(state, "PATH of the socket is needed");
		if (!*top->path || strlen(top->path) > OPTIONS_MAX_SOCKET)
			argp_error(state, "the path of a socket has 1 to %zu characters",
				   OPTIONS_MAX_SOCKET);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* --- its ends --------------------------------------------------------------------------------- */

static void leave_screen(struct top *top)
{
	if (top->on_screen)
		screen_stop();
	top->on_screen = false;
}

static int tell_end(struct top *top)
{
	leave_screen(top);
	say("%s: the vmm has ended", top->path);
	return top->view.nr ? 0 : VMM_EX_NOKVM;
}

static int tell_wrong(struct top *top, const char *why)
{
	leave_screen(top);
	say("%s: its answer is no statistics: %s", top->path, why);
	return VMM_EX_NOKVM;
}

/* --- requests --------------------------------------------------------------------------------- */

/* Sends what is to be asked next, if nothing is on its way. Returns false if the vmm has gone. */
static bool ask_next(struct top *top)
{
	json_t *request;
	bool sent;

	if (top->asked || (!top->wish && !top->due))
		return true;
	top->asked_statistics = !top->wish;
	if (top->asked_statistics)
		request = json_pack("{s:s}", "do", "statistics");
	else if (top->argument)
		request = json_pack("{s:s, s:s}", "do", top->wish, "name", top->argument);
	else
		request = json_pack("{s:s}", "do", top->wish);
	sent = connection_send(&top->connection, request);
	json_decref(request);
	top->due &= !top->asked_statistics;
	top->wish = top->argument = NULL;
	top->asked = true;
	top->asked_ns = now_ns();
	return sent;
}

static void show_top(const struct top *top)
{
	const char *message = top->told ? CONNECTION_WAITS : top->message;

	if (top->on_screen && (top->view.nr || *message))
		screen_show(&top->view, top->path, message);
}

/* Returns a status, or GOES_ON. */
static int take_sample(struct top *top, const json_t *answer)
{
	const char *wrong = top_view_add(&top->view, answer);
	char why[64];

	if (wrong) {
		snprintf(why, sizeof(why), "%s is missing, or of a wrong type", wrong);
		return tell_wrong(top, why);
	}
	flush_by_name(top->view.now.strategy, &top->strategy);
	track_by_name(top->view.now.track, &top->track);
	if (top->on_screen)
		return GOES_ON;
	line_print(&top->view);
	fflush(stdout);
	return GOES_ON;
}

/* The time until it is to be told that there is no answer; -1: never. */
static int silence_ms(const struct top *top)
{
	uint64_t waited_ms = (now_ns() - top->asked_ns) / 1000000;

	if (!top->asked || top->told)
		return -1;
	return waited_ms < CONNECTION_TELL_MS ? CONNECTION_TELL_MS - (int)waited_ms : 0;
}

static void tell_silence(struct top *top)
{
	if (silence_ms(top) != 0)
		return;
	top->told = true;
	show_top(top);
	if (!top->on_screen && isatty(STDERR_FILENO))
		say("%s: " CONNECTION_WAITS, top->path);
}

/* Shows what came of a wish, at once: with a sample. Returns a status, or GOES_ON. */
static int take_answer(struct top *top, const json_t *answer)
{
	const char *why = json_string_value(json_object_get(answer, "error"));
	int status = GOES_ON;

	top->asked = false;
	top->told = false;
	if (why && top->asked_statistics)
		return tell_wrong(top, why);
	if (why)
		snprintf(top->message, sizeof(top->message), "refused: %s", why);
	else if (top->asked_statistics)
		status = take_sample(top, answer);
	top->due |= !top->asked_statistics;
	if (status == GOES_ON)
		show_top(top);
	return status;
}

/* Returns a status, or GOES_ON. */
static int take_answers(struct top *top)
{
	enum connection_state state = CONNECTION_WAITING;
	int status = GOES_ON;
	json_t *answer;

	while (status == GOES_ON &&
	       (state = connection_receive(&top->connection, &answer)) == CONNECTION_ANSWERED) {
		status = take_answer(top, answer);
		json_decref(answer);
	}
	if (state == CONNECTION_ENDED)
		return tell_end(top);
	if (state == CONNECTION_WRONG)
		return tell_wrong(top, "no JSON object in a line");
	return status;
}

/* --- keys and signals ------------------------------------------------------------------------- */

static void wish_for(struct top *top, const char *wish, const char *argument)
{
	top->wish = wish;
	top->argument = argument;
	snprintf(top->message, sizeof(top->message), "asked: %s%s%s", wish, argument ? " " : "",
		 argument ? argument : "");
}

/* Those that can't be chosen in mid-run are left out. */
static void wish_for_next(struct top *top, bool strategy)
{
	if (strategy) {
		top->strategy = top->strategy + 1 < ALIAS_NR_FLUSH ? top->strategy + 1
								   : ALIAS_FLUSH_NONE + 1;
		wish_for(top, "strategy", flush_name(top->strategy));
	} else {
		top->track = top->track < TRACK_SCAN ? top->track + 1 : TRACK_DIRTY;
		wish_for(top, "track", track_name(top->track));
	}
}

/* Returns a status, or GOES_ON. */
static int handle_keys(struct top *top)
{
	int key;

	while ((key = screen_key())) {
		if (key == 'q')
			return 0;
		if (key == 's' || key == 't')
			wish_for_next(top, key == 's');
		if (key == 'p' || key == 'r')
			wish_for(top, key == 'p' ? "pause" : "resume", NULL);
	}
	show_top(top);
	return GOES_ON;
}

static void stop_for_shell(struct top *top)
{
	if (top->on_screen)
		screen_stop();
	raise(SIGSTOP);
	if (top->on_screen) {
		screen_start();
		screen_resize();
	}
	show_top(top);
}

static int handle_signals(struct top *top)
{
	struct signalfd_siginfo info;

	while (read(top->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTSTP) {
			stop_for_shell(top);
		} else if (info.ssi_signo == SIGWINCH) {
			if (top->on_screen)
				screen_resize();
			show_top(top);
		} else {
			return 128 + (int)info.ssi_signo;
		}
	}
	return GOES_ON;
}

/* --- the loop --------------------------------------------------------------------------------- */

static bool open_signals(struct top *top)
{
	sigset_t ending, others;

	signals_ending(&ending);
	sigaddset(&ending, SIGQUIT);
	sigaddset(&ending, SIGTSTP);
	sigemptyset(&others);
	sigaddset(&others, SIGWINCH);
	top->signals = signals_open(&ending, &others);
	return top->signals >= 0;
}

static bool open_timer(struct top *top)
{
	double whole;
	struct timespec every = {.tv_nsec = (long)(modf(top->interval, &whole) * 1e9)};
	struct itimerspec timer;

	every.tv_sec = (time_t)whole;
	timer = (struct itimerspec){.it_interval = every, .it_value = every};
	top->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return top->timer >= 0 && timerfd_settime(top->timer, 0, &timer, NULL) == 0;
}

/* Serves what poll() found. Returns a status, or GOES_ON. */
static int serve_top(struct top *top, const struct pollfd fds[4])
{
	uint64_t expired;
	int status = GOES_ON;

	if (fds[0].revents)
		status = handle_signals(top);
	if (status == GOES_ON && fds[1].revents)
		status = take_answers(top);
	if (status == GOES_ON && ferror(stdout)) {
		say("top: standard output failed");
		status = VMM_EX_IOERR;
	}
	if (status == GOES_ON && top->count && top->view.nr >= top->count)
		status = 0;
	if (fds[2].revents && read(top->timer, &expired, sizeof(expired)) > 0)
		top->due = true;
	if (status == GOES_ON && fds[3].revents & POLLIN)
		status = handle_keys(top);
	else if (status == GOES_ON && fds[3].revents)
		status = 128 + SIGHUP; /* the terminal has gone */
	return status;
}

static int run_top(struct top *top)
{
	struct pollfd fds[] = {
		{.fd = top->signals, .events = POLLIN},
		{.fd = top->connection.fd, .events = POLLIN},
		{.fd = top->timer, .events = POLLIN},
		{.fd = top->on_screen ? STDIN_FILENO : -1, .events = POLLIN},
	};
	int status = GOES_ON;

	top->due = true;
	while (status == GOES_ON) {
		if (!ask_next(top))
			return tell_end(top);
		if (poll(fds, 4, silence_ms(top)) > 0)
			status = serve_top(top, fds);
		if (status == GOES_ON)
			tell_silence(top);
	}
	return status;
}

static int start_top(struct top *top)
{
	int status;

	if (!open_signals(top) || !open_timer(top)) {
		say_errno("top: signals and timer");
		return VMM_EX_OSERR;
	}
	if (!connection_open(&top->connection, top->path))
		return VMM_EX_NOKVM;
	top->on_screen = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && screen_start();
	status = run_top(top);
	leave_screen(top);
	return status;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = argp_options, .parser = parse_key, .args_doc = "PATH", .doc = doc};
	static struct top top = {.interval = 1};
	char name[] = "vmm top"; /* what argp's and getopt's messages begin with */
	int status;

	fatal_install(screen_restore);
	setlocale(LC_ALL, "");
	setlocale(LC_NUMERIC, "C");
	if (argc > 0)
		argv[0] = name;
	atexit(lost_output_ends);
	argp_err_exit_status = VMM_EX_USAGE;
	if (argp_parse(&argp, argc, argv, 0, NULL, &top))
		return VMM_EX_USAGE;
	status = start_top(&top);
	connection_close(&top.connection);
	if (!status)
		return 0;
	/* What has ended it counts more than that output was lost. */
	fflush(stdout);
	_exit(status);
}
