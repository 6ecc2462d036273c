/* SPDX-License-Identifier: MIT */
#include "live_audit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/kvm.h>
#include "../alias-audit/audit.h"
#include "../alias-audit/names.h"
#include "../alias-audit/report.h"
#include "clock.h"
#include "json_object.h"
#include "kvm/pause.h"
#include "machine.h"
#include "say.h"
#include "text_stream.h"

/* An answer on the control socket has an end: each finding is less than 1 KiB of it. */
#define REPORTED_MAX 8192u
#define SAID_MAX     64u /* lines of one look */
/* Looks of --watch search so many frames for roots that were never in a CR3 when one looked. */
#define WATCH_FRAMES ((16ull << 20) / FRAME_SIZE)

struct live_audit {
	struct machine *machine;
	struct physmem mem;
	struct audit *audit;
	struct findings findings; /* of the last look */
	/* Of --watch. */
	struct findings told; /* what it has told of */
	unsigned looks;
	double looks_ms, looks_paused_ms; /* the sums */
};

/* --- the guest's memory ----------------------------------------------------------------------- */

static size_t read_memory(void *source, uint64_t gpa, void *to, size_t size)
{
	const struct memory *mem = source;
	const void *from = memory_ptr(mem, gpa, size);

	if (!from)
		return 0;
	memcpy(to, from, size);
	return size;
}

/* What is not resident was never written. (What the host has swapped out is passed over: but page
 * tables in use are not what it swaps.) */
static uint64_t next_data(void *source, uint64_t gpa, uint64_t *end)
{
	return memory_next_resident(source, gpa, end);
}

static const uint64_t *frame(void *source, uint64_t pfn)
{
	return memory_frame(source, pfn);
}

static const struct physmem_ops memory_ops = {
	.read = read_memory, .next_data = next_data, .frame = frame};

/* --- a look ----------------------------------------------------------------------------------- */

struct live_audit *live_audit_new(struct machine *machine)
{
	struct live_audit *audit = calloc(1, sizeof(*audit));
	struct memory *mem = &machine->vm.mem;
	int error = 0;

	if (!audit)
		return NULL;
	audit->machine = machine;
	physmem_init(&audit->mem, &memory_ops, mem);
	for (unsigned i = 0; !error && i < mem->nr; i++)
		error = physmem_add(&audit->mem, mem->slot[i].gpa, mem->slot[i].size);
	audit->audit = error ? NULL : audit_new(&audit->mem);
	if (audit->audit)
		return audit;
	live_audit_free(audit);
	return NULL;
}

static void say_what_it_cost(const struct live_audit *audit)
{
	if (audit->machine->opt->verbose && audit->looks)
		say("watch: %u looks of %.3f ms each, in %.3f ms of which the guest stood still",
		    audit->looks, audit->looks_ms / audit->looks,
		    audit->looks_paused_ms / audit->looks);
}

void live_audit_free(struct live_audit *audit)
{
	if (!audit)
		return;
	say_what_it_cost(audit);
	audit_free(audit->audit);
	physmem_free(&audit->mem);
	findings_clear(&audit->findings);
	findings_clear(&audit->told);
	free(audit);
}

static double now_ms(void)
{
	return (double)now_ns() / 1e6;
}

/* Those that could not be asked are left out. */
static size_t read_vcpus(const struct vm *vm, struct cpu_state *states)
{
	struct kvm_sregs sregs;
	size_t nr = 0;

	for (unsigned i = 0; i < vm->nr_vcpus; i++) {
		if (ioctl(vm->vcpus[i].fd, KVM_GET_SREGS, &sregs) < 0)
			continue;
		states[nr++] = (struct cpu_state){.cr0 = sregs.cr0,
						  .cr3 = sregs.cr3,
						  .cr4 = sregs.cr4,
						  .efer = sregs.efer,
						  .knows_efer = true};
	}
	return nr;
}

/* The vCPUs during a look. */
struct hold {
	struct vm *vm;
	bool was_held;           /* before it */
	double began, paused_ms; /* when, and for how long, they were held; in ms */
};

