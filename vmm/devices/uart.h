/* SPDX-License-Identifier: MIT */
/* A 16550A at COM1: output goes to a console, input comes from it. */
#ifndef VMM_DEVICES_UART_H
#define VMM_DEVICES_UART_H

#include <stddef.h>
#include <stdint.h>
#include "kvm/irq_line.h"

#define UART_PORT     0x3f8
#define UART_NR_PORTS 8
#define UART_GSI      4
#define UART_CLOCK    1843200

struct bus;
struct console;
struct stop;
struct uart;

/* What it is connected to, all of which outlives it. */
struct uart_config {
	struct bus *pio;
	struct irq_line irq;
	struct console *console;
	struct stop *stop; /* when the interrupt line can't be set any more */
};

/* Creates it and puts it on the port bus, before vCPUs run. NULL after saying why. */
struct uart *uart_create(const struct uart_config *config);
/* After the vCPUs have ended. NULL is allowed. */
void uart_destroy(struct uart *uart);

/* Input, by the main thread. uart_receive() takes as many bytes as there is room for and returns
 * how many; after it took less than offered, the eventfd uart_room_fd() becomes readable once
 * there is room again. */
size_t uart_receive(struct uart *uart, const uint8_t *bytes, size_t nr);
int uart_room_fd(const struct uart *uart);

#endif
