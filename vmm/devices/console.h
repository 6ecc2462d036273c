/* SPDX-License-Identifier: MIT */
/*
 * The output of the guest's console, to standard output. Characters are collected and written when
 * a line is complete, when the buffer is full, or a moment after the guest has paused in the middle
 * of a line. If standard output takes nothing, the guest waits, but neither the main thread nor the
 * end of the machine does.
 */
#ifndef VMM_DEVICES_CONSOLE_H
#define VMM_DEVICES_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct console;

/* Creates the console. When `stop_fd` becomes readable, waiting for standard output ends.
 * first_char() is called once, before the guest's first character. Returns NULL after a message. */
struct console *console_create(int stop_fd, void (*first_char)(void *ctx), void *ctx);
/* Writes what is left in the buffer. Gives up, and drops the rest, when standard output has taken
 * nothing for 5 seconds. After the vCPUs have ended. Returns true if all output of the guest was
 * written, or its reader has gone; false after a message. */
bool console_drain(struct console *console);
void console_destroy(struct console *console);

/* console_write() adds characters, console_put() one; console_end() marks the end of one access of
 * the guest. A vCPU's thread. */
void console_write(struct console *console, const uint8_t *bytes, size_t nr);
void console_put(struct console *console, uint8_t byte);
void console_end(struct console *console);

/* A timerfd. When it is readable, the main thread calls console_tick(), which does not wait. */
int console_timer_fd(const struct console *console);
void console_tick(struct console *console);

#endif
