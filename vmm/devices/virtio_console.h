/* SPDX-License-Identifier: MIT */
/*
 * A virtio 1.x console of one port on virtio-mmio: output goes to a console, input comes from it.
 *
 * What the guest prints is taken in the vCPU's thread that notified the queue, as with the UART:
 * the guest's driver spins until its buffer comes back, so another thread would only make it wait.
 * Where standard output takes nothing that vCPU waits, and so do others that come to this device;
 * the main thread, which brings input, shares no lock with them.
 */
#ifndef VMM_DEVICES_VIRTIO_CONSOLE_H
#define VMM_DEVICES_VIRTIO_CONSOLE_H

#include <stddef.h>
#include <stdint.h>
#include "devices/input.h"
#include "devices/terminal.h"

struct console;
struct virtio_console;
struct virtio_host;

/* Puts its registers at `mmio_base` on the MMIO bus; `gsi` is an edge-triggered pin of the IOAPIC.
 * All that `host` names, and `console`, outlive it. `size` is that of the terminal, or NULL where
 * there is none. NULL after saying why. */
struct virtio_console *virtio_console_create(const struct virtio_host *host,
					     struct console *console,
					     const struct terminal_size *size, uint64_t mmio_base,
					     unsigned gsi);
/* After the vCPUs have ended. NULL is allowed. */
void virtio_console_destroy(struct virtio_console *virtio);

/* Input; by the main thread. */
struct input_sink virtio_console_input(struct virtio_console *virtio);
/* The terminal has another size now. One that was created without goes on without. Main thread. */
void virtio_console_resize(struct virtio_console *virtio, const struct terminal_size *size);

#endif
