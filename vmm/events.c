/* SPDX-License-Identifier: MIT */
#include "events.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "devices/console.h"
#include "control/control.h"
#include "control/request.h"
#include "devices/input.h"
#include "fatal.h"
#include "gdb/gdb.h"
#include "live_audit.h"
#include "machine.h"
#include "say.h"
#include "signals.h"
#include "status.h"
#include "devices/virtio_console.h"

/* SIGUSR1 is the kick. */
static void machine_ending_signals(sigset_t *set)
{
	signals_ending(set);
	sigdelset(set, VCPU_KICK_SIGNAL);
}

static void do_nothing(int signal)
{
	(void)signal;
}

static int block_signals(void)
{
	struct sigaction action = {.sa_handler = do_nothing};
	sigset_t ending, others, kick;
	int fd;

	machine_ending_signals(&ending);
	sigemptyset(&others);
	sigaddset(&others, SIGCONT);
	sigaddset(&others, SIGWINCH);
	fd = signals_open(&ending, &others);
	if (fd < 0)
		return say_errno("signalfd");
	sigaction(VCPU_KICK_SIGNAL, &action, NULL);
	sigemptyset(&kick);
	sigaddset(&kick, VCPU_KICK_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &kick, NULL);
	return fd;
}

int events_open(struct events *events, const struct options *opt)
{
	*events = (struct events){.signal_fd = block_signals()};
	if (events->signal_fd < 0)
		return events->signal_fd;
	if (opt->control && !(events->control = control_open(opt->control)))
		return -EIO;
	if (opt->gdb && !(events->gdb = gdb_open(opt->gdb)))
		return -EIO;
	return 0;
}

void events_close(struct events *events)
{
	control_close(events->control);
	gdb_close(events->gdb);
	if (events->signal_fd >= 0)
		close(events->signal_fd);
	*events = (struct events){.signal_fd = -1};
}

void events_unblock_signals(void)
{
	sigset_t set;

	machine_ending_signals(&set);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void say_ended_by(int signal)
{
	const char *name = sigabbrev_np(signal);

	if (name)
		say("ended by SIG%s", name);
	else
		say("ended by SIGRTMIN+%d", signal - SIGRTMIN);
}

static void pass_on_size(const struct machine *machine)
{
	struct terminal_size size;

	if (machine->virtio_console && terminal_get_size(&size))
		virtio_console_resize(machine->virtio_console, &size);
}

static void take_signal(struct machine *machine, struct input *input, int signal_fd)
{
	struct signalfd_siginfo info;

	while (read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCONT)
			input_continued(input);
		if (info.ssi_signo == SIGCONT || info.ssi_signo == SIGWINCH) {
			pass_on_size(machine);
			continue;
		}
		stop_request(&machine->stop, 128 + (int)info.ssi_signo);
		say_ended_by((int)info.ssi_signo);
	}
}

static int set_timer(int fd, uint64_t ms)
{
	struct itimerspec at = {.it_value = {.tv_sec = (time_t)(ms / 1000),
					     .tv_nsec = (long)(ms % 1000) * 1000000}};

	return timerfd_settime(fd, 0, &at, NULL);
}

static int create_timer(uint64_t ms)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	if (fd < 0 || set_timer(fd, ms) < 0) {
		int err = say_errno("timerfd");

		if (fd >= 0)
			close(fd);
		return err;
	}
	return fd;
}

enum source {
	STOP,
	SIGNAL,
	TIMEOUT,
	WATCH,
	SAID,
	CONSOLE,
	ROOM,
	INPUT,
	CONTROL,
	GDB = CONTROL + CONTROL_NR_FDS,
	NR_SOURCES = GDB + GDB_NR_FDS
};

static void serve_once(struct machine *machine, struct input *input, const struct pollfd *fds)
{
	uint64_t count;

	if (fds[SIGNAL].revents)
		take_signal(machine, input, fds[SIGNAL].fd);
	if (fds[TIMEOUT].revents) {
		stop_request(&machine->stop, VMM_EX_TIMEOUT);
		say("ended: the time limit of %u s has passed", machine->opt->timeout);
	}
	if (fds[SAID].revents)
		say_serve();
	if (fds[CONSOLE].revents)
		console_tick(machine->console);
	if (fds[ROOM].revents && read(fds[ROOM].fd, &count, sizeof(count)) > 0)
		input_room(input);
	if (fds[INPUT].revents && input_read(input) == INPUT_QUIT) {
		stop_request(&machine->stop, VMM_EX_QUIT);
		say("ended from the console");
	}
}

/* Sets those that there are to be. Returns 0, or a negated errno after a message. */
static int create_timers(const struct options *opt, int *timeout, int *watch)
{
	if (opt->timeout > 0 && (*timeout = create_timer(opt->timeout * 1000ull)) < 0)
		return *timeout;
	if (opt->watch > 0 && (*watch = create_timer(opt->watch)) < 0)
		return *watch;
	return 0;
}

/* The next look is so much later than this one's end: however long looks take, the guest runs. */
static int watch_once(const struct control_target *target, int timer)
{
	if (!*target->audit)
		*target->audit = live_audit_new(target->machine);
	if (!*target->audit) {
		say("watch: out of memory");
		return -ENOMEM;
	}
	live_audit_say_changes(*target->audit);
	return set_timer(timer, target->machine->opt->watch) < 0 ? say_errno("timerfd") : 0;
}

int events_serve(const struct events *events, struct machine *machine, struct pin *pin)
{
	struct live_audit *audit = NULL;
	const struct control_target target = {.machine = machine, .pin = pin, .audit = &audit};
	struct pollfd fds[NR_SOURCES] = {
		[STOP] = {.fd = machine->stop.fd, .events = POLLIN},
		[SIGNAL] = {.fd = events->signal_fd, .events = POLLIN},
		[TIMEOUT] = {.fd = -1, .events = POLLIN},
		[WATCH] = {.fd = -1, .events = POLLIN},
		[CONSOLE] = {.fd = console_timer_fd(machine->console), .events = POLLIN},
		[ROOM] = {.fd = machine->input.room_fd, .events = POLLIN},
		[INPUT] = {.events = POLLIN},
	};
	struct input input;
	int err;

	err = create_timers(machine->opt, &fds[TIMEOUT].fd, &fds[WATCH].fd);
	input_init(&input, &machine->input);
	while (!stop_requested(&machine->stop) && !err) {
		/* poll() works for regular files, too; epoll does not. */
		fds[INPUT].fd = input_wanted(&input) ? STDIN_FILENO : -1;
		say_poll(&fds[SAID]);
		control_poll(events->control, &fds[CONTROL]);
		gdb_poll(events->gdb, &fds[GDB]);
		if (poll(fds, NR_SOURCES, -1) < 0) {
			if (errno != EINTR)
				err = say_errno("poll");
			continue;
		}
		serve_once(machine, &input, fds);
		if (fds[WATCH].revents)
			err = watch_once(&target, fds[WATCH].fd);
		if (events->control)
			control_serve(events->control, &target, &fds[CONTROL]);
		if (events->gdb)
			gdb_serve(events->gdb, &fds[GDB]);
	}
	if (fds[TIMEOUT].fd >= 0)
		close(fds[TIMEOUT].fd);
	if (fds[WATCH].fd >= 0)
		close(fds[WATCH].fd);
	live_audit_free(audit);
	return err;
}
