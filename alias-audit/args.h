/* SPDX-License-Identifier: MIT */
/* The command line of alias-audit. */
#ifndef AUDIT_ARGS_H
#define AUDIT_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#define ARGS_MAX_ROOTS 16u

enum audit_status {
	AUDIT_NOTHING = 0, /* nothing of what --fail-on names */
	AUDIT_FOUND = 1,
	/* Others are those of vmm (status.h). */
};

#define FAIL_ON_DOUBT (1u << 31)

enum audit_command { COMMAND_CORE, COMMAND_QEMU };

struct args {
	enum audit_command command;
	const char *core; /* of COMMAND_CORE */
	const char *qmp;  /* of COMMAND_QEMU: a socket's path */
	const char *mem;  /* a file that is the guest's memory; NULL: find it */
	unsigned pid;     /* of QEMU; 0: of the process that listens at the socket */
	unsigned watch;   /* seconds between looks; 0: one look */
	unsigned looks;   /* end after so many looks; 0: never */
	unsigned timeout; /* seconds that a QMP peer may take for an answer; never 0 */
	bool json, all;
	const char *symbols; /* NULL: none */
	const char *map;     /* file for the picture; NULL: none */
	unsigned fail_on;    /* bits 1 << enum finding_kind, and FAIL_ON_DOUBT */
	unsigned nr_roots;
	uint64_t root[ARGS_MAX_ROOTS];
	unsigned root_levels; /* of these: 4 or 5 */
};

/* Parses the command line, or ends the process: with 64 after one sentence, or for --help and
 * --version with 0. */
void args_parse(struct args *args, int argc, char **argv);

#endif
