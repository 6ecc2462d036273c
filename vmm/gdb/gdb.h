/* SPDX-License-Identifier: MIT */
/*
 * GDB's remote protocol for a running guest: `target remote` to a port of the loopback address, or
 * to a Unix socket that only its owner may open. vCPUs are GDB's threads; all stop and go on
 * together (all-stop). One debugger at a time: the connection of a second is closed at once. The
 * guest waits for the first debugger before its first instruction, and runs on when the debugger
 * detaches or disconnects.
 *
 * Threads: everything is used by the main thread, except what a vCPU's own thread does at a
 * breakpoint or after a step. A vCPU that stops keeps itself out of the guest (debug_stop_self(),
 * kvm/pause.h), and signals that by an eventfd.
 */
#ifndef VMM_GDB_GDB_H
#define VMM_GDB_GDB_H

#include <poll.h>
#include <stdbool.h>

#define GDB_NR_FDS 3

struct gdb;
struct image;
struct vcpu;
struct vm;

/* Listens at `where`: a decimal port number, or the path of a socket, which contains a "/". Before
 * other threads exist. Returns NULL after a message. */
struct gdb *gdb_open(const char *where);
/* Makes all vCPUs wait for the debugger before their first instruction. Before they are started;
 * `kvm_fd` is /dev/kvm. */
void gdb_attach(struct gdb *gdb, struct vm *vm, const struct image *image, int kvm_fd);

/* Fills `fds` for poll(). If `gdb` is NULL, with nothing to poll. */
void gdb_poll(const struct gdb *gdb, struct pollfd fds[GDB_NR_FDS]);
/* Serves what poll() found. */
void gdb_serve(struct gdb *gdb, const struct pollfd fds[GDB_NR_FDS]);

/* The guest has ended: reports its status, 0 to 255, to the debugger. */
void gdb_ended(struct gdb *gdb, int status);
/* `gdb` may be NULL. */
void gdb_close(struct gdb *gdb);

#endif
