/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "say.h"
#include "status.h"

#define STRINGIFY(x) #x
#define TO_STRING(x) STRINGIFY(x)

/* Read by argp for -V and --version. */
const char *argp_program_version = "vmm " TO_STRING(VMM_VERSION);

const char *options_version(void)
{
	return TO_STRING(VMM_VERSION);
}

static const char *const flush_names[] = {
	[ALIAS_FLUSH_NONE] = "none",
	[ALIAS_FLUSH_LEGACY] = "legacy",
	[ALIAS_FLUSH_EAGER] = "eager",
	[ALIAS_FLUSH_NOLAZY] = "nolazy",
	[ALIAS_FLUSH_EAGER_PTE] = "eager-pte",
	[ALIAS_FLUSH_QUICKLIST] = "quicklist",
	[ALIAS_FLUSH_PAGE_BIT] = "page-bit",
	[ALIAS_FLUSH_TRAP] = "trap",
	[ALIAS_FLUSH_TRAP_RANGE] = "trap-range",
	NULL,
};
static const char *const track_names[] = {
	[TRACK_DIRTY] = "dirty",   [TRACK_LOG] = "log", [TRACK_SCAN] = "scan",
	[TRACK_STRICT] = "strict", [TRACK_OFF] = "off", NULL};
static const char *const violation_names[] = {
	[VIOLATION_REPORT] = "report", [VIOLATION_STOP] = "stop", NULL};
static const char *const proof_names[] = {[PROOF_GUEST] = "guest", [PROOF_HOST] = "host", NULL};

enum long_only {
	KEY_AUDIT = 256,
	KEY_ON_VIOLATION,
	KEY_FLUSH_PROOF,
	KEY_TIMEOUT,
	KEY_VERIFY,
	KEY_PROBE,
	KEY_JSON,
	KEY_CONTROL,
	KEY_NO_SANDBOX,
	KEY_GDB,
	KEY_TRACE,
	KEY_WATCH,
	KEY_SYMBOLS,
};

static const struct argp_option argp_options[] = {
	{"cpus", 'c', "N", 0, "Number of vCPUs, 1 to " TO_STRING(OPTIONS_MAX_CPUS) " (default 1)",
	 0},
	{"mem", 'm', "SIZE", 0,
	 "Guest memory with suffix K, M, G or T; a bare number is MiB (default 64M, of a Linux "
	 "256M, at least " OPTIONS_MIN_MEM_NAME ", at most " OPTIONS_MAX_MEM_NAME ")",
	 0},
	{"disk", 'd', "FILE[,ro]", 0,
	 "Give the guest FILE as a virtio block device, read-only with ,ro; at most " TO_STRING(
		 OPTIONS_MAX_DISKS) " times",
	 0},
	{"initrd", 'i', "FILE", 0,
	 "The initrd of a Linux guest: the archive of its first root file system", 0},
	{"flush", 'f', "STRATEGY", 0,
	 "How the guest keeps stale aliases off page tables: none, legacy, eager, nolazy, "
	 "eager-pte, quicklist, page-bit, trap (default), trap-range",
	 0},
	{"track", 't', "MODE", 0,
	 "How the host learns which page tables have changed: dirty (default), log, scan; with "
	 "strict it checks every store to a page table before it does it, which needs KVM's "
	 "shadow MMU; with off it checks nothing and grants every pin",
	 0},
	{"audit", KEY_AUDIT, "N", 0,
	 "With --track log: audit the guest's log at every Nth pin call (default 256)", 0},
	{"stats", 's', "FILE", 0, "Write statistics as JSON to FILE at exit; - is standard output",
	 0},
	{"on-violation", KEY_ON_VIOLATION, "ACTION", 0,
	 "What to do about a violation, as a new writable alias of a page table: report (default), stop",
	 0},
	{"flush-proof", KEY_FLUSH_PROOF, "WHOSE", 0,
	 "Whose TLB flushes count as evidence that an alias is gone: guest (default), host", 0},
	{"timeout", KEY_TIMEOUT, "SEC", 0, "End the guest after SEC seconds", 0},
	{"verify", KEY_VERIFY, "N", OPTION_ARG_OPTIONAL,
	 "Compare the answers of every call, or of one call in N, with a walk of all page tables "
	 "(slow)",
	 0},
	{"control", KEY_CONTROL, "PATH", 0,
	 "Serve requests of this user on a Unix socket at PATH (see vmm ctl)", 0},
	{"watch", KEY_WATCH, "MS", 0,
	 "Look at all page tables after each MS milliseconds, and report which get or lose another "
	 "mapping, and what becomes writable here and executable there",
	 0},
	{"symbols", KEY_SYMBOLS, "FILE", 0,
	 "Give addresses names in what --watch and vmm ctl audit tell: System.map of the guest's "
	 "kernel, or its /proc/kallsyms",
	 0},
	{"trace", KEY_TRACE, "FILE", 0,
	 "Write a trace for Perfetto or chrome://tracing (JSON) to FILE at exit; - is standard output",
	 0},
	{"gdb", KEY_GDB, "PORT|PATH", 0,
	 "Wait for GDB (target remote) before the guest's first instruction, at a port of the "
	 "loopback address, or at a Unix socket, whose path contains a /",
	 0},
	{"no-sandbox", KEY_NO_SANDBOX, NULL, 0,
	 "Do not confine the threads to the system calls that they need: for debugging", 0},
	{"verbose", 'v', NULL, 0, "Report on standard error what the host does", 0},
	{"probe", KEY_PROBE, NULL, 0, "Print what this host's KVM offers, and exit", 0},
	{"json", KEY_JSON, NULL, 0, "With --probe: print JSON", 0},
	{NULL, 0, NULL, 0, NULL, 0},
};

