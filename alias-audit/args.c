/* SPDX-License-Identifier: MIT */
#include "args.h"

#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "findings.h"
#include "physmem.h"
#include "status.h"

#define STRINGIFY(x) #x
#define TO_STRING(x) STRINGIFY(x)

/* Read by argp for -V and --version. */
const char *argp_program_version = "alias-audit " TO_STRING(VMM_VERSION);

enum long_only {
	KEY_QMP = 256,
	KEY_MEM,
	KEY_PID,
	KEY_WATCH,
	KEY_LOOKS,
	KEY_TIMEOUT,
	KEY_JSON,
	KEY_ALL,
	KEY_SYMBOLS,
	KEY_MAP,
	KEY_FAIL_ON,
	KEY_ROOT,
	KEY_LEVELS,
};

static const struct argp_option argp_options[] = {
	{"qmp", KEY_QMP, "SOCKET", 0, "The QMP socket of a running QEMU (command qemu)", 0},
	{"mem", KEY_MEM, "FILE", 0,
	 "The file that is the guest's memory (default: it is looked for in QEMU's descriptors)",
	 0},
	{"pid", KEY_PID, "PID", 0, "QEMU's process (default: the one that listens at the socket)",
	 0},
	{"watch", KEY_WATCH, "SEC", 0, "Look every SEC seconds, and tell what came and went", 0},
	{"looks", KEY_LOOKS, "N", 0, "With --watch: end after N looks", 0},
	{"timeout", KEY_TIMEOUT, "SEC", 0,
	 "Give up when QEMU does not answer for SEC seconds (default 10)", 0},
	{"json", KEY_JSON, NULL, 0, "Print JSON", 0},
	{"all", KEY_ALL, NULL, 0, "Print every finding, and not one of those that are alike", 0},
	{"symbols", KEY_SYMBOLS, "FILE", 0,
	 "Give addresses names: System.map, the guest's /proc/kallsyms, or VMCOREINFO", 0},
	{"map", KEY_MAP, "FILE", 0, "Draw memory as a picture: FILE becomes an SVG", 0},
	{"fail-on", KEY_FAIL_ON, "KIND,...", 0,
	 "Exit with 1 only if these were found: table, wx, memtype, doubt (default table,wx,memtype); or none alone: never",
	 0},
	{"root", KEY_ROOT, "GPA", 0,
	 "Walk the root at this guest physical address, too; may be repeated", 0},
	{"levels", KEY_LEVELS, "N", 0, "With --root: levels of these roots, 4 or 5 (default 4)", 0},
	{NULL, 0, NULL, 0, NULL, 0},
};

static const char argp_doc[] =
	"Does any page table of a guest have another mapping? Looks at the memory of a machine from "
	"outside: at a core (QEMU's dump-guest-memory, kdump), or at a running QEMU. Nothing is "
	"asked of the guest.\v"
	"Exit status:\n"
	"  0   nothing was found, of the kinds that --fail-on names\n"
	"  1   something was found\n"
	"  64  wrong command line\n"
	"  65  not a core, or no page tables of a 64-bit kernel in it\n"
	"  66  a file does not exist or can't be read\n"
	"  69  QEMU can't be reached, gives no answer or one that makes no sense, or its memory can't be read\n"
	"  71  out of memory, or a system call failed\n"
	"  74  the report or the picture could not be written";

static unsigned number_arg(struct argp_state *state, const char *option, const char *text,
			   unsigned max)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value == 0 || value > max)
		argp_error(state, "--%s takes a number from 1 to %u, not \"%s\"", option, max,
			   text);
	return (unsigned)value;
}

static void root_arg(struct args *args, struct argp_state *state, const char *text)
{
	char *end;
	uint64_t gpa;

	errno = 0;
	gpa = strtoull(text, &end, 0);
	if (*text < '0' || *text > '9' || *end || errno)
		argp_error(state, "--root takes an address, such as 0x1a2b000, not \"%s\"", text);
	if (gpa & (FRAME_SIZE - 1))
		argp_error(state,
			   "--root takes the address of a frame, and %s is no multiple of 0x%x",
			   text, (unsigned)FRAME_SIZE);
	if (args->nr_roots == ARGS_MAX_ROOTS)
		argp_error(state, "--root can be given %u times", ARGS_MAX_ROOTS);
	args->root[args->nr_roots++] = gpa;
}

