/* SPDX-License-Identifier: MIT */
/* The command line. */
#ifndef VMM_OPTIONS_H
#define VMM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>
#include "alias_abi.h"

#define OPTIONS_MAX_DISKS 8
#define OPTIONS_MAX_CPUS  64

#define OPTIONS_MAX_SOCKET (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

/* Limits of the guest's memory; the names are for --help. */
#define OPTIONS_MIN_MEM      (4ull << 20)
#define OPTIONS_MIN_MEM_NAME "4M"
#define OPTIONS_MAX_MEM      (512ull << 30)
#define OPTIONS_MAX_MEM_NAME "512G"

/* Defaults for Linux. Linux uses the last of contradicting arguments, so the user's come after
 * these. */
#define OPTIONS_LINUX_MEM     (256ull << 20)
#define OPTIONS_LINUX_CMDLINE "console=hvc0 panic=-1 pci=off"

/* The guest's logs take at most this part of its memory: 1/OPTIONS_LOG_SHARE. */
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
	unsigned audit; /* with --track log: one sync in so many is an audit */
	enum on_violation on_violation;
	enum flush_proof flush_proof;
	const char *stats; /* file; "-" for standard output; NULL for none */
	const char *trace; /* the same */
	unsigned timeout;  /* seconds, 0 for none */
	unsigned watch;    /* ms between two looks at the page tables, 0 for none */
	unsigned verify;   /* call the oracle after one pin call in so many; 0: never */
	bool verbose;      /* -v: report what the host does, on standard error */
	bool probe, json;
	bool sandbox;        /* false: --no-sandbox */
	const char *control; /* path of the control socket; NULL for none */
	const char *gdb;     /* port, or path of the socket, for a debugger; NULL for none */
	const char *guest;
	const char *initrd;  /* NULL for none */
	const char *symbols; /* file with names of the guest's kernel, for looks; NULL for none */
	/* The guest's command line; owned. "flush=NAME" and the guest's arguments, or for Linux
	 * OPTIONS_LINUX_CMDLINE and the arguments. */
	char *bootargs;
	const char *arguments;  /* the guest's arguments only; point into `bootargs` until
				   options_for_linux() */
	const char *own_option; /* the last option given that is not for Linux, or NULL */
	bool mem_given;
};

/* Parses the command line, or ends the process: with VMM_EX_USAGE after one sentence, or for --help
 * and --version with 0. */
void options_parse(struct options *opt, int argc, char **argv);
void options_free(struct options *opt);
/* Adapt the options to the kind of guest. options_for_linux() builds Linux's command line, of
 * `cmdline_max` characters at most, and sets the default size of its memory. Both return 0,
 * -EINVAL after a message about a command line that is too long or that names an option that does
 * not go with this guest, or -ENOMEM after one. */
int options_for_guest(const struct options *opt);
int options_for_linux(struct options *opt, uint32_t cmdline_max);

/* Parses a decimal number from min to max, and nothing else. Returns false for anything else. */
bool parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *out);
/* Parses a size: a decimal number with K, M, G or T (powers of 1024), or without a suffix in MiB.
 * *out is in bytes. Returns false for anything else, and if it does not fit. */
bool parse_size(const char *text, uint64_t *out);

/* The program's version, such as "0.1.0". */
const char *options_version(void);
const char *flush_name(enum alias_strategy flush);
const char *track_name(enum track_mode track);
/* Return false if there is no such name. */
bool flush_by_name(const char *name, enum alias_strategy *flush);
bool track_by_name(const char *name, enum track_mode *track);

#endif
