/* SPDX-License-Identifier: MIT */
/* For the files of gdb/ only. */
#ifndef VMM_GDB_INTERNAL_H
#define VMM_GDB_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kvm.h>
#include "listener.h"
#include "gdb/packet.h"
#include "gdb/target.h"
#include "options.h"

/* Why a vCPU has stopped. Written by its own thread before it sets its bit in `hits` (release),
 * read by the main thread after it has taken the bit (acquire). */
struct gdb_hit {
	bool at_break; /* at a software breakpoint of the debugger's */
	struct kvm_debug_exit_arch arch;
};

struct gdb {
	struct listener listener;
	struct gdb_target target;
	int hit_fd; /* eventfd */
	_Atomic uint64_t hits;
	struct gdb_hit hit[OPTIONS_MAX_CPUS];

	int fd; /* the debugger's connection; -1: none */
	uint8_t in[4096];
	size_t nr_in, taken; /* bytes in `in`, and how many of them the reader has taken */
	struct gdb_reader reader;
	struct gdb_reply reply;       /* the answer to the present packet */
	char out[GDB_PACKET_MAX + 5]; /* being sent: acknowledgement and packet */
	size_t nr_out, sent;
	char *xml;         /* target.xml */
	bool no_ack;       /* packets are no longer acknowledged */
	bool hang_up;      /* close the connection when all is sent */
	unsigned vcpu;     /* the vCPU whose registers and memory are asked for */
	unsigned reported; /* the vCPU of the last stop; 0 before */
	uint64_t running;  /* vCPUs that run, until one of them stops; 0: all are stopped */
	uint64_t stepping; /* of these, those that make a step */
};

/* Answers the packet in gdb->reader by filling gdb->reply, which is empty. Returns false if there
 * is no answer yet: the guest runs, or the debugger has gone. */
bool gdb_command(struct gdb *gdb);
/* The answer to a debugger that waits for a stop: all vCPUs have stopped, vCPU `vcpu` for this
 * reason. NULL: only because the debugger asked for it. */
void gdb_reply_stop(struct gdb *gdb, unsigned vcpu, const struct gdb_hit *hit);

/* Lets these vCPUs run; those in `stepping` make one step. */
void gdb_resume(struct gdb *gdb, uint64_t vcpus, uint64_t stepping);
/* Sets up vCPU `vcpu`, which is stopped, to go on as it was let run; `how` as for gdb_arm(). */
void gdb_go_on(struct gdb *gdb, unsigned vcpu, uint32_t how);
/* Stops all vCPUs: when it returns, none is in the guest. */
void gdb_stop_all(struct gdb *gdb);
/* Removes all traces of the debugger, and lets the guest go on. */
void gdb_detach(struct gdb *gdb);

#endif
