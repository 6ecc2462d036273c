/* SPDX-License-Identifier: MIT */
/*
 * walk [-1] [-v] [-k KIND] NAME [VMM OPTIONS...]: has each system call that vmm makes fail, one in
 * a run, and judges what becomes of it. A first run, in which nothing fails, finds out which calls
 * there are; calls of the same kind from the same place are one. Of each the first, the second and
 * the last are let fail, in each of the ways that its kind can (-1: of each kind the first call
 * alone, in the worst way). Of what is tried again where it fails all fail from then on, too.
 *
 * What must be true of each run: vmm exits by itself with a documented status; if that is not 0,
 * standard error says why; the terminal is as it was; each sector of the disk is as it was or as
 * the guest wrote it, and all are as it wrote them if it was told so; the statistics are there
 * whole or not at all; nothing else is left behind. Interrupted calls (EINTR) must change nothing.
 *
 * Prints a line for each kind of call (-k: only of this one, as those lines name it).
 */
#include <err.h>
#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "call.h"
#include "stage.h"
#include "status.h"
#include "trace.h"
#include "kvm/vcpu.h"

#define MAX_PLACES 1024
#define LIMIT_S    60
#define MAX_STATUS 256
#define PANIC      63 /* of the guest: it was refused what it needs */

struct place {
	struct call call;
	unsigned long times; /* in the first run */
	bool walked;
};

struct walk {
	const char *name;
	bool quick, verbose;
	const char *kind; /* only this, NULL: all */
	struct stage stage;
	struct scene scene;
	struct place places[MAX_PLACES];
	size_t nr;
};

/* One call that is to fail. */
struct aim {
	const struct call *call;
	unsigned long at; /* 1: the first */
	int error;
	bool for_good; /* and all of its kind after it, from wherever */
	unsigned long seen;
};

static bool same(const struct call *a, const struct call *b)
{
	return a->nr == b->nr && a->request == b->request && a->rip == b->rip &&
	       a->caller == b->caller;
}

static int note_call(void *ctx, pid_t thread, const struct call *call)
{
	struct walk *walk = ctx;
	size_t i = 0;

	(void)thread;
	while (i < walk->nr && !same(&walk->places[i].call, call))
		i++;
	if (i == MAX_PLACES)
		errx(2, "more than %d places that make system calls", MAX_PLACES);
	if (i == walk->nr)
		walk->places[walk->nr++].call = *call;
	walk->places[i].times++;
	return 0;
}

/* KVM_RUN that is interrupted has first completed what the last exit was for: only the kernel can
 * do that, so it gets a signal to be interrupted by. */
static int fail_call(void *ctx, pid_t thread, const struct call *call)
{
	struct aim *aim = ctx;

	aim->seen += same(aim->call, call);
	if (aim->for_good ? aim->seen < aim->at : !same(aim->call, call) || aim->seen != aim->at)
		return 0;
	if (call->nr != SYS_ioctl || call->request != (uint32_t)KVM_RUN || aim->error != EINTR)
		return aim->error;
	syscall(SYS_tkill, thread, VCPU_KICK_SIGNAL);
	return 0;
}

/* What is seen then is in walk->scene. */
static void run(struct walk *walk, struct trace *trace)
{
	const char *const *argv = walk->stage.argv;
	pid_t pid;

	trace->limit_s = LIMIT_S;
	stage_set(&walk->stage);
	pid = trace_start(trace, stage_enter, &walk->stage, argv);
	stage_visit(&walk->stage, pid);
	trace_run(trace, pid, argv[0]);
	stage_look(&walk->stage, pid, &walk->scene);
}

/* --- judging ---------------------------------------------------------------------------------- */

static unsigned count_sentences(const char *text)
{
	unsigned nr = 0;

	for (const char *at = text; (at = strstr(at, "vmm: ")); at++)
		nr += at == text || at[-1] == '\n';
	return nr;
}

/* vmm/status.h; what means that a guest went wrong by itself is not among them. */
static bool is_expected(int status)
{
	return status <= 1 || status == VMM_EX_NOINPUT || status == VMM_EX_NOKVM ||
	       status == VMM_EX_SOFTWARE || status == VMM_EX_OSERR || status == VMM_EX_IOERR;
}

