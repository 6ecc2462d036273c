/* SPDX-License-Identifier: MIT */
/* Shared by the files of gdb/ alone. */
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

/* What stopped a vCPU; written by its own thread before its bit in `hits` is set (release), read by
 * the main thread after it has taken the bit (acquire). */
struct gdb_hit {
	bool at_break; /* at a software breakpoint of ours */
	struct kvm_debug_exit_arch arch;
};

struct gdb {
	struct listener listener;
	struct gdb_target target;
	int hit_fd; /* eventfd */
	_Atomic uint64_t hits;
	struct gdb_hit hit[OPTIONS_MAX_CPUS];

	int fd; /* of the debugger, -1: none */
	struct gdb_reader reader;
	struct gdb_reply reply;       /* to the packet that is being answered */
	char out[GDB_PACKET_MAX + 5]; /* on its way: acknowledgement and packet */
	size_t nr_out, sent;
	char *xml;        /* target.xml */
	bool no_ack;      /* packets are not acknowledged any more */
	bool hang_up;     /* it, when what is on its way has been sent */
	unsigned vcpu;    /* that registers and memory are asked of */
	uint64_t running; /* vCPUs that it has let go, and waits for a stop of; 0: they are stopped
			   */
};

/* Answers the packet in gdb->reader by filling gdb->reply, which is empty. Returns false if there
 * is no answer now: the guest runs, or the debugger has gone. */
bool gdb_command(struct gdb *gdb);
/* The answer to a debugger that waits: vCPU `vcpu` has stopped for this reason, all have. NULL: for
 * none but that it was asked to. */
void gdb_reply_stop(struct gdb *gdb, unsigned vcpu, const struct gdb_hit *hit);

/* Lets these vCPUs run, of which `stepping` make one step. */
void gdb_resume(struct gdb *gdb, uint64_t vcpus, uint64_t stepping);
/* From the return on no vCPU is in the guest. */
void gdb_stop_all(struct gdb *gdb);
/* The guest goes on as if there had never been a debugger. */
void gdb_detach(struct gdb *gdb);

#endif
