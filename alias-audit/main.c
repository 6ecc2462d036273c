/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "args.h"
#include "audit.h"
#include "clock.h"
#include "core.h"
#include "lost_output.h"
#include "map_svg.h"
#include "names.h"
#include "qemu.h"
#include "report.h"
#include "say.h"
#include "standard_fds.h"
#include "status.h"
#include "text_stream.h"

static double now_ms(void)
{
	return (double)now_ns() / 1e6;
}

/* Returns the status for a failure to open or to stop what is to be looked at. */
static int status_of_error(int error)
{
	switch (error) {
	case -ENOENT:
		return VMM_EX_NOINPUT;
	case -EINVAL:
		return VMM_EX_DATAERR;
	case -ENOTCONN:
		return VMM_EX_NOKVM;
	default:
		return VMM_EX_OSERR;
	}
}

static const char no_tables[] = "no page tables of a 64-bit kernel were found";

/* Returns the status that the findings come to. */
static int status_of(const struct args *args, const struct findings *findings)
{
	if (!findings->tables) {
		if (!args->watch)
			say("%s", no_tables);
		return VMM_EX_DATAERR;
	}
	for (unsigned kind = 0; kind < FINDING_KINDS; kind++)
		if (findings->of_kind[kind] && args->fail_on & 1u << kind)
			return AUDIT_FOUND;
	if (args->fail_on & FAIL_ON_DOUBT && (findings->notes.nr || findings->notes.dropped))
		return AUDIT_FOUND;
	return AUDIT_NOTHING;
}

/* What is looked at, and how it is told. */
struct view {
	const struct args *args;
	struct names *names;
	struct physmem *mem;
	struct audit *audit;
	unsigned look; /* of --watch: its number, from 1 on */
};

/* Of --watch: what came and went since *last, if there was a report before; or that there is
 * nothing. */
static void print_changes(const struct view *view, const struct findings *last,
			  const struct findings *findings)
{
	char before[32];

	snprintf(before, sizeof(before), "look %u: ", view->look);
	if (last)
		report_changes(stdout, last, findings, view->names, before);
	if (!findings->tables)
		printf("%s%s\n", before, no_tables);
}

/* The whole report, or with `last` what came and went since then. Returns 0, or a status after a
 * message. */
static int print_report(const struct view *view, const struct findings *last,
			const struct findings *findings)
{
	const struct args *args = view->args;
	json_t *json;
	int failed = 0;

	if (args->json) {
		json = report_json(findings, view->names);
		failed = !json || json_dumpf(json, stdout,
					     (args->watch ? JSON_COMPACT : JSON_INDENT(2)) |
						     JSON_REAL_PRECISION(6));
		json_decref(json);
		putchar('\n');
	} else if (last || (args->watch && !findings->tables)) {
		print_changes(view, last, findings);
	} else {
		report_print(stdout, findings, view->names, args->all);
	}
	if (fflush(stdout) || ferror(stdout) || failed) {
		say_errno("the report could not be written");
		/* It has been said: nothing is left for the end to say. */
		__fpurge(stdout);
		clearerr(stdout);
		return VMM_EX_IOERR;
	}
	return 0;
}

/* The picture of --map; to be freed. NULL when out of memory. */
static char *picture_of(const struct view *view, const struct findings *findings)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int failed;

	if (!out)
		return NULL;
	failed = map_svg_print(out, view->audit, view->mem, findings);
	text = text_stream_close(out, &text);
	if (!failed)
		return text;
	free(text);
	return NULL;
}

/* Writes the picture, if there is to be one. Returns 0, or a status after a message. */
static int draw_map(const struct view *view, const struct findings *findings)
{
	const char *path = view->args->map;
	char *picture;
	FILE *out;
	int failed;

	if (!path || !findings->tables)
		return 0;
	picture = picture_of(view, findings);
	if (!picture) {
		say("out of memory");
		return VMM_EX_OSERR;
	}
	out = fopen(path, "we");
	failed = !out || fputs(picture, out) < 0;
	if (out)
		failed |= fclose(out);
	if (failed)
		say_errno("--map %s", path);
	free(picture);
	return failed ? VMM_EX_IOERR : 0;
}

