/* SPDX-License-Identifier: MIT */
/*
 * A virtio 1.x console with one port, on virtio-mmio. Its output goes to a console, its input comes
 * from input.h.
 *
 * The thread of the vCPU that notifies the queue writes the output itself, as with the UART: the
 * guest's driver spins until its buffer is returned, so another thread would only make it wait
 * longer. If standard output takes nothing, that vCPU waits, and so do others that access this
 * device. The main thread, which brings input, shares no lock with them.
 *
 * Linux drops what it receives before its driver has registered the console, although the driver
 * has given buffers and set DRIVER_OK long before. It handles a change of the configuration only
 * after that. So the driver is told of one at DRIVER_OK, and input waits until it has read the
 * configuration; the terminal's first size is heeded by this, too. A driver that does without
 * VIRTIO_CONSOLE_F_SIZE reads none, and gets its input at once.
 */
#ifndef VMM_DEVICES_VIRTIO_CONSOLE_H
#define VMM_DEVICES_VIRTIO_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "devices/input.h"
#include "devices/terminal.h"

struct console;
struct virtio_console;
struct virtio_host;

/* Creates the console and adds its registers at `mmio_base` to the MMIO bus. `gsi` is an
 * edge-triggered pin of the IOAPIC. `size` is the size of the terminal, or NULL if there is none,
 * which the guest is told as 0 by 0. All that `host` names, and `console`, must outlive it. Returns
 * NULL after a message. */
struct virtio_console *virtio_console_create(const struct virtio_host *host,
					     struct console *console,
					     const struct terminal_size *size, uint64_t mmio_base,
					     unsigned gsi);
/* After the vCPUs have ended. `virtio` may be NULL. */
void virtio_console_destroy(struct virtio_console *virtio);

/* Its input, for the main thread. */
struct input_sink virtio_console_input(struct virtio_console *virtio);
/* Has there been a driver for it? Any thread. */
bool virtio_console_has_driver(const struct virtio_console *virtio);
/* Tells the guest the terminal's new size. Main thread. */
void virtio_console_resize(struct virtio_console *virtio, const struct terminal_size *size);

#endif
