/* SPDX-License-Identifier: MIT */
/* A 16550A at COM1: output goes to a console, input comes from it. */
#ifndef VMM_DEVICES_UART_H
#define VMM_DEVICES_UART_H

#include <stddef.h>
#include <stdint.h>

#define UART_PORT     0x3f8
#define UART_NR_PORTS 8
#define UART_GSI      4
#define UART_CLOCK    1843200

struct machine;
struct uart;

/* Creates it and puts it on the port bus of the machine. Returns 0, or a negated errno after
 * saying why. */
int uart_create(struct machine *machine);
void uart_destroy(struct machine *machine);

/* Input, by the main thread. uart_receive() takes as many bytes as there is room for and returns
 * how many; after it took less than offered, the eventfd uart_room_fd() becomes readable once
 * there is room again. */
size_t uart_receive(struct uart *uart, const uint8_t *bytes, size_t nr);
int uart_room_fd(const struct uart *uart);

#endif
