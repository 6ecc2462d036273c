/* SPDX-License-Identifier: MIT */
/*
 * A running QEMU. It is asked over QMP for the vCPUs' registers and for where memory is; memory
 * itself is read from the file that backs it, if it is shared with one (a memory-backend-file or
 * memfd), and else from /proc/PID/mem, if that is allowed.
 */
#ifndef AUDIT_QEMU_H
#define AUDIT_QEMU_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "notes.h"
#include "physmem.h"
#include "roots.h"

struct qemu;

struct qemu_options {
	const char *qmp;  /* path of the socket; must outlive the struct qemu */
	const char *mem;  /* file that is the guest's memory; NULL: look for it */
	pid_t pid;        /* of QEMU; 0: of the process that listens at the socket */
	unsigned timeout; /* seconds */
};

/* Connects, and finds the guest's memory; `mem` is initialised in any case. Returns NULL after a
 * message, with the kind of failure in *error: as qmp_open(); also -ENOENT: options->mem can't be
 * opened, and -ENOTCONN: the guest's memory can't be found or read. */
struct qemu *qemu_open(const struct qemu_options *options, struct physmem *mem, struct notes *notes,
		       int *error);
/* Is it a file that memory is read from, or another one that QEMU has open, as far as can be seen?
 */
bool qemu_has_file(const struct qemu *qemu, const struct stat *file);
/* Resumes the guest if need be. */
void qemu_close(struct qemu *qemu);

/* Stops the guest, and asks for the registers of its vCPUs. Returns 0, or an error of
 * qmp_pause() after a message; then the guest runs again. */
int qemu_begin(struct qemu *qemu);
/* Lets it run again, if it ran. Returns false after a message. */
bool qemu_end(struct qemu *qemu);
const struct cpu_state *qemu_cpus(const struct qemu *qemu, size_t *nr);
/* "memory in a shared file" or "memory of the process". */
const char *qemu_way(const struct qemu *qemu);

#endif