/* The guest goes on, if it ran before. */
static void has_read(void *ctx)
{
	struct hold *hold = ctx;

	if (!hold->was_held)
		release_all_vcpus(hold->vm);
	hold->paused_ms = now_ms() - hold->began;
}

/* Looks at everything, or only rolls on. Returns 0, or -ENOMEM. */
static int look_at_guest(struct live_audit *audit, uint64_t roll)
{
	struct cpu_state states[OPTIONS_MAX_CPUS];
	struct vm *vm = &audit->machine->vm;
	struct hold hold = {.vm = vm, .was_held = vcpus_are_held(vm), .began = now_ms()};
	struct look look = {.cpus = states, .roll = roll, .has_read = has_read, .ctx = &hold};
	int error;

	hold_all_vcpus(vm);
	look.nr_cpus = read_vcpus(vm, states);
	error = audit_look(audit->audit, &look, &audit->findings);
	snprintf(audit->findings.source, sizeof(audit->findings.source), "vmm %s",
		 audit->machine->opt->guest);
	audit->findings.look_ms = now_ms() - hold.began;
	audit->findings.paused_ms = hold.paused_ms;
	if (!error && audit->machine->names && audit->findings.tables)
		names_place(audit->machine->names, &audit->findings.windows,
			    &audit->findings.notes);
	return error;
}

json_t *live_audit_report(struct live_audit *audit)
{
	struct findings *findings = &audit->findings;
	size_t nr, left_out = 0;
	json_t *report;

	if (look_at_guest(audit, 0))
		return NULL;
	nr = findings->nr;
	if (nr > REPORTED_MAX) {
		left_out = nr - REPORTED_MAX;
		findings->nr = REPORTED_MAX;
	}
	report = report_json(findings, audit->machine->names);
	findings->nr = nr;
	if (report)
		object_add_number(report, "left_out", left_out);
	return report;
}

/* A guest could make very many kinds of findings. */
static void cut_text(char *text, size_t size, size_t max)
{
	static const char more[] = "(and more, which is left out)\n";
	char *end;

	if (size <= max || max < sizeof(more))
		return;
	text[max - sizeof(more)] = '\0';
	end = strrchr(text, '\n');
	strcpy(end ? end + 1 : text, more);
}

char *live_audit_text(struct live_audit *audit, size_t max)
{
	char *text = NULL;
	size_t size;
	FILE *out;

	if (look_at_guest(audit, 0) || !(out = open_memstream(&text, &size)))
		return NULL;
	report_print(out, &audit->findings, audit->machine->names, false);
	if (!text_stream_close(out, &text))
		return NULL;
	cut_text(text, size, max);
	return text;
}

/* The first of them; a guest could make any number. */
static void say_lines(char *text)
{
	char *rest = text, *line;
	size_t nr = 0;

	while ((line = strtok_r(rest, "\n", &rest)))
		if (nr++ < SAID_MAX)
			say("watch: %s", line);
	if (nr > SAID_MAX)
		say("watch: and %zu more", nr - SAID_MAX);
}

static void count_look(struct live_audit *audit)
{
	audit->looks++;
	audit->looks_ms += audit->findings.look_ms;
	audit->looks_paused_ms += audit->findings.paused_ms;
}

/* Returns the text, to be freed; NULL if there is no memory. */
static char *changes_text(const struct live_audit *audit)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	report_changes(out, &audit->told, &audit->findings, audit->machine->names, "");
	return text_stream_close(out, &text);
}

void live_audit_say_changes(struct live_audit *audit)
{
	char *text = NULL;

	if (!look_at_guest(audit, WATCH_FRAMES)) {
		count_look(audit);
		text = changes_text(audit);
	}
	if (!text) {
		say("watch: out of memory: the next look tells what has changed");
		return;
	}
	say_lines(text);
	free(text);
	findings_clear(&audit->told);
	audit->told = audit->findings;
	audit->findings = (struct findings){0};
}
