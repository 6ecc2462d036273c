/* SPDX-License-Identifier: MIT */
#include "control/ctl.h"

#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <jansson.h>
#include "options.h"
#include "say.h"
#include "status.h"

#define REFUSED 1

static const char doc[] =
	"Sends a request to a running vmm, by the socket of its --control, and prints the answer "
	"as JSON.\v"
	"REQUEST:\n"
	"  statistics       as --stats writes them at the end\n"
	"  strategy NAME    have the guest use another strategy\n"
	"  track NAME       dirty, log or scan: change --track\n"
	"  pause, resume    stop all vCPUs; let them go on\n"
	"  frame PFN        the state of a frame, and its mappings\n\n"
	"Exit status: 0 done; 1 refused; 64 wrong command line; 69 no vmm at PATH, "
	"or it ended before it answered; 74 standard output failed";

struct command {
	const char *path, *name, *argument; /* NULL: not given */
};

static error_t parse_key(int key, char *arg, struct argp_state *state)
{
	struct command *command = state->input;

	switch (key) {
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
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Parses a pfn: decimal, or hexadecimal as vmm prints frames. */
static bool parse_pfn(const char *text, json_int_t *pfn)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*pfn = strtoll(text, &end, text[1] == 'x' ? 16 : 10);
	return !errno && !*end;
}

/* Returns NULL if the words make no request. */
static json_t *make_request(const struct command *command)
{
	const char *name = command->name, *argument = command->argument;
	json_int_t pfn;

	if (!strcmp(name, "statistics") || !strcmp(name, "pause") || !strcmp(name, "resume"))
		return argument ? NULL : json_pack("{s:s}", "do", name);
	if (!strcmp(name, "strategy") || !strcmp(name, "track"))
		return argument ? json_pack("{s:s, s:s}", "do", name, "name", argument) : NULL;
	if (!strcmp(name, "frame") && argument && parse_pfn(argument, &pfn))
		return json_pack("{s:s, s:I}", "do", name, "pfn", pfn);
	return NULL;
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	say_errno("no vmm at %s", path);
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Returns the answer, or NULL if there was none. Takes over the descriptor. */
static json_t *exchange_lines(int fd, const json_t *request)
{
	FILE *stream = fdopen(fd, "r+");
	json_t *answer = NULL;
	char *line = NULL;
	size_t size = 0;

	if (!stream) {
		close(fd);
		return NULL;
	}
	/* Even if the request could not be sent, there may be an answer that says why. */
	if (json_dumpf(request, stream, JSON_COMPACT) == 0 && fputc('\n', stream) != EOF)
		fflush(stream);
	if (getline(&line, &size, stream) > 0)
		answer = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	free(line);
	fclose(stream);
	return answer;
}

/* check_stdout() in main.c checks at exit whether it was written. */
static int print_answer(const json_t *answer)
{
	json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	putchar('\n');
	return 0;
}

static int ask_vmm(const char *path, const json_t *request)
{
	int fd = connect_to(path), status;
	const char *why;
	json_t *answer;

	if (fd < 0)
		return VMM_EX_NOKVM;
	answer = exchange_lines(fd, request);
	if (!json_is_object(answer)) {
		json_decref(answer);
		say("%s: the connection ended without an answer", path);
		return VMM_EX_NOKVM;
	}
	why = json_string_value(json_object_get(answer, "error"));
	if (why)
		say("refused: %s", why);
	status = why ? REFUSED : print_answer(answer);
	json_decref(answer);
	return status;
}

int ctl_main(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse_key, .args_doc = "PATH REQUEST [ARGUMENT]", .doc = doc};
	struct command command = {0};
	char name[] = "vmm ctl"; /* what argp's and getopt's messages begin with */
	json_t *request;
	int status;

	argv[0] = name;
	argp_err_exit_status = VMM_EX_USAGE;
	if (argp_parse(&argp, argc, argv, 0, NULL, &command))
		return VMM_EX_USAGE;
	request = make_request(&command);
	if (!request) {
		say("ctl: not a request: \"%s%s%s\"; vmm ctl --help has the list", command.name,
		    command.argument ? " " : "", command.argument ? command.argument : "");
		return VMM_EX_USAGE;
	}
	signal(SIGPIPE, SIG_IGN);
	status = ask_vmm(command.path, request);
	json_decref(request);
	return status;
}
