/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../alias-audit/names.h"
#include "devices/blk/image.h"
#include "devices/console.h"
#include "control/control.h"
#include "control/ctl.h"
#include "events.h"
#include "fatal.h"
#include "gdb/gdb.h"
#include "installed.h"
#include "kvm/exit.h"
#include "boot/image.h"
#include "boot/linux.h"
#include "boot/symbols.h"
#include "lost_output.h"
#include "machine.h"
#include "options.h"
#include "pin/pin.h"
#include "probe.h"
#include "sandbox/trap.h"
#include "say.h"
#include "standard_fds.h"
#include "stats.h"
#include "output_file.h"
#include "status.h"
#include "trace.h"
#include "trace_json.h"
#include "devices/terminal.h"
#include "devices/virtio_console.h"

/* --- from errors to statuses ------------------------------------------------------------------ */

/* The error of opening or reading a file that the command line names: the user can fix it, unless
 * it is the host's. */
static int disk_status(int err)
{
	switch (-err) {
	case ENOENT:
	case ENOTDIR:
	case EISDIR:
	case ELOOP:
	case ENXIO:
	case EACCES:
	case EPERM:
	case EROFS:
	case EINVAL:
	case EWOULDBLOCK: /* locked by another program */
		return VMM_EX_NOINPUT;
	default:
		return VMM_EX_OSERR;
	}
}

/* The error of reading or loading an image or an initrd. */
static int image_status(int err)
{
	switch (-err) {
	case ENOEXEC:
		return VMM_EX_DATAERR;
	case ENOSPC:
		return VMM_EX_SOFTWARE;
	case ENOMEM:
		return VMM_EX_OSERR;
	default:
		return VMM_EX_NOINPUT;
	}
}

/* The error of reading names. */
static int names_status(int err)
{
	switch (-err) {
	case ENOENT:
		return VMM_EX_NOINPUT;
	case EINVAL:
		return VMM_EX_DATAERR;
	default:
		return VMM_EX_OSERR;
	}
}

static int options_status(int err)
{
	return err == -EINVAL ? VMM_EX_USAGE : VMM_EX_OSERR;
}

/* --- the machine ------------------------------------------------------------------------------ */

/* Runs the machine until its end. Returns its status. */
static int run_machine(struct machine *machine, struct pin *pin, const struct events *events)
{
	if (machine_start(machine) || events_serve(events, machine, pin))
		stop_request(&machine->stop, VMM_EX_OSERR);
	/* What follows waits for disks, which may be slow. */
	events_unblock_signals();
	machine_join(machine);
	terminal_restore();
	return atomic_load(&machine->stop.status);
}

/* A kernel whose console is a module says nothing before that is loaded, whatever happens. */
static void tell_silence(const struct machine *machine, int status)
{
	if (!machine->is_linux || status == 0 || status == VMM_EX_QUIT)
		return;
	if (atomic_load_explicit(&machine->first_char.exits, memory_order_acquire) == 0 &&
	    linux_uses_hvc(machine->opt->bootargs) &&
	    !virtio_console_has_driver(machine->virtio_console))
		say("the guest has printed nothing: after -- console=ttyS0 it prints what it does "
		    "from the start");
}