static const char argp_doc[] =
	"Boots GUEST under KVM: an ELF image with a PVH entry that uses vmm's interface, whose page "
	"tables are checked for stale aliases, or a Linux kernel (vmlinuz, or vmlinux with a PVH "
	"entry). GUEST ARGUMENTS become its command line; for Linux \"" OPTIONS_LINUX_CMDLINE
	"\" comes before them. A GUEST without a slash that is not in the current folder is looked "
	"for where guest.elf is installed. vmm ctl controls a running vmm by the socket of its "
	"--control, and vmm top shows what it does.\v"
	"On a terminal, Ctrl-A x ends the guest and Ctrl-A Ctrl-A sends one Ctrl-A.\n\n"
	"Exit status:\n"
	"  0..63  the guest's own status; 0 when Linux powers off\n"
	"  64     wrong command line\n"
	"  65     GUEST or its initrd can't be booted\n"
	"  66     a file does not exist or can't be read\n"
	"  69     no usable KVM\n"
	"  70     internal error, or an exit that can't be handled\n"
	"  71     a system call failed\n"
	"  74     output, the statistics or a disk could not be written\n"
	"  75     --timeout passed\n"
	"  80     triple fault, shutdown without a status, or KVM can't go on\n"
	"  81     violation with --on-violation stop, or a half-done store (strict)\n"
	"  82     ended by Ctrl-A x\n"
	"  83     stopped by the sandbox at a forbidden system call\n"
	"  84     Linux asked for a reset: it reboots, or has panicked\n"
	"  85     Linux reported a panic (pvpanic)\n"
	"  128+N  ended by signal N, in order (SIGHUP, SIGINT, SIGTERM and others)";

bool parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return !errno && !*end && *out >= min && *out <= max;
}

bool parse_size(const char *text, uint64_t *out)
{
	static const char suffixes[] = "KMGT";
	unsigned shift = 20;
	uint64_t value;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (*end) {
		const char *suffix = strchr(suffixes, *end);

		if (!suffix || end[1])
			return false;
		shift = 10 * (unsigned)(suffix - suffixes + 1);
	}
	if (value > UINT64_MAX >> shift)
		return false;
	*out = value << shift;
	return true;
}

