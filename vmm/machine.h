/* SPDX-License-Identifier: MIT */
/* One guest: everything that belongs to it. Nothing is global. */
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
struct names;
struct sandbox;
struct symbols;
struct virtio_blk;
struct uart;
struct virtio_console;

/* The time from the first KVM_RUN to the first character on the console. `exits` is written last
 * (release); it is 0 until there was a character. */
struct first_char {
	uint64_t start_tsc, start_ns;
	uint64_t tsc, ns;
	_Atomic uint64_t exits; /* returns of KVM_RUN, of all vCPUs together */
};

/* What statistics need of the host and this process; opened before the sandbox closes. */
struct about {
	json_t *host;            /* host_describe() */
	int status_fd, smaps_fd; /* of /proc/self, or -1 */
};

struct machine {
	const struct options *opt;
	bool upcalls_broken;     /* this host's KVM goes past an `out` before it exits for it */
	bool is_linux;           /* has ACPI tables, and no hypercall */
	struct sandbox *sandbox; /* NULL: --no-sandbox */
	struct about about;
	int kvm_fd;
	struct vm vm;
	uint64_t log_gpa, log_size; /* ALIAS_LOG_SIZE for each vCPU; 0, 0 if there is no room */
	struct io_space io;
	struct console *console;
	struct uart *uart;
	struct virtio_console *virtio_console; /* for Linux, else NULL */
	struct input_sink input;               /* that of the one or the other console */
	struct first_char first_char;
	uint64_t end_ns; /* when the last vCPU ended; 0 before */
	struct virtio_blk *blk[OPTIONS_MAX_DISKS];
	struct stop stop;
	struct trace *trace;     /* NULL: none; not owned */
	struct symbols *symbols; /* names of the guest's code; NULL: none; not owned */
	struct names *names;     /* of --symbols, for looks; owned; NULL: none */
};

struct image;
struct trace;

/* The steps that set the machine up, in this order; then its vCPUs can be started. Each returns 0,
 * or a negated errno after a message. Call machine_free() in any case, after machine_init(). */

/* All that needs no KVM: memory, console, sandbox. */
int machine_init(struct machine *machine, const struct options *opt, const struct image *image,
		 struct trace *trace);
/* Loads the image. Errors as those of linux_load(). */
int machine_load(struct machine *machine, const struct image *image);
/* Opens /dev/kvm. Any error says that the options can't be had here. */
int machine_open_kvm(struct machine *machine);
/* Creates the VM, its vCPUs and devices. */
int machine_create_vm(struct machine *machine);
/* Opens the disks' files. */
int machine_add_disks(struct machine *machine);
/* Sets the registers of vCPU 0 to the image's entry. */
int machine_enter_image(struct machine *machine, const struct image *image);

/* Confines the calling thread and starts the vCPUs. Returns 0, or a negated errno after a
 * message. */
int machine_start(struct machine *machine);
/* Waits until the vCPUs' threads have ended, and stops the disks: then nothing but the caller
 * touches the guest's memory. After stop_request(). */
void machine_join(struct machine *machine);
/* Makes the disks durable; after machine_join(). Returns false after a message that names what may
 * be lost. */
bool machine_sync_disks(struct machine *machine);
void machine_free(struct machine *machine);

/* Bytes of the pages from SHARED_GPA on that guest and host share. */
uint64_t machine_shared_size(const struct machine *machine);
/* Is it one of the frames that guest and host share: the shared pages, and the logs? */
bool machine_shares_frame(const struct machine *machine, uint64_t pfn);

/* Seconds from machine_start() to the end of machine_join(), or until now. */
double machine_seconds(const struct machine *machine);
/* Milliseconds left of --timeout, 0 or more; -1 without --timeout. After machine_start(). */
int machine_time_left(const struct machine *machine);

#endif
