/* SPDX-License-Identifier: MIT */
#include <malloc.h>
#include <unistd.h>
#include <fcntl.h>
#include "events.h"
#include "image.h"
#include "machine.h"
#include "options.h"
#include "pin.h"
#include "say.h"
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

/* From the first vCPU's start to the machine's end; returns the program's status. */
static int run(struct machine *machine, int signal_fd)
{
	int status = machine_start(machine);

	if (!status && events_serve(machine, signal_fd))
		status = VMM_EX_OSERR;
	if (status)
		machine_stop(machine, status);
	machine_join(machine);
	return atomic_load(&machine->status);
}

static int boot(const struct options *opt, const struct image *image)
{
	int signal_fd = events_block_signals();
	struct machine machine;
	int status;

	if (signal_fd < 0)
		return VMM_EX_OSERR;
	status = machine_init(&machine, opt, image);
	if (!status)
		status = run(&machine, signal_fd);
	terminal_restore();
	machine_free(&machine);
	close(signal_fd);
	return status;
}

int main(int argc, char **argv)
{
	struct options opt;
	struct image image;
	int status;

	fill_standard_fds();
	/* One arena for all threads: more would cost memory, and nothing here allocates often. */
	mallopt(M_ARENA_MAX, 1);
	options_parse(&opt, argc, argv);
	status = image_open(&image, opt.guest);
	if (!status) {
		status = boot(&opt, &image);
		image_free(&image);
	}
	options_free(&opt);
	return status;
}