static const char *judge_end(const struct trace *trace, const struct scene *scene)
{
	unsigned sentences = count_sentences(scene->err);

	if (trace->timed_out)
		return "it did not end";
	if (trace->signalled)
		return "it was ended by a signal";
	/* The visitor waited in vain, as the guest never saw the key. */
	if (trace->status == 128 + SIGTERM)
		return sentences > 1 ? NULL : "it waited for ever, and didn't say why";
	if (!is_expected(trace->status) && (trace->status != PANIC || !sentences))
		return "its exit status";
	if (trace->status && !sentences)
		return "it did not say why";
	/* Where its last words could not be printed, that was said. */
	if (trace->status == 0 && !strstr(scene->out, "tour: all done\n") && !sentences)
		return "status 0, but the guest did not come to its end";
	return NULL;
}

static const char *judge_things(const struct trace *trace, const struct scene *scene)
{
	if (!scene->terminal_whole)
		return "the terminal is not as it was";
	if (!scene->disk_whole)
		return "the disk has what was never written";
	if (strstr(scene->out, "written, flushed and read back") && !scene->disk_written)
		return "the disk lacks what the guest was told is written";
	if (scene->stats_there && !scene->stats_whole)
		return "half a file of statistics";
	if (trace->status == 0 && !scene->stats_whole)
		return "status 0, but no statistics";
	return NULL;
}

static bool leaves_litter(const struct call *call)
{
	return call->nr == SYS_unlink || call->nr == SYS_lstat || call->nr == SYS_newfstatat;
}

static const char *judge(const struct trace *trace, const struct scene *scene,
			 const struct call *call, bool harmless)
{
	const char *wrong = judge_end(trace, scene);

	if (!wrong)
		wrong = judge_things(trace, scene);
	if (!wrong && harmless && trace->status != 0)
		wrong = "it was only interrupted";
	if (!wrong && scene->litter[0] && !leaves_litter(call))
		wrong = "something is left behind";
	return wrong;
}

/* --- walking ---------------------------------------------------------------------------------- */

struct tally {
	unsigned places, runs, missed, failed;
	unsigned ended[MAX_STATUS];
};

static void tell(const struct walk *walk, const struct aim *aim, const struct trace *trace,
		 const char *wrong)
{
	const struct scene *scene = &walk->scene;

	printf("# %s: %s (place %lx, %lx), %lu. time%s: %s: status %d%s%s\n", walk->name,
	       call_name(aim->call), (unsigned long)aim->call->rip,
	       (unsigned long)aim->call->caller, aim->at, aim->for_good ? " and later" : "",
	       strerror(aim->error), trace->status, wrong ? ": WRONG: " : "", wrong ? wrong : "");
	for (size_t i = 0; i < sizeof(trace->crash) / sizeof(trace->crash[0]); i++)
		if (trace->crash[0])
			printf("#   %s %lx\n", i ? "called from" : "crashed at",
			       (unsigned long)trace->crash[i]);
	if (scene->litter[0])
		printf("#   left behind: %s\n", scene->litter);
	for (const char *line = scene->err; *line;) {
		int len = (int)strcspn(line, "\n");

		printf("#   %.*s\n", len, line);
		line += len + (line[len] == '\n');
	}
	if (wrong && scene->figures[0])
		printf("#  %s\n", scene->figures);
	if (wrong)
		printf("#   the guest's last words: %.200s\n",
		       scene->out + (strlen(scene->out) > 200 ? strlen(scene->out) - 200 : 0));
	fflush(stdout);
}

static void walk_once(struct walk *walk, struct aim aim, bool harmless, struct tally *tally)
{
	struct trace trace = {.only = aim.call, .at_call = fail_call, .ctx = &aim};
	const char *wrong;

	run(walk, &trace);
	wrong = judge(&trace, &walk->scene, aim.call, harmless);
	tally->runs++;
	tally->missed += aim.seen < aim.at;
	tally->failed += wrong != NULL;
	tally->ended[trace.status % MAX_STATUS]++;
	if (wrong || walk->verbose)
		tell(walk, &aim, &trace, wrong);
}