/* Names that nobody has asked for are no doubt if they do not fit. */
static void place_names(const struct view *view, struct findings *findings)
{
	struct notes unasked = {0};

	if (view->names && findings->tables)
		names_place(view->names, &findings->windows,
			    view->args->symbols ? &findings->notes : &unasked);
	notes_clear(&unasked);
}

/* Prints what was found, or what came and went since *last, and then draws it. Returns the
 * program's status. */
static int tell(const struct view *view, const struct findings *last, struct findings *findings)
{
	int failed, status;

	place_names(view, findings);
	failed = print_report(view, last, findings);
	if (failed)
		return failed;
	status = status_of(view->args, findings);
	failed = draw_map(view, findings);
	return failed ? failed : status;
}

static size_t given_roots(const struct args *args, struct given_root *given)
{
	for (unsigned i = 0; i < args->nr_roots; i++)
		given[i] = (struct given_root){args->root[i], args->root_levels};
	return args->nr_roots;
}

static int look_at_core(const struct view *view, const struct core *core,
			const struct notes *doubts)
{
	struct given_root given[ARGS_MAX_ROOTS + 1];
	struct look look = {.given = given, .nr_given = given_roots(view->args, given)};
	struct given_root *own = &given[look.nr_given];
	struct findings findings = {0};
	double before = now_ms();
	int status = VMM_EX_OSERR;

	look.cpus = core_cpus(core, &look.nr_cpus);
	own->gpa = core_kernel_root(core, &own->levels);
	if (own->levels)
		look.nr_given++;
	snprintf(findings.source, sizeof(findings.source), "core %s (%s)", view->args->core,
		 core_format(core));
	if (!view->audit || audit_look(view->audit, &look, &findings)) {
		say("out of memory");
	} else {
		findings.look_ms = now_ms() - before;
		notes_add(&findings.notes, doubts);
		status = tell(view, NULL, &findings);
	}
	findings_clear(&findings);
	return status;
}

/* The names that the core itself has; NULL: none. */
static struct names *own_names(const struct core *core)
{
	char *text = core_vmcoreinfo(core);
	struct names *names = text ? names_parse(text, strlen(text)) : NULL;

	free(text);
	return names;
}

static int audit_core(const struct args *args, struct names *names)
{
	struct notes doubts = {0};
	struct physmem mem;
	int error, status;
	struct core *core = core_open(args->core, &mem, &doubts, &error);
	struct names *own = core && !names ? own_names(core) : NULL;
	struct view view = {args, names ? names : own, &mem, audit_new(&mem), 0};

	status = core ? look_at_core(&view, core, &doubts) : status_of_error(error);
	names_free(own);
	audit_free(view.audit);
	notes_clear(&doubts);
	physmem_free(&mem);
	core_close(core);
	return status;
}

/* A running guest, and what is known of it. */
struct live {
	struct view view;
	struct qemu *qemu;
	struct notes doubts;  /* of how its memory is reached */
	double since, paused; /* when it was stopped, and for how long, in ms */
	bool resumed;
};

static void has_read(void *ctx)
{
	struct live *live = ctx;

	live->resumed = qemu_end(live->qemu);
	live->paused = now_ms() - live->since;
}

/* One look, during which the guest stands still. Returns 0, or a status after a message. */
static int look_at_guest(struct live *live, struct findings *findings)
{
	struct given_root given[ARGS_MAX_ROOTS];
	struct look look = {.given = given,
			    .nr_given = given_roots(live->view.args, given),
			    .has_read = has_read,
			    .ctx = live};
	double before = now_ms();
	int error;

	error = qemu_begin(live->qemu);
	if (error)
		return status_of_error(error);
	live->since = now_ms();
	look.cpus = qemu_cpus(live->qemu, &look.nr_cpus);
	snprintf(findings->source, sizeof(findings->source), "QEMU at %s, %s", live->view.args->qmp,
		 qemu_way(live->qemu));
	error = audit_look(live->view.audit, &look, findings);
	if (error) {
		say("out of memory");
		return VMM_EX_OSERR;
	}
	findings->paused_ms = live->paused;
	findings->look_ms = now_ms() - before;
	notes_add(&findings->notes, &live->doubts);
	return 0;
}

