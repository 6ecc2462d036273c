/* SPDX-License-Identifier: MIT */
#include "control/request.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "json_object.h"
#include "live_audit.h"
#include "machine.h"
#include "pin/pin.h"
#include "stats.h"
#include "kvm/pause.h"

#define REPORT_MAX (1u << 20) /* bytes of text: an answer has an end */

json_t *control_refusal(const char *why)
{
	return json_pack("{s:s}", "error", why);
}

/* Each of these fills `answer` and returns NULL, or returns why not. `argument` has the type given
 * in the table. */

static const char *do_statistics(const struct control_target *target, const json_t *argument,
				 json_t *answer)
{
	json_t *stats = stats_collect(target->machine, target->pin, -1);
	int failed = json_object_update(answer, stats);

	(void)argument;
	json_decref(stats);
	return failed ? "out of memory" : NULL;
}

static const char *do_strategy(const struct control_target *target, const json_t *argument,
			       json_t *answer)
{
	enum alias_strategy flush;

	if (!flush_by_name(json_string_value(argument), &flush))
		return "there is no strategy of that name (vmm --help has a list)";
	return pin_want_strategy(target->pin, flush, answer);
}

static const char *do_track(const struct control_target *target, const json_t *argument,
			    json_t *answer)
{
	enum track_mode track;

	if (!track_by_name(json_string_value(argument), &track))
		return "track is one of dirty, log, scan";
	return pin_set_track_mode(target->pin, track, answer);
}

static const char *do_pause(const struct control_target *target, const json_t *argument,
			    json_t *answer)
{
	(void)argument;
	hold_all_vcpus(&target->machine->vm);
	json_object_set_new(answer, "paused", json_true());
	return NULL;
}

static const char *do_resume(const struct control_target *target, const json_t *argument,
			     json_t *answer)
{
	(void)argument;
	release_all_vcpus(&target->machine->vm);
	json_object_set_new(answer, "paused", json_false());
	return NULL;
}

static const char *do_frame(const struct control_target *target, const json_t *argument,
			    json_t *answer)
{
	json_int_t pfn = json_integer_value(argument);

	if (pfn < 0)
		return "the guest's memory has no such frame";
	return pin_describe_frame(target->pin, (uint64_t)pfn, answer);
}

static const char *do_map(const struct control_target *target, const json_t *argument,
			  json_t *answer)
{
	(void)argument;
	return pin_map_frames(target->pin, answer);
}

static struct live_audit *audit_of(const struct control_target *target)
{
	if (!*target->audit)
		*target->audit = live_audit_new(target->machine);
	return *target->audit;
}

static const char *do_audit(const struct control_target *target, const json_t *argument,
			    json_t *answer)
{
	struct live_audit *audit = audit_of(target);
	json_t *report = audit ? live_audit_report(audit) : NULL;
	int failed = report ? json_object_update(answer, report) : -1;

	(void)argument;
	json_decref(report);
	return failed ? "out of memory" : NULL;
}

static const char *do_report(const struct control_target *target, const json_t *argument,
			     json_t *answer)
{
	struct live_audit *audit = audit_of(target);
	char *text = audit ? live_audit_text(audit, REPORT_MAX) : NULL;

	(void)argument;
	if (text)
		object_add_text(answer, "report", text);
	free(text);
	return json_object_size(answer) ? NULL : "out of memory";
}

static const struct request {
	const char *name;
	const char *argument; /* name of the member beside "do"; NULL if there is none */
	json_type type;       /* type of that member */
	const char *(*perform)(const struct control_target *target, const json_t *argument,
			       json_t *answer);
	bool of_pins;     /* only for guests that pin their page tables */
	const char *form; /* the message if the request has another form */
} requests[] = {
	{"statistics", NULL, JSON_NULL, do_statistics, false, "statistics has no further members"},
	{"strategy", "name", JSON_STRING, do_strategy, true,
	 "strategy has one member, name: a string"},
	{"track", "name", JSON_STRING, do_track, true, "track has one member, name: a string"},
	{"pause", NULL, JSON_NULL, do_pause, false, "pause has no further members"},
	{"resume", NULL, JSON_NULL, do_resume, false, "resume has no further members"},
	{"audit", NULL, JSON_NULL, do_audit, false, "audit has no further members"},
	{"report", NULL, JSON_NULL, do_report, false, "report has no further members"},
	{"frame", "pfn", JSON_INTEGER, do_frame, true, "frame has one member, pfn: a whole number"},
	{"map", NULL, JSON_NULL, do_map, true, "map has no further members"},
};

static const struct request *find_request(const char *name)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (!strcmp(requests[i].name, name))
			return &requests[i];
	return NULL;
}

static const char *perform_request(const struct control_target *target, const json_t *object,
				   json_t *answer)
{
	const char *name = json_string_value(json_object_get(object, "do"));
	const struct request *request;
	const json_t *argument;

	if (!json_is_object(object) || !name)
		return "a request is an object with a member do: a string";
	request = find_request(name);
	if (!request)
		return "there is no such request: statistics, strategy, track, pause, resume, "
		       "audit, report, frame, map";
	argument = request->argument ? json_object_get(object, request->argument) : NULL;
	if (json_object_size(object) != (request->argument ? 2u : 1u) ||
	    (request->argument && (!argument || json_typeof(argument) != request->type)))
		return request->form;
	if (request->of_pins && !target->pin)
		return "the guest is Linux, which pins no page tables";
	return request->perform(target, argument, answer);
}

json_t *control_request(const struct control_target *target, const char *line, size_t len)
{
	json_t *object = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	json_t *answer = json_object();
	const char *why =
		object ? perform_request(target, object, answer) : "this line is not JSON";

	json_decref(object);
	if (!why)
		return answer;
	json_decref(answer);
	return control_refusal(why);
}
