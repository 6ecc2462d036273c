/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>
#include "console.h"
#include "events.h"
#include "image.h"
#include "machine.h"
#include "options.h"
#include "pin.h"
#include "probe.h"
#include "say.h"
#include "stats.h"
#include "status.h"
#include "terminal.h"

/* A descriptor 0, 1 or 2 that our parent closed must not become a device of the guest: what is
 * opened here fails when it is read or written, as a closed one would. */
static void fill_standard_fds(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

/* From the first vCPU's start to the machine's end; returns the machine's status. */
static int run(struct machine *machine, int signal_fd)
{
	int status = machine_start(machine);

	if (!status && events_serve(machine, signal_fd))
		status = VMM_EX_OSERR;
	if (status)
		machine_stop(machine, status);
	machine_join(machine);
	terminal_restore();
	events_unblock_signals();
	return atomic_load(&machine->status);
}

/* What is left to do when the vCPUs have ended; returns the program's status. A guest that ended
 * by itself does not hide that the host found something wrong. */
static int finish(struct machine *machine, int status)
{
	const struct options *opt = machine->opt;
	json_t *stats;
	int failed;

	console_drain(machine->console);
	if (!pin_final_audit(machine) && status <= (int)ALIAS_EXIT_MAX)
		status = VMM_EX_VIOLATION;
	if (opt->verbose)
		say("ended with status %d after %.3f s", status, machine_seconds(machine));
	if (!opt->stats)
		return status;
	stats = stats_collect(machine, status);
	failed = stats_write(stats, opt->stats);
	json_decref(stats);
	return failed && status <= (int)ALIAS_EXIT_MAX ? failed : status;
}

static int boot(const struct options *opt)
{
	struct machine machine;
	struct image image;
	int status = image_open(&image, opt->guest);
	int signal_fd;

	if (status)
		return status;
	/* Before any thread is started: they all inherit it. */
	signal_fd = events_block_signals();
	status = signal_fd < 0 ? VMM_EX_OSERR : machine_init(&machine, opt, &image);
	image_free(&image);
	if (!status)
		status = finish(&machine, run(&machine, signal_fd));
	if (signal_fd >= 0) {
		machine_free(&machine);
		close(signal_fd);
	}
	return status;
}

int main(int argc, char **argv)
{
	struct options opt;
	int status;

	fill_standard_fds();
	/* One arena for all threads: more would cost memory, and nothing here allocates often. */
	mallopt(M_ARENA_MAX, 1);
	options_parse(&opt, argc, argv);
	status = opt.probe ? probe_print(opt.json) : boot(&opt);
	options_free(&opt);
	return status;
}