/* Is it the status of a look that went well, even if there are no page tables (yet)? */
static bool is_look(int status)
{
	return status <= AUDIT_FOUND || status == VMM_EX_DATAERR;
}

/* The same, and tells what it found, also of a guest that can't be made to go on. Returns the
 * program's status. */
static int look_and_tell(struct live *live, const struct findings *last, struct findings *findings)
{
	int status = look_at_guest(live, findings);

	if (!status)
		status = tell(&live->view, last, findings);
	return is_look(status) && !live->resumed ? VMM_EX_NOKVM : status;
}

/* Looks again and again, and tells what came and went. A guest that boots has no page tables for a
 * while. The status is that of the worst look at one that has some. */
static int watch_guest(struct live *live, struct findings *findings)
{
	const struct args *args = live->view.args;
	struct findings last = {0};
	int status = VMM_EX_DATAERR; /* as long as there were no tables */

	for (unsigned looks = 0; !args->looks || looks < args->looks; looks++) {
		bool had_tables = status != VMM_EX_DATAERR;
		int one;

		if (looks)
			sleep(args->watch);
		live->view.look = looks + 1;
		one = look_and_tell(live, had_tables ? &last : NULL, findings);
		if (!had_tables || (one > status && one != VMM_EX_DATAERR))
			status = one;
		if (!is_look(one))
			break;
		findings_clear(&last);
		last = *findings;
		*findings = (struct findings){0};
	}
	findings_clear(&last);
	if (status == VMM_EX_DATAERR)
		say("%s", no_tables);
	return status;
}

/* Would the picture replace the guest's memory, or another file of QEMU's? Says so. */
static bool map_replaces_memory(const struct args *args, const struct qemu *qemu)
{
	struct stat st;

	if (!args->map || stat(args->map, &st) || !qemu_has_file(qemu, &st))
		return false;
	say("--map %s: QEMU has that open", args->map);
	return true;
}

static int audit_qemu(const struct args *args, struct names *names)
{
	const struct qemu_options options = {.qmp = args->qmp,
					     .mem = args->mem,
					     .pid = (pid_t)args->pid,
					     .timeout = args->timeout};
	struct findings findings = {0};
	struct physmem mem;
	struct live live = {.view = {args, names, &mem, NULL, 0}};
	int error, status;

	live.qemu = qemu_open(&options, &mem, &live.doubts, &error);
	live.view.audit = audit_new(&mem);
	if (!live.qemu) {
		status = status_of_error(error);
	} else if (map_replaces_memory(args, live.qemu)) {
		status = VMM_EX_USAGE;
	} else if (!live.view.audit) {
		say("out of memory");
		status = VMM_EX_OSERR;
	} else if (args->watch) {
		status = watch_guest(&live, &findings);
	} else {
		status = look_and_tell(&live, NULL, &findings);
	}
	findings_clear(&findings);
	audit_free(live.view.audit);
	physmem_free(&mem);
	qemu_close(live.qemu);
	notes_clear(&live.doubts);
	return status;
}

static bool is_same_file(const char *path, const char *other)
{
	struct stat a, b;

	return other && !stat(path, &a) && !stat(other, &b) && S_ISREG(a.st_mode) &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Would the picture replace what is read, even the memory of a guest that runs? Says so. */
static bool map_replaces_input(const struct args *args)
{
	const char *const inputs[] = {args->core, args->mem, args->symbols};

	for (size_t i = 0; args->map && i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		if (is_same_file(args->map, inputs[i])) {
			say("--map %s: that is what is to be read", args->map);
			return true;
		}
	}
	return false;
}

int main(int argc, char **argv)
{
	static char name[] = "alias-audit"; /* what all messages begin with */
	struct args args;
	struct names *names = NULL;
	int error, status;

	standard_fds_fill();
	signal(SIGXFSZ, SIG_IGN); /* that a file is too large is an error like others */
	say_as(name);
	atexit(lost_output_ends);
	if (argc > 0)
		argv[0] = name;
	args_parse(&args, argc, argv);
	if (map_replaces_input(&args))
		return VMM_EX_USAGE;
	if (args.symbols && !(names = names_read(args.symbols, &error)))
		return status_of_error(error);
	status = args.command == COMMAND_CORE ? audit_core(&args, names) : audit_qemu(&args, names);
	names_free(names);
	return status;
}