/* Returns the index of `text` in a list that ends with NULL; else calls argp_error() with all
 * names. */
static unsigned choose_by_name(struct argp_state *state, const char *option, const char *text,
			       const char *const *names)
{
	char all[128] = "";

	for (unsigned i = 0; names[i]; i++) {
		if (!strcmp(text, names[i]))
			return i;
		strcat(strcat(all, i ? ", " : ""), names[i]);
	}
	argp_error(state, "--%s is one of %s, not \"%s\"", option, all, text);
	exit(VMM_EX_USAGE);
}

static void set_mem(struct options *opt, struct argp_state *state, const char *text)
{
	if (!parse_size(text, &opt->mem))
		argp_error(state,
			   "--mem takes a number with K, M, G or T, or of MiB without, not \"%s\"",
			   text);
	if (opt->mem < OPTIONS_MIN_MEM || opt->mem > OPTIONS_MAX_MEM || opt->mem % 4096)
		argp_error(state,
			   "--mem %s: guest memory is a multiple of 4 KiB "
			   "from " OPTIONS_MIN_MEM_NAME " to " OPTIONS_MAX_MEM_NAME,
			   text);
}

static void add_disk(struct options *opt, struct argp_state *state, char *text)
{
	struct disk_option *disk = &opt->disk[opt->nr_disks];
	size_t len = strlen(text);

	if (opt->nr_disks == OPTIONS_MAX_DISKS)
		argp_error(state, "at most " TO_STRING(OPTIONS_MAX_DISKS) " disks");
	disk->readonly = len >= 3 && !strcmp(text + len - 3, ",ro");
	if (disk->readonly)
		text[len - 3] = '\0';
	if (!*text)
		argp_error(state, "--disk needs a file");
	disk->path = text;
	opt->nr_disks++;
}

static void set_gdb(struct options *opt, struct argp_state *state, const char *arg)
{
	uint64_t port;

	if (strchr(arg, '/') ? strlen(arg) > OPTIONS_MAX_SOCKET
			     : !parse_uint(arg, 1, UINT16_MAX, &port))
		argp_error(state,
			   "--gdb takes a port from 1 to 65535, or the path of a socket, which "
			   "contains a / and has at most %zu characters, not \"%s\"",
			   OPTIONS_MAX_SOCKET, arg);
	opt->gdb = arg;
}

static uint64_t parse_number(struct argp_state *state, const char *option, const char *text,
			     uint64_t max)
{
	uint64_t value = 0;

	if (!parse_uint(text, 1, max, &value))
		argp_error(state, "--%s is a number from 1 to %llu, not \"%s\"", option,
			   (unsigned long long)max, text);
	return value;
}

struct input {
	struct options *opt;
	char **arguments; /* the guest's */
	unsigned nr_arguments;
};

/* argp passes non-options first; the guest's arguments are those after "--". */
static void take_argument(struct input *input, struct argp_state *state, char *arg)
{
	bool quoted = state->quoted && state->next > state->quoted;

	if (!input->opt->guest) {
		if (!*arg)
			argp_error(state, "GUEST is empty");
		input->opt->guest = arg;
		return;
	}
	if (!quoted)
		argp_error(state, "\"%s\": one GUEST only, its own arguments come after \"--\"",
			   arg);
	if (!input->nr_arguments)
		input->arguments = &state->argv[state->next - 1];
	input->nr_arguments++;
}

/* "flush=NAME" and the guest's arguments, joined by blanks. */
static void join_bootargs(const struct input *input, struct argp_state *state)
{
	const char *flush = flush_names[input->opt->flush];
	size_t len = strlen("flush=") + strlen(flush) + 1;
	char *end;

	for (unsigned i = 0; i < input->nr_arguments; i++)
		len += strlen(input->arguments[i]) + 1;
	input->opt->bootargs = malloc(len);
	if (!input->opt->bootargs)
		argp_failure(state, VMM_EX_OSERR, ENOMEM, "malloc");
	end = stpcpy(stpcpy(input->opt->bootargs, "flush="), flush);
	input->opt->arguments = end + (input->nr_arguments > 0);
	for (unsigned i = 0; i < input->nr_arguments; i++)
		end = stpcpy(stpcpy(end, " "), input->arguments[i]);
}