static int write_stats(const json_t *stats, const char *path, int wait_ms)
{
	struct output output = {.what = "statistics", .path = path};
	char *text = json_dumps(stats, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	char *line = NULL;
	int err = -ENOMEM;

	if (text && asprintf(&line, "%s\n", text) >= 0) {
		output.text = line;
		err = output_file_write(&output, wait_ms);
		free(line);
	} else {
		say("statistics to %s: out of memory", path);
	}
	free(text);
	return err;
}

struct trace_text {
	const struct trace *trace;
	const struct symbols *symbols;
};

static int put_trace(void *ctx, const char *text, size_t len)
{
	return output_put(ctx, text, len);
}

static int print_trace(const void *ctx, struct output_stream *to)
{
	_Static_assert(TRACE_NAME_MAX == SYMBOLS_MAX_NAME, "");
	const struct trace_text *text = ctx;
	const struct trace_names names = {exit_name, symbols_caller, text->symbols};

	return trace_write(text->trace, &names, &(struct trace_sink){put_trace, to});
}

/* The writers of all tracks have ended. Returns 0, or a negated errno after a message. */
static int write_trace(const struct trace *trace, const struct symbols *symbols, const char *path,
		       int wait_ms)
{
	const struct trace_text text = {trace, symbols};
	const struct output output = {
		.what = "trace", .path = path, .print = print_trace, .ctx = &text};

	return output_file_write(&output, wait_ms);
}

/* A guest that ended by itself does not hide an error that the host found. */
static int worse_status(int status, int found)
{
	return found && status <= (int)ALIAS_EXIT_MAX ? found : status;
}

/* Work after the vCPUs have ended. Returns the program's status. */
static int finish_machine(struct machine *machine, struct pin *pin, int status)
{
	const struct options *opt = machine->opt;
	json_t *stats;

	if (!console_drain(machine->console))
		status = worse_status(status, VMM_EX_IOERR);
	if (pin && !pin_final_audit(pin))
		status = worse_status(status, VMM_EX_VIOLATION);
	if (!machine_sync_disks(machine))
		status = worse_status(status, VMM_EX_IOERR);
	tell_silence(machine, status);
	if (opt->verbose)
		say("ended with status %d after %.3f s", status, machine_seconds(machine));
	if (!opt->stats)
		return status;
	stats = stats_collect(machine, pin, status);
	if (write_stats(stats, opt->stats, machine_time_left(machine)))
		status = worse_status(status, VMM_EX_IOERR);
	json_decref(stats);
	return status;
}

/* Returns 0, or a status after a message. */
static int create_machine(struct machine *machine, const struct options *opt,
			  const struct image *image, struct trace *trace)
{
	int err;

	if (machine_init(machine, opt, image, trace))
		return VMM_EX_OSERR;
	if (opt->symbols && !(machine->names = names_read(opt->symbols, &err)))
		return names_status(err);
	err = machine_load(machine, image);
	if (err)
		return image_status(err);
	if (machine_open_kvm(machine))
		return VMM_EX_NOKVM;
	if (machine_create_vm(machine))
		return VMM_EX_OSERR;
	err = machine_add_disks(machine);
	if (err)
		return disk_status(err);
	return machine_enter_image(machine, image) ? VMM_EX_OSERR : 0;
}

/* Serves pins, if the guest is one that makes them, and a debugger. Returns 0, or a status after a
 * message. */
static int attach_pin_and_gdb(struct machine *machine, const struct image *image, struct pin **pin,
			      const struct events *events)
{
	if (!machine->is_linux && !(*pin = pin_create(machine)))
		return VMM_EX_OSERR;
	if (events->gdb)
		gdb_attach(events->gdb, &machine->vm, image, machine->kvm_fd);
	return 0;
}

/* Takes over what was opened. */
static int boot_machine(const struct options *opt, struct image *image, struct events *events,
			struct trace *trace)
{
	struct machine machine;
	struct pin *pin = NULL; /* a Linux has none */
	bool named = image->kind == IMAGE_GUEST && (opt->verbose || opt->control || trace);
	struct symbols *symbols = named ? symbols_read(image) : NULL;
	int status = create_machine(&machine, opt, image, trace);
	bool ready;

	machine.symbols = symbols;
	if (!status)
		status = attach_pin_and_gdb(&machine, image, &pin, events);
	if (!symbols) /* they may be in the image */
		image_free(image);
	ready = !status;
	if (ready)
		status = run_machine(&machine, pin, events);
	if (ready && events->gdb)
		gdb_ended(events->gdb, status);
	events_close(events);
	if (ready)
		status = finish_machine(&machine, pin, status);
	pin_free(pin);
	machine_free(&machine);
	if (ready && trace && write_trace(trace, symbols, opt->trace, machine_time_left(&machine)))
		status = worse_status(status, VMM_EX_IOERR);
	symbols_free(symbols);
	return status;
}

/* Is the output one of the files that the run reads? Says so. */
static bool replaces_input(const struct options *opt, const char *option, const char *path)
{
	const char *what = NULL;

	for (unsigned i = 0; i < opt->nr_disks; i++)
		if (output_file_replaces(path, opt->disk[i].path))
			what = "a disk";
	if (output_file_replaces(path, opt->guest))
		what = "the guest image";
	if (opt->initrd && output_file_replaces(path, opt->initrd))
		what = "the initrd";
	if (opt->symbols && output_file_replaces(path, opt->symbols))
		what = "the file of --symbols";
	if (what)
		say("%s %s: that is %s, which would be replaced", option, path, what);
	return what != NULL;
}

/* Are two of the files and sockets that the run makes one? Says so. */
static bool makes_one_twice(const struct options *opt)
{
	const struct {
		const char *option, *path;
	} made[] = {
		{"--stats", opt->stats},
		{"--trace", opt->trace},
		{"--control", opt->control},
		{"--gdb", opt->gdb && strchr(opt->gdb, '/') ? opt->gdb : NULL}, /* or a port */
	};
	const size_t nr = sizeof(made) / sizeof(made[0]);

	for (size_t i = 0; i < nr; i++)
		for (size_t k = i + 1; k < nr; k++) {
			if (!made[i].path || !made[k].path ||
			    !output_file_replaces(made[i].path, made[k].path))
				continue;
			say("%s and %s both name %s", made[i].option, made[k].option, made[i].path);
			return true;
		}
	return false;
}

/* Checks what can be checked before the machine is made. Returns 0, or a status after a message. */
static int check_files(const struct options *opt)
{
	if (!blk_images_are_distinct(opt->disk, opt->nr_disks))
		return VMM_EX_USAGE;
	if ((opt->stats && replaces_input(opt, "--stats", opt->stats)) ||
	    (opt->trace && replaces_input(opt, "--trace", opt->trace)))
		return VMM_EX_USAGE;
	if (makes_one_twice(opt))
		return VMM_EX_USAGE;
	if ((opt->stats && output_file_check("--stats", opt->stats)) ||
	    (opt->trace && output_file_check("--trace", opt->trace)))
		return VMM_EX_IOERR;
	return 0;
}

static int boot_image(const struct options *opt, struct image *image)
{
	struct trace trace = {0};
	struct events events;
	int status = VMM_EX_OSERR;

	/* All before any thread starts, since threads inherit it. */
	if (events_open(&events, opt) == 0 &&
	    (!opt->trace || trace_init(&trace, opt->cpus, opt->nr_disks) == 0) &&
	    say_start() == 0) {
		status = boot_machine(opt, image, &events, opt->trace ? &trace : NULL);
		say_stop();
	} else {
		events_close(&events);
	}
	trace_free(&trace);
	return status;
}

static int boot_guest(struct options *opt)
{
	struct image image;
	int status = check_files(opt);
	int err;

	if (status)
		return status;
	err = image_open(&image, opt->guest);
	if (err)
		return image_status(err);
	err = image.kind == IMAGE_GUEST ? options_for_guest(opt)
					: options_for_linux(opt, image.cmdline_max);
	if (!err)
		sandbox_trap_install(fatal_clean_up);
	status = err ? options_status(err) : boot_image(opt, &image);
	image_free(&image);
	return status;
}

/* `vmm top` is a program of its own: what it is linked with takes longer to load than vmm. */
static int run_top(char **argv)
{
	char path[PATH_MAX] = "vmm-top";

	if (installed_program("vmm-top", path))
		execv(path, argv);
	say_errno("%s", path);
	return VMM_EX_NOINPUT;
}

int main(int argc, char **argv)
{
	char name[] = "vmm"; /* the name in argp's and getopt's messages */
	struct options opt;
	int status;

	standard_fds_fill();
	fatal_install(terminal_restore);
	atexit(lost_output_ends);
	if (argc > 0)
		argv[0] = name;
	if (argc > 1 && !strcmp(argv[1], "ctl"))
		return ctl_main(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "top"))
		return run_top(argv + 1);
	/* One malloc arena for all threads: more would cost memory, and allocations are rare. */
	mallopt(M_ARENA_MAX, 1);
	options_parse(&opt, argc, argv);
	status = opt.probe ? probe_print(opt.json) : boot_guest(&opt);
	options_free(&opt);
	return status;
}
