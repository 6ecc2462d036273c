/* SPDX-License-Identifier: MIT */
#include "control/ctl.h"

#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <jansson.h>
#include "control/connection.h"
#include "control/map_svg.h"
#include "options.h"
#include "say.h"
#include "status.h"

#define REFUSED 1

static const char doc[] =
	"Sends a request to a running vmm, by the socket of its --control, and prints the answer "
	"as JSON, for a person, or as a picture.\v"
	"REQUEST:\n"
	"  statistics       as --stats writes them at the end\n"
	"  strategy NAME    have the guest use another strategy\n"
	"  track NAME       dirty, log or scan: change --track\n"
	"  pause, resume    stop all vCPUs; let them go on\n"
	"  audit            which page tables have another mapping? (--json: for a program)\n"
	"  frame PFN        the state of a frame, and its mappings\n"
	"  map FILE         a picture of what each frame is, as SVG\n\n"
	"Exit status: 0 done; 1 refused; 64 wrong command line; 69 no vmm at PATH, "
	"or it ended before it answered; 71 no memory for map's picture; 74 standard output, or map's "
	"FILE, could not be written";

struct command {
	const char *path, *name, *argument; /* NULL: not given */
	bool json;
};

#define KEY_JSON 256

static const struct argp_option options[] = {
	{"json", KEY_JSON, NULL, 0, "The report of audit for a program", 0},
	{0},
};

static error_t parse_key(int key, char *arg, struct argp_state *state)
{
	struct command *command = state->input;

	switch (key) {
	case KEY_JSON:
		command->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (!command->path)
			command->path = arg;
		else if (!command->name)
			command->name = arg;
		else if (!command->argument)
			command->argument = arg;
		else
			argp_error(state, "too many arguments");
		return 0;
	case ARGP_KEY_END:
		if (!command->name)
			argp_error(state, "PATH of the socket and REQUEST are needed");
		if (!*command->path || strlen(command->path) > OPTIONS_MAX_SOCKET)
			argp_error(state, "the path of a socket has 1 to %zu characters",
				   OPTIONS_MAX_SOCKET);
		if (command->json && strcmp(command->name, "audit"))
			argp_error(state, "--json is for audit");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* A pfn: decimal, or hexadecimal as vmm prints frames. Returns NULL if the text is none. */
static json_t *parse_pfn(const char *text)
{
	json_int_t pfn;
	char *end;

	if (*text < '0' || *text > '9')
		return NULL;
	errno = 0;
	pfn = strtoll(text, &end, text[1] == 'x' ? 16 : 10);
	return errno || *end ? NULL : json_integer(pfn);
}

/* What a request takes. */
static const struct form {
	const char *name;
	const char *argument;               /* NULL: nothing */
	const char *member;                 /* that the argument is sent in; NULL: it is not sent */
	json_t *(*parse)(const char *text); /* of it; json_string() returns NULL if not UTF-8 */
} forms[] = {
	{.name = "statistics"},
	{"strategy", "a NAME", "name", json_string},
	{"track", "a NAME: dirty, log or scan", "name", json_string},
	{.name = "pause"},
	{.name = "resume"},
	{.name = "audit"},
	{"frame", "the number of a frame: decimal, or hexadecimal after 0x", "pfn", parse_pfn},
	{.name = "map", .argument = "a FILE, where the picture goes"},
};

/* Returns NULL after a message if the words make no request. */
static const struct form *find_form(const struct command *command)
{
	const struct form *form = NULL;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]) && !form; i++)
		if (!strcmp(command->name, forms[i].name))
			form = &forms[i];
	if (!form)
		say("ctl: not a request: \"%s\"; vmm ctl --help has the list", command->name);
	else if (command->argument && !form->argument)
		say("ctl: not a request: %s takes no argument", form->name);
	else if (!command->argument && form->argument)
		say("ctl: not a request: %s needs %s", form->name, form->argument);
	else
		return form;
	return NULL;
}

/* Returns NULL after a message if the words make no request. */
static json_t *make_request(const struct command *command)
{
	const struct form *form = find_form(command);
	json_t *argument = NULL, *request;
	bool person = !command->json && !strcmp(command->name, "audit");

	if (!form)
		return NULL;
	if (form->member && !(argument = form->parse(command->argument))) {
		say("ctl: not a request: %s needs %s, not \"%s\"", form->name, form->argument,
		    command->argument);
		return NULL;
	}
	request = json_pack("{s:s}", "do", person ? "report" : form->name);
	if (argument)
		json_object_set_new(request, form->member, argument);
	return request;
}

/* Returns the answer, or NULL if there was none. */
static json_t *exchange_lines(struct connection *connection, const json_t *request,
			      const char *path)
{
	int wait_ms = isatty(STDERR_FILENO) ? CONNECTION_TELL_MS : -1;
	struct pollfd fd = {.fd = connection->fd, .events = POLLIN};
	enum connection_state state;
	json_t *answer = NULL;

	/* Even if the request could not be sent, there may be an answer that says why. */
	connection_send(connection, request);
	while ((state = connection_receive(connection, &answer)) == CONNECTION_WAITING) {
		if (poll(&fd, 1, wait_ms) != 0)
			continue;
		say("%s: " CONNECTION_WAITS, path);
		wait_ms = -1;
	}
	return state == CONNECTION_ANSWERED ? answer : NULL;
}

/* check_stdout() in main.c checks at exit whether it was written. */
static int print_answer(const json_t *answer)
{
	const char *report = json_string_value(json_object_get(answer, "report"));

	if (report) {
		fputs(report, stdout);
		return 0;
	}
	json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	putchar('\n');
	return 0;
}

static int ask_vmm(const struct command *command, const json_t *request)
{
	const char *path = command->path;
	struct connection connection;
	json_t *answer = NULL;
	const char *why;
	int status;

	if (!connection_open(&connection, path)) {
		connection_close(&connection);
		return VMM_EX_NOKVM;
	}
	answer = exchange_lines(&connection, request, path);
	connection_close(&connection);
	if (!answer) {
		say("%s: the connection ended without an answer", path);
		return VMM_EX_NOKVM;
	}
	why = json_string_value(json_object_get(answer, "error"));
	if (why)
		say("refused: %s", why);
	if (why)
		status = REFUSED;
	else
		status = strcmp(command->name, "map") ? print_answer(answer)
						      : map_svg_write(answer, command->argument);
	json_decref(answer);
	return status;
}

int ctl_main(int argc, char **argv)
{
	static const struct argp argp = {.options = options,
					 .parser = parse_key,
					 .args_doc = "PATH REQUEST [ARGUMENT]",
					 .doc = doc};
	struct command command = {0};
	char name[] = "vmm ctl"; /* what argp's and getopt's messages begin with */
	json_t *request;
	int status;

	argv[0] = name;
	argp_err_exit_status = VMM_EX_USAGE;
	if (argp_parse(&argp, argc, argv, 0, NULL, &command))
		return VMM_EX_USAGE;
	request = make_request(&command);
	if (!request)
		return VMM_EX_USAGE;
	status = ask_vmm(&command, request);
	json_decref(request);
	return status;
}