static void check_end(const struct input *input, struct argp_state *state)
{
	const struct options *opt = input->opt;

	if (opt->json && !opt->probe)
		argp_error(state, "--json goes with --probe");
	if (opt->probe && opt->guest)
		argp_error(state, "--probe takes no GUEST");
	if (opt->track == TRACK_OFF &&
	    (opt->flush == ALIAS_FLUSH_EAGER_PTE || opt->flush == ALIAS_FLUSH_TRAP ||
	     opt->flush == ALIAS_FLUSH_TRAP_RANGE))
		argp_error(state,
			   "--flush %s needs the host's checks, so it does not go with --track off",
			   flush_names[opt->flush]);
	if (opt->track == TRACK_LOG &&
	    opt->cpus * (uint64_t)ALIAS_LOG_SIZE * OPTIONS_LOG_SHARE > opt->mem)
		argp_error(
			state,
			"--track log takes %u KiB of memory for each vCPU, and at most a quarter",
			ALIAS_LOG_SIZE >> 10);
	if (!opt->probe && !opt->guest)
		argp_error(state, "no GUEST given");
	join_bootargs(input, state);
}

/* Options that are not for Linux. */
static error_t parse_own_key(struct options *opt, int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'f':
		opt->own_option = "flush";
		opt->flush = choose_by_name(state, "flush", arg, flush_names);
		return 0;
	case 't':
		opt->own_option = "track";
		opt->track = choose_by_name(state, "track", arg, track_names);
		return 0;
	case KEY_AUDIT:
		opt->own_option = "audit";
		opt->audit = parse_number(state, "audit", arg, INT_MAX);
		return 0;
	case KEY_ON_VIOLATION:
		opt->own_option = "on-violation";
		opt->on_violation = choose_by_name(state, "on-violation", arg, violation_names);
		return 0;
	case KEY_FLUSH_PROOF:
		opt->own_option = "flush-proof";
		opt->flush_proof = choose_by_name(state, "flush-proof", arg, proof_names);
		return 0;
	case KEY_VERIFY:
		opt->own_option = "verify";
		opt->verify = arg ? parse_number(state, "verify", arg, INT_MAX) : 1;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Options that name a file or a socket. */
static error_t parse_path_key(struct options *opt, int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'i':
		if (!*arg)
			argp_error(state, "--initrd needs a file");
		opt->initrd = arg;
		return 0;
	case 's':
		if (!*arg)
			argp_error(state, "--stats needs a file, or - for standard output");
		opt->stats = arg;
		return 0;
	case KEY_TRACE:
		if (!*arg)
			argp_error(state, "--trace needs a file, or - for standard output");
		opt->trace = arg;
		return 0;
	case KEY_SYMBOLS:
		if (!*arg)
			argp_error(state, "--symbols needs a file");
		opt->symbols = arg;
		return 0;
	case KEY_CONTROL:
		if (!*arg || strlen(arg) > OPTIONS_MAX_SOCKET)
			argp_error(state, "--control: the path of a socket has 1 to %zu characters",
				   OPTIONS_MAX_SOCKET);
		opt->control = arg;
		return 0;
	default:
		return parse_own_key(opt, key, arg, state);
	}
}

