/* SPDX-License-Identifier: MIT */
/* Where the vmm plays: a terminal, a disk, a control socket with somebody at it, a file for its
 * statistics; and what there is to see when it has ended. */
#ifndef TESTS_FAULTS_STAGE_H
#define TESTS_FAULTS_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <termios.h>

#define STAGE_SECTORS  64u
#define STAGE_MAX_ARGS 32

struct stage {
	const char *build;
	char dir[32];
	char disk[64], socket[64], stats[64], err[64];
	const char *argv[STAGE_MAX_ARGS]; /* of the vmm */
	char seed[32], argument[64];
	unsigned long seed_number;
	/* Of this run: */
	int master, slave; /* of the terminal */
	int out;           /* reading end of the vmm's standard output */
	int out_end;       /* writing end */
	struct termios before;
	pid_t visitor;
};

/* What became of the things that vmm has to do with. */
struct scene {
	char out[65536], err[65536];
	bool terminal_whole; /* its settings are those of before */
	bool disk_whole;     /* each sector is as it was before or as the guest wrote it */
	bool disk_written;   /* all of them as the guest wrote them */
	bool stats_there;
	bool stats_whole;   /* there, and all of it */
	char litter[256];   /* name of something left behind, or "" */
	char figures[1024]; /* what the statistics say of exits and disks, as JSON, or "" */
};

/* `options` are the vmm's beside those of the stage; ends with NULL. */
void stage_init(struct stage *stage, const char *build, const char *const options[]);
void stage_free(struct stage *stage);
/* Before each run, and after it. */
void stage_set(struct stage *stage);
void stage_look(struct stage *stage, pid_t vmm, struct scene *scene);
/* In the child that becomes the vmm. */
void stage_enter(void *stage);
/* Starts the one who asks for statistics, presses q, and sends SIGTERM where that was not enough.
 */
void stage_visit(struct stage *stage, pid_t vmm);

#endif
