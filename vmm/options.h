/* SPDX-License-Identifier: MIT */
/* The command line, parsed by argp. */
#ifndef VMM_OPTIONS_H
#define VMM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>
#include "alias_abi.h"

#define OPTIONS_MAX_DISKS 8
#define OPTIONS_MAX_CPUS  64

#define OPTIONS_MAX_SOCKET (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

/* Guest memory; the name of each is what --help says. */
#define OPTIONS_MIN_MEM      (4ull << 20)
#define OPTIONS_MIN_MEM_NAME "4M"
#define OPTIONS_MAX_MEM      (512ull << 30)
#define OPTIONS_MAX_MEM_NAME "512G"

/* What a Linux is given if nothing else is asked for. A kernel takes the last of what contradicts
 * itself, so arguments come after it. */
#define OPTIONS_LINUX_MEM     (256ull << 20)
#define OPTIONS_LINUX_CMDLINE "console=ttyS0 panic=-1 pci=off"

/* The guest's logs may take this part of its memory. */
#define OPTIONS_LOG_SHARE 4

enum track_mode { TRACK_DIRTY, TRACK_LOG, TRACK_SCAN, TRACK_STRICT, TRACK_OFF };
enum on_violation { VIOLATION_REPORT, VIOLATION_STOP };
enum flush_proof { PROOF_GUEST, PROOF_HOST };

struct disk_option {
	const char *path;
	bool readonly;
};

struct options {
	unsigned cpus; /* 1..OPTIONS_MAX_CPUS */
	uint64_t mem;  /* bytes */
	unsigned nr_disks;
	struct disk_option disk[OPTIONS_MAX_DISKS];
	enum alias_strategy flush;
	enum track_mode track;
	unsigned audit; /* every so many looks at a log is an audit */
	enum on_violation on_violation;
	enum flush_proof flush_proof;
	const char *stats; /* file, "-" for standard output, NULL for none */
	unsigned timeout;  /* seconds, 0 for none */
	unsigned verify;   /* full-walk oracle after the pins of one call in so many; 0: never */
	bool verbose;      /* -v: the host's side of the story on stderr */
	bool probe, json;
	bool sandbox;        /* the threads are confined (sandbox.h) */
	const char *control; /* path of the control socket, NULL for none */
	const char *guest;
	const char *initrd; /* NULL for none */
	/* "flush=NAME" and the guest's arguments, or of a Linux OPTIONS_LINUX_CMDLINE and these;
	 * owned. */
	char *bootargs;
	const char *arguments;  /* the guest's alone, in `bootargs` until it is a Linux's */
	const char *own_option; /* the last given that a Linux has no use for, or NULL */
	bool mem_given;
};

/* Parses, or ends the process with VMM_EX_USAGE and one sentence (--help and -V with 0). */
void options_parse(struct options *opt, int argc, char **argv);
void options_free(struct options *opt);
/* GUEST has turned out to be of this kind: a Linux gets its own command line, of `cmdline_max`
 * characters at most, and more memory unless some was asked for. Each returns 0, or VMM_EX_USAGE
 * after saying which option does not go with it (or VMM_EX_OSERR: no memory). */
int options_for_guest(const struct options *opt);
int options_for_linux(struct options *opt, uint32_t cmdline_max);

/* A decimal number from min to max and nothing else. */
bool parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *out);
/* Bytes: a decimal number with K, M, G or T (powers of 1024), or of MiB when bare. False if it is
 * anything else or does not fit. */
bool parse_size(const char *text, uint64_t *out);

/* The program's, as "0.1.0". */
const char *options_version(void);
const char *flush_name(enum alias_strategy flush);
const char *track_name(enum track_mode track);
/* False if there is none of that name. */
bool flush_by_name(const char *name, enum alias_strategy *flush);
bool track_by_name(const char *name, enum track_mode *track);

#endif
