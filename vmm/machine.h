/* SPDX-License-Identifier: MIT */
/* One guest: everything that belongs to it, nothing global. */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>
#include "alias_abi.h"
#include "devices/input.h"
#include "devices/io_space.h"
#include "machine_map.h"
#include "options.h"
#include "kvm/vm.h"
#include "stop.h"

struct console;
struct sandbox;
struct virtio_blk;
struct uart;
struct virtio_console;

/* From the first KVM_RUN to the first character on the console; `exits` is its last member to be
 * written (release), 0 while there was none. */
struct first_char {
	uint64_t start_tsc, start_ns;
	uint64_t tsc, ns;
	_Atomic uint64_t exits; /* returns of KVM_RUN, all vCPUs together */
};

/* What statistics say of the host and this process: opened while files can be. */
struct about {
	json_t *host;            /* host_describe() */
	int status_fd, smaps_fd; /* of /proc/self, or -1 */
};

struct machine {
	const struct options *opt;
	bool is_linux;           /* it has ACPI, and knows of no hypercall */
	struct sandbox *sandbox; /* NULL: --no-sandbox */
	struct about about;
	int kvm_fd;
	struct vm vm;
	uint64_t log_gpa, log_size; /* ALIAS_LOG_SIZE for each vCPU; 0, 0: no room was made */
	struct io_space io;
	struct console *console;
	struct uart *uart;
	struct virtio_console *virtio_console; /* of a Linux, else NULL */
	struct input_sink input;               /* goes to one of these two */
	struct first_char first_char;
	uint64_t end_ns; /* when the last vCPU had ended, 0 before */
	struct virtio_blk *blk[OPTIONS_MAX_DISKS];
	struct stop stop;
};

struct image;

/* Sets the machine up to where its vCPUs can be started, with the image loaded. Returns 0, or a
 * status of status.h after saying why. machine_free() after either. */
int machine_init(struct machine *machine, const struct options *opt, const struct image *image);
/* Confines the calling thread, and has the vCPUs run. Returns 0, or a status of status.h after
 * saying why. */
int machine_start(struct machine *machine);
/* Waits for the vCPUs' threads. stop_request() came before. */
void machine_join(struct machine *machine);
/* Has the disks keep what was written, after machine_join(). False after saying what was not. */
bool machine_sync_disks(struct machine *machine);
void machine_free(struct machine *machine);

/* From machine_start() to the end of machine_join(), or until now. */
double machine_seconds(const struct machine *machine);
/* What is left of --timeout in ms, 0 or more; -1 where there is none. After machine_start(). */
int machine_time_left(const struct machine *machine);

#endif