static error_t parse_key(int key, char *arg, struct argp_state *state)
{
	struct input *input = state->input;
	struct options *opt = input->opt;

	switch (key) {
	case 'c':
		opt->cpus = parse_number(state, "cpus", arg, OPTIONS_MAX_CPUS);
		return 0;
	case 'm':
		set_mem(opt, state, arg);
		opt->mem_given = true;
		return 0;
	case 'd':
		add_disk(opt, state, arg);
		return 0;
	case 'v':
		opt->verbose = true;
		return 0;
	case KEY_TIMEOUT:
		opt->timeout = parse_number(state, "timeout", arg, INT_MAX / 1000);
		return 0;
	case KEY_WATCH:
		opt->watch = parse_number(state, "watch", arg, INT_MAX);
		return 0;
	case KEY_GDB:
		set_gdb(opt, state, arg);
		return 0;
	case KEY_NO_SANDBOX:
		opt->sandbox = false;
		return 0;
	case KEY_PROBE:
		opt->probe = true;
		return 0;
	case KEY_JSON:
		opt->json = true;
		return 0;
	case ARGP_KEY_ARG:
		take_argument(input, state, arg);
		return 0;
	case ARGP_KEY_END:
		check_end(input, state);
		return 0;
	default:
		return parse_path_key(opt, key, arg, state);
	}
}

void options_parse(struct options *opt, int argc, char **argv)
{
	static const struct argp argp = {
		.options = argp_options,
		.parser = parse_key,
		.args_doc =
			"GUEST [-- GUEST ARGUMENTS]\n--probe [--json]\nctl PATH REQUEST\ntop PATH",
		.doc = argp_doc,
	};
	struct input input = {.opt = opt};
	error_t err;

	*opt = (struct options){
		.cpus = 1,
		.mem = 64ull << 20,
		.flush = ALIAS_FLUSH_TRAP,
		.track = TRACK_DIRTY,
		.audit = 256,
		.sandbox = true,
	};
	argp_err_exit_status = VMM_EX_USAGE;
	err = argp_parse(&argp, argc, argv, 0, NULL, &input);
	if (err) {
		say("command line: %s", strerror(err));
		exit(VMM_EX_USAGE);
	}
}

int options_for_guest(const struct options *opt)
{
	if (opt->initrd) {
		say("--initrd goes with a Linux kernel, which %s is not", opt->guest);
		return -EINVAL;
	}
	if (strlen(opt->bootargs) < ALIAS_CMDLINE_SIZE)
		return 0;
	say("the guest's command line, \"flush=%s\" and its arguments, has %zu characters, and at "
	    "most %u are allowed",
	    flush_name(opt->flush), strlen(opt->bootargs), ALIAS_CMDLINE_SIZE - 1);
	return -EINVAL;
}

int options_for_linux(struct options *opt, uint32_t cmdline_max)
{
	char *cmdline;

	if (opt->own_option) {
		say("--%s is not for Linux, and %s is a Linux kernel", opt->own_option, opt->guest);
		return -EINVAL;
	}
	if (asprintf(&cmdline, OPTIONS_LINUX_CMDLINE "%s%s", *opt->arguments ? " " : "",
		     opt->arguments) < 0)
		return say_errno("memory for the command line");
	free(opt->bootargs);
	opt->bootargs = cmdline;
	opt->arguments = NULL;
	if (!opt->mem_given)
		opt->mem = OPTIONS_LINUX_MEM;
	if (strlen(cmdline) <= cmdline_max)
		return 0;
	say("the command line, \"" OPTIONS_LINUX_CMDLINE "\" and the guest's arguments, has %zu "
	    "characters, and %s takes %u at most",
	    strlen(cmdline), opt->guest, cmdline_max);
	return -EINVAL;
}

void options_free(struct options *opt)
{
	free(opt->bootargs);
	opt->bootargs = NULL;
}

const char *flush_name(enum alias_strategy flush)
{
	return flush_names[flush];
}

const char *track_name(enum track_mode track)
{
	return track_names[track];
}

static bool find_name(const char *const *names, const char *name, unsigned *index)
{
	for (*index = 0; names[*index]; ++*index)
		if (!strcmp(names[*index], name))
			return true;
	return false;
}

bool flush_by_name(const char *name, enum alias_strategy *flush)
{
	return find_name(flush_names, name, flush);
}

bool track_by_name(const char *name, enum track_mode *track)
{
	return find_name(track_names, name, track);
}
