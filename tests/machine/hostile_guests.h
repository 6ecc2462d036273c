/* SPDX-License-Identifier: MIT */
/* The table of hostile guests: what must happen, and what happens with a defence switched off. */
#ifndef TESTS_MACHINE_HOSTILE_GUESTS_H
#define TESTS_MACHINE_HOSTILE_GUESTS_H

#include <stddef.h>

#define HOSTILE_OPTIONS 6
#define HOSTILE_STATS   3

struct outcome {
	int status;
	int violations;     /* reported, or prevented */
	const char *says;   /* on standard error; NULL: nothing but the violations */
	const char *prints; /* all of standard output; NULL: whatever it is */
	struct {
		const char *path; /* NULL: no more */
		int value;
	} stats[HOSTILE_STATS];
};

struct hostile {
	const char *guest;
	const char *with[HOSTILE_OPTIONS]; /* of vmm, and of vmm-broken, beside -t TRACK */
	const char *word;                  /* of the guest's command line; NULL: none */
	const char *disk;                  /* 512 bytes of it come 8 at a time from here on */
	struct outcome must; /* under every mode of tracking that none of these is for */
	const struct outcome *on_log, *on_strict;
	/* These switch the defence off that the guest is there for, and then: */
	const char *off[HOSTILE_OPTIONS], *strict_off[HOSTILE_OPTIONS];
	struct outcome then, strict_then;
	const char *off_track; /* under which that is tried; NULL: dirty */
	/* Why strict has no such switch, or the others; why it, or the others, have nothing to do
	 * here. */
	const char *no_strict_switch, *no_switch, *not_strict, *only_strict;
};

extern const struct hostile hostiles[];
extern const size_t nr_hostiles;

#endif