static void walk_place(struct walk *walk, const struct place *place, struct tally *tally)
{
	const struct failure *failures;
	size_t nr = call_failures(&place->call, &failures);
	const unsigned long at[] = {1, 2, place->times};
	unsigned times = place->times < 3 ? (unsigned)place->times : 3;

	tally->places++;
	if (walk->quick)
		times = 1, nr = nr > 1 ? 1 : nr;
	for (unsigned i = 0; i < times; i++) {
		struct aim aim = {.call = &place->call, .at = at[i]};

		for (size_t f = 0; f < nr; f++) {
			aim.error = failures[f].error;
			walk_once(walk, aim, failures[f].harmless, tally);
		}
		if (call_is_repeated(aim.call)) {
			aim.error = failures[0].error;
			aim.for_good = true;
			walk_once(walk, aim, false, tally);
		}
	}
}

static void summarize(const struct walk *walk, const char *kind, const struct tally *tally)
{
	printf("%s faults_%s %s: %u place%s, %u run%s", tally->failed ? "not ok" : "ok", walk->name,
	       kind, tally->places, tally->places == 1 ? "" : "s", tally->runs,
	       tally->runs == 1 ? "" : "s");
	for (unsigned i = 0; i < MAX_STATUS; i++)
		if (tally->ended[i])
			printf(", %u ended with %u", tally->ended[i], i);
	if (tally->missed)
		printf(", %u did not come that far", tally->missed);
	if (tally->failed)
		printf(", %u went wrong", tally->failed);
	printf("\n");
	fflush(stdout);
}

/* All places of the kind of this first one. */
static bool walk_kind(struct walk *walk, size_t first)
{
	const struct call *kind = &walk->places[first].call;
	const struct failure *failures;
	struct tally tally = {0};
	char name[64];

	snprintf(name, sizeof(name), "%s", call_name(kind));
	for (size_t i = first; i < walk->nr; i++) {
		struct place *place = &walk->places[i];

		if (place->call.nr != kind->nr || place->call.request != kind->request)
			continue;
		place->walked = true;
		if (!walk->quick || i == first)
			walk_place(walk, place, &tally);
	}
	if (call_failures(kind, &failures))
		summarize(walk, name, &tally);
	return tally.failed == 0;
}

static void find_places(struct walk *walk)
{
	struct trace trace = {.at_call = note_call, .ctx = walk};
	const char *wrong;
	unsigned long calls = 0;

	run(walk, &trace);
	wrong = judge(&trace, &walk->scene, &walk->places[0].call, true);
	if (wrong)
		errx(1, "without any failure: status %d: %s\n%s%s", trace.status, wrong,
		     walk->scene.out, walk->scene.err);
	for (size_t i = 0; i < walk->nr; i++)
		calls += walk->places[i].times;
	printf("# %s: %lu system calls from %zu places\n", walk->name, calls, walk->nr);
	for (size_t i = 0; walk->verbose && i < walk->nr; i++)
		printf("#   %lx %lx %s: %lu\n", (unsigned long)walk->places[i].call.rip,
		       (unsigned long)walk->places[i].call.caller, call_name(&walk->places[i].call),
		       walk->places[i].times);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct walk walk;
	const char *build = getenv("VMM_BUILD");
	bool good = true;
	int option;

	while ((option = getopt(argc, argv, "+1vk:")) != -1) {
		walk.quick |= option == '1';
		walk.verbose |= option == 'v';
		walk.kind = option == 'k' ? optarg : walk.kind;
	}
	if (optind >= argc)
		errx(2, "usage: walk [-1] [-v] [-k KIND] NAME [VMM OPTIONS...]");
	walk.name = argv[optind];
	stage_init(&walk.stage, build ? build : "build", (const char *const *)argv + optind + 1);
	find_places(&walk);
	for (size_t i = 0; i < walk.nr; i++)
		if (!walk.places[i].walked &&
		    (!walk.kind || !strcmp(walk.kind, call_name(&walk.places[i].call))))
			good &= walk_kind(&walk, i);
	stage_free(&walk.stage);
	return good ? 0 : 1;
}
