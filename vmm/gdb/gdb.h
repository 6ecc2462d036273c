/* SPDX-License-Identifier: MIT */
/*
 * GDB's remote protocol for a running guest: `target remote` to a port of the loopback address, or
 * to a Unix socket that only its owner may open. vCPUs are threads; they stop and go on together
 * (all-stop). One debugger at a time; the guest waits for the first before its first instruction,
 * and runs on without a debugger when it detaches or goes away.
 *
 * Threads: all is the main thread's, but for what a vCPU's own thread does when
 * it has met a breakpoint or made a step. A vCPU that stops keeps itself out of the guest
 * (debug_stop_self(), kvm/pause.h), and says so by an eventfd.
 */
#ifndef VMM_GDB_GDB_H
#define VMM_GDB_GDB_H

#include <poll.h>
#include <stdbool.h>

#define GDB_NR_FDS 3

struct bus;
struct gdb;
struct image;
struct vcpu;
struct vm;

/* Listens at `where`: a decimal port number, or the path of a socket, which holds a "/". Before
 * other threads are started. NULL after saying why. */
struct gdb *gdb_open(const char *where);
/* All vCPUs wait for the debugger from their first instruction on. Before they are started;
 * `kvm_fd` is /dev/kvm. Returns 0, or a negated errno after saying why. */
int gdb_attach(struct gdb *gdb, struct vm *vm, const struct image *image, struct bus *pio,
	       int kvm_fd);

/* What to poll for. NULL: nothing. */
void gdb_poll(const struct gdb *gdb, struct pollfd fds[GDB_NR_FDS]);
/* Serves what poll() then found. */
void gdb_serve(struct gdb *gdb, const struct pollfd fds[GDB_NR_FDS]);

/* The guest has ended: the debugger is told its status, 0 to 255. */
void gdb_ended(struct gdb *gdb, int status);
/* NULL is fine. */
void gdb_close(struct gdb *gdb);

#endif
