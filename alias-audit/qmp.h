/* SPDX-License-Identifier: MIT */
/*
 * A client of QMP, QEMU's monitor protocol, over a Unix socket. The peer is not trusted: an answer
 * may be late, long, nonsense or none. Every wait has a limit.
 *
 * A machine that is stopped for a look runs on whatever becomes of this process: a child holds the
 * same connection and waits at a pipe; when the pipe closes before the child was told that all is
 * well, it asks QEMU to continue.
 */
#ifndef AUDIT_QMP_H
#define AUDIT_QMP_H

#include <stdbool.h>
#include <sys/types.h>
#include <jansson.h>

struct qmp;

/* Connects, and does the handshake; `path` must stay. Every answer may take `timeout` seconds.
 * Returns NULL after a message, with the kind of failure in *error: -ENOTCONN: no connection, or
 * the peer does not answer as QEMU does; -EIO: a system call failed; or -ENOMEM. */
struct qmp *qmp_open(const char *path, unsigned timeout, int *error);
void qmp_close(struct qmp *qmp);

/* The process that listened at the socket; 0 if the kernel doesn't tell. */
pid_t qmp_peer(const struct qmp *qmp);

/* Executes a command; `arguments` may be NULL, and is taken over. Returns its return value, or NULL
 * after a message. After a lost connection all commands fail, the first with a message. */
json_t *qmp_execute(struct qmp *qmp, const char *command, json_t *arguments);
/* Executes a command of the human monitor. Returns its text, to be freed, or NULL after a message.
 */
char *qmp_monitor(struct qmp *qmp, const char *line);

/* Stops the machine if it runs, with a child that resumes it if this process ends before
 * qmp_resume(). Returns 0, or after a message -ENOTCONN: QEMU does not answer as it should, or
 * -EIO: a system call failed; then the machine has been resumed as far as it can be. */
int qmp_pause(struct qmp *qmp);
/* Resumes what qmp_pause() has stopped. Returns false after a message. */
bool qmp_resume(struct qmp *qmp);

/* Parses one line of a peer. Returns NULL if it is no JSON object. */
json_t *qmp_parse(const char *line, size_t len);

#endif
