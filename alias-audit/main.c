/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "args.h"
#include "audit.h"
#include "clock.h"
#include "core.h"
#include "map_svg.h"
#include "names.h"
#include "qemu.h"
#include "report.h"
#include "say.h"
#include "status.h"

static double now_ms(void)
{
	return (double)now_ns() / 1e6;
}

/* Returns the status for a failure to open what is to be looked at. */
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

/* Returns the status that the findings come to. */
static int status_of(const struct args *args, const struct findings *findings)
{
	if (!findings->tables) {
		say("no page tables of a 64-bit kernel were found");
		return VMM_EX_DATAERR;
	}
	for (unsigned kind = 0; kind < FINDING_KINDS; kind++)
		if (findings->of_kind[kind] && args->fail_on & 1u << kind)
			return AUDIT_FOUND;
	if (args->fail_on & FAIL_ON_DOUBT && (findings->notes.nr || findings->notes.dropped))
		return AUDIT_FOUND;
	return AUDIT_NOTHING;
}

static int print_report(const struct args *args, const struct findings *findings,
			const struct names *names)
{
	json_t *json;
	int failed = 0;

	if (args->json) {
		json = report_json(findings, names);
		failed = !json || json_dumpf(json, stdout,
					     (args->watch ? JSON_COMPACT : JSON_INDENT(2)) |
						     JSON_REAL_PRECISION(6));
		json_decref(json);
		putchar('\n');
	} else {
		report_print(stdout, findings, names, args->all);
	}
	if (fflush(stdout) || ferror(stdout) || failed) {
		say_errno("the report could not be written");
		return VMM_EX_IOERR;
	}
	return 0;
}

/* The picture of --map. Returns 0, or a status after a message. */
static int draw_map(const char *path, const struct audit *audit, const struct physmem *mem,
		    const struct findings *findings)
{
	FILE *out = fopen(path, "we");
	int error;

	if (!out) {
		say_errno("--map %s", path);
		return VMM_EX_IOERR;
	}
	error = map_svg_print(out, audit, mem, findings);
	if (error)
		say("out of memory");
	if (ferror(out) | fclose(out) && !error) {
		say_errno("--map %s", path);
		return VMM_EX_IOERR;
	}
	return error ? VMM_EX_OSERR : 0;
}

/* Prints what was found. Returns the program's status. */
static int tell_findings(const struct args *args, struct findings *findings, struct names *names)
{
	int failed;

	if (names && findings->tables)
		names_place(names, &findings->windows, &findings->notes);
	failed = print_report(args, findings, names);
	return failed ? failed : status_of(args, findings);
}

/* Prints what came and went since the last look. Returns the program's status. */
static int tell_changes(const struct args *args, const struct findings *last,
			struct findings *findings, struct names *names)
{
	if (names && findings->tables)
		names_place(names, &findings->windows, &findings->notes);
	report_changes(stdout, last, findings, names);
	if (fflush(stdout) || ferror(stdout)) {
		say_errno("the report could not be written");
		return VMM_EX_IOERR;
	}
	return status_of(args, findings);
}

static size_t given_roots(const struct args *args, struct given_root *given)
{
	for (unsigned i = 0; i < args->nr_roots; i++)
		given[i] = (struct given_root){args->root[i], args->root_levels};
	return args->nr_roots;
}

static int look_at_core(const struct args *args, const struct core *core, struct physmem *mem,
			const struct notes *doubts, struct names *names)
{
	struct given_root given[ARGS_MAX_ROOTS + 1];
	struct look look = {.given = given, .nr_given = given_roots(args, given)};
	struct given_root *own = &given[look.nr_given];
	struct findings findings = {0};
	struct audit *audit = audit_new(mem);
	double before = now_ms();
	int status = VMM_EX_OSERR;

	look.cpus = core_cpus(core, &look.nr_cpus);
	own->gpa = core_kernel_root(core, &own->levels);
	if (own->levels)
		look.nr_given++;
	snprintf(findings.source, sizeof(findings.source), "core %s (%s)", args->core,
		 core_format(core));
	if (!audit || audit_look(audit, &look, &findings)) {
		say("out of memory");
	} else {
		findings.look_ms = now_ms() - before;
		notes_add(&findings.notes, doubts);
		status = tell_findings(args, &findings, names);
		if (args->map && status <= AUDIT_FOUND &&
		    draw_map(args->map, audit, mem, &findings))
			status = VMM_EX_IOERR;
	}
	findings_clear(&findings);
	audit_free(audit);
	return status;
}