static unsigned kind_by_name(struct argp_state *state, const char *name)
{
	for (unsigned kind = 0; kind < FINDING_KINDS; kind++)
		if (!strcmp(name, finding_kind_word(kind)))
			return 1u << kind;
	if (!strcmp(name, "doubt"))
		return FAIL_ON_DOUBT;
	if (!strcmp(name, "none"))
		return 0;
	argp_error(state, "--fail-on knows table, wx, memtype, doubt and none, not \"%s\"", name);
	return 0;
}

static unsigned fail_on_arg(struct argp_state *state, const char *text)
{
	char copy[64], *at = copy, *name;
	unsigned kinds = 0;

	if (strlen(text) >= sizeof(copy))
		argp_error(state, "--fail-on: \"%s\" is too long", text);
	strncpy(copy, text, sizeof(copy) - 1);
	copy[sizeof(copy) - 1] = '\0';
	while ((name = strsep(&at, ","))) {
		if (!strcmp(name, "none") && strlen(text) > strlen(name))
			argp_error(state, "--fail-on: none goes with no other kind");
		kinds |= kind_by_name(state, name);
	}
	return kinds;
}

static void take_positional(struct args *args, struct argp_state *state, const char *text)
{
	if (state->arg_num == 0 && !strcmp(text, "core"))
		args->command = COMMAND_CORE;
	else if (state->arg_num == 0 && !strcmp(text, "qemu"))
		args->command = COMMAND_QEMU;
	else if (state->arg_num == 0)
		argp_error(state, "\"%s\" is no command: core or qemu", text);
	else if (state->arg_num == 1 && args->command == COMMAND_CORE)
		args->core = text;
	else
		argp_error(state, "\"%s\" is one argument too many", text);
}

static void check_args(const struct args *args, struct argp_state *state)
{
	if (state->arg_num == 0)
		argp_error(state, "a command is missing: core or qemu");
	if (args->command == COMMAND_CORE && !args->core)
		argp_error(state, "core takes a file");
	if (args->command == COMMAND_CORE &&
	    (args->qmp || args->mem || args->pid || args->watch || args->timeout))
		argp_error(
			state,
			"--qmp, --mem, --pid, --watch and --timeout are for qemu, and not for core");
	if (args->command == COMMAND_QEMU && !args->qmp)
		argp_error(state, "qemu takes --qmp SOCKET");
	if (args->looks && !args->watch)
		argp_error(state, "--looks goes with --watch");
	if (args->root_levels && !args->nr_roots)
		argp_error(state, "--levels goes with --root");
}

static error_t parse_arg(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case KEY_QMP:
		args->qmp = arg;
		return 0;
	case KEY_MEM:
		args->mem = arg;
		return 0;
	case KEY_PID:
		args->pid = number_arg(state, "pid", arg, INT_MAX);
		return 0;
	case KEY_WATCH:
		args->watch = number_arg(state, "watch", arg, 86400);
		return 0;
	case KEY_LOOKS:
		args->looks = number_arg(state, "looks", arg, 1000000);
		return 0;
	case KEY_TIMEOUT:
		args->timeout = number_arg(state, "timeout", arg, 3600);
		return 0;
	case KEY_JSON:
		args->json = true;
		return 0;
	case KEY_ALL:
		args->all = true;
		return 0;
	case KEY_SYMBOLS:
		args->symbols = arg;
		return 0;
	case KEY_MAP:
		args->map = arg;
		return 0;
	case KEY_FAIL_ON:
		args->fail_on = fail_on_arg(state, arg);
		return 0;
	case KEY_ROOT:
		root_arg(args, state, arg);
		return 0;
	case KEY_LEVELS:
		args->root_levels = number_arg(state, "levels", arg, 5);
		if (args->root_levels < 4)
			argp_error(state, "--levels is 4 or 5");
		return 0;
	case ARGP_KEY_ARG:
		take_positional(args, state, arg);
		return 0;
	case ARGP_KEY_END:
		check_args(args, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void args_parse(struct args *args, int argc, char **argv)
{
	static const struct argp argp = {.options = argp_options,
					 .parser = parse_arg,
					 .args_doc = "core FILE\nqemu --qmp SOCKET",
					 .doc = argp_doc};

	*args = (struct args){0};
	args->fail_on = (1u << FINDING_KINDS) - 1;
	argp_err_exit_status = VMM_EX_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, args);
	if (!args->root_levels)
		args->root_levels = 4;
	if (!args->timeout)
		args->timeout = 10;
}
