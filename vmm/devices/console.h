/* SPDX-License-Identifier: MIT */
/*
 * The way of the guest's characters to standard output: gathered, written when a line is complete,
 * when much has come together, or a moment after the guest has paused within a line. A standard
 * output that takes nothing holds the guest up, but neither the main thread nor the end.
 */
#ifndef VMM_DEVICES_CONSOLE_H
#define VMM_DEVICES_CONSOLE_H

#include <stdint.h>

struct console;

/* `stop_fd` becomes readable when waiting for standard output makes no sense any more; first_char()
 * is called, once, before the guest's first character is taken. NULL after saying why. */
struct console *console_create(int stop_fd, void (*first_char)(void *ctx), void *ctx);
/* Writes what is left, waiting while somebody takes it. After the vCPUs have ended. */
void console_drain(struct console *console);
void console_destroy(struct console *console);

/* One character, by a vCPU's thread; console_end() when the guest's access is over. */
void console_put(struct console *console, uint8_t byte);
void console_end(struct console *console);

/* When this timerfd is readable, the main thread calls console_tick(); it never waits. */
int console_timer_fd(const struct console *console);
void console_tick(struct console *console);

#endif