static int audit_core(const struct args *args, struct names *names)
{
	struct notes doubts = {0};
	struct physmem mem;
	int error, status;
	struct core *core = core_open(args->core, &mem, &doubts, &error);

	status = core ? look_at_core(args, core, &mem, &doubts, names) : status_of_error(error);
	notes_clear(&doubts);
	physmem_free(&mem);
	core_close(core);
	return status;
}

/* A running guest, and what is known of it. */
struct live {
	const struct args *args;
	struct qemu *qemu;
	struct physmem *mem;
	struct audit *audit;
	struct names *names;
	struct notes notes; /* of how its memory is reached */
	double paused;      /* when it was stopped, and then for how long, in ms */
	bool resumed;
};

static void has_read(void *ctx)
{
	struct live *live = ctx;

	live->resumed = qemu_end(live->qemu);
	live->paused = now_ms() - live->paused;
}

/* One look, during which the guest stands still. Returns 0, or a status after a message. */
static int look_at_guest(struct live *live, struct findings *findings)
{
	struct given_root given[ARGS_MAX_ROOTS];
	struct look look = {.given = given,
			    .nr_given = given_roots(live->args, given),
			    .has_read = has_read,
			    .ctx = live};
	double before = now_ms();
	int error;

	if (!qemu_begin(live->qemu))
		return VMM_EX_NOKVM;
	live->paused = now_ms();
	look.cpus = qemu_cpus(live->qemu, &look.nr_cpus);
	snprintf(findings->source, sizeof(findings->source), "QEMU at %s, %s", live->args->qmp,
		 qemu_way(live->qemu));
	error = audit_look(live->audit, &look, findings);
	if (error) {
		say("out of memory");
		return VMM_EX_OSERR;
	}
	findings->paused_ms = live->paused;
	findings->look_ms = now_ms() - before;
	notes_add(&findings->notes, &live->notes);
	if (live->args->map && findings->tables) {
		int failed = draw_map(live->args->map, live->audit, live->mem, findings);

		if (failed)
			return failed;
	}
	return live->resumed ? 0 : VMM_EX_NOKVM;
}

/* Looks again and again, and tells what came and went. The status is that of the worst look. */
static int watch_guest(struct live *live, struct findings *findings)
{
	struct findings last = {0};
	int status = 0;

	for (unsigned looks = 0; !live->args->looks || looks < live->args->looks; looks++) {
		int failed;

		if (looks)
			sleep(live->args->watch);
		failed = look_at_guest(live, findings);
		if (!failed && looks && !live->args->json)
			failed = tell_changes(live->args, &last, findings, live->names);
		else if (!failed)
			failed = tell_findings(live->args, findings, live->names);
		status = failed > status ? failed : status;
		if (failed > AUDIT_FOUND)
			break;
		findings_clear(&last);
		last = *findings;
		*findings = (struct findings){0};
	}
	findings_clear(&last);
	return status;
}

static int audit_qemu(const struct args *args, struct names *names)
{
	const struct qemu_options options = {.qmp = args->qmp,
					     .mem = args->mem,
					     .pid = (pid_t)args->pid,
					     .timeout = args->timeout};
	struct findings findings = {0};
	struct physmem mem;
	struct live live = {.args = args, .mem = &mem, .names = names};
	int error, status;

	live.qemu = qemu_open(&options, &mem, &live.notes, &error);
	live.audit = audit_new(&mem);
	if (!live.qemu) {
		status = status_of_error(error);
	} else if (!live.audit) {
		say("out of memory");
		status = VMM_EX_OSERR;
	} else if (args->watch) {
		status = watch_guest(&live, &findings);
	} else {
		status = look_at_guest(&live, &findings);
		status = status ? status : tell_findings(args, &findings, names);
	}
	findings_clear(&findings);
	audit_free(live.audit);
	physmem_free(&mem);
	qemu_close(live.qemu);
	notes_clear(&live.notes);
	return status;
}

int main(int argc, char **argv)
{
	struct args args;
	struct names *names = NULL;
	int error, status;

	say_as("alias-audit");
	args_parse(&args, argc, argv);
	if (args.symbols && !(names = names_read(args.symbols, &error)))
		return status_of_error(error);
	status = args.command == COMMAND_CORE ? audit_core(&args, names) : audit_qemu(&args, names);
	names_free(names);
	return status;
}
