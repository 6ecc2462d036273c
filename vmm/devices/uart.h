/* SPDX-License-Identifier: MIT */
/* A 16550A at COM1. Its output goes to a console, its input comes from input.h. */
#ifndef VMM_DEVICES_UART_H
#define VMM_DEVICES_UART_H

#include <stddef.h>
#include <stdint.h>
#include "devices/input.h"
#include "kvm/irq_line.h"

struct bus;
struct console;
struct stop;
struct uart;

/* What the UART is connected to. All of it outlives the UART. */
struct uart_config {
	struct bus *pio;
	struct irq_line irq;
	struct console *console;
	struct stop *stop; /* for a failure to set the interrupt line */
};

/* Creates the UART and adds it to the port bus, before vCPUs run. Returns NULL after a message. */
struct uart *uart_create(const struct uart_config *config);
/* After the vCPUs have ended. `uart` may be NULL. */
void uart_destroy(struct uart *uart);

/* Input, on the main thread; it never waits. uart_receive() takes as many bytes as there is room
 * for, and none before the guest listens (it raises RTS, or enables the receive interrupt). Returns
 * how many. If it took fewer than offered, the eventfd uart_room_fd() becomes readable when there
 * is room. */
size_t uart_receive(struct uart *uart, const uint8_t *bytes, size_t nr);
int uart_room_fd(const struct uart *uart);
/* Both as an input_sink. */
struct input_sink uart_input(struct uart *uart);

#endif
