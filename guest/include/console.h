/* SPDX-License-Identifier: MIT */
/* The 16550 console: formatted output, and input by interrupt. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#define KPRINTF_MAX 512u

/*
 * Formats and prints, one call without a break from other CPUs: print whole lines, "\n" included.
 * Knows %d %i %u %x %X %c %s %p %%, with h hh l ll z lengths, '-' and '0' flags, width and
 * precision (also '*'), '#' for hexadecimal. No more than KPRINTF_MAX - 1 characters a call, the
 * rest is cut. Not from interrupt handlers that can interrupt a kprintf() (none need to).
 */
void kprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void kvprintf(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));

/* As snprintf(): always terminated if `size` is not 0, returns the length it would have had. */
size_t ksnprintf(char *buffer, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
size_t kvsnprintf(char *buffer, size_t size, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

/* Waits (halted) for a character of input. There is no end of file on a serial line. One reader at
 * a time, on the boot CPU. The first call turns input on. */
uint8_t console_getc(void);

/* For the platform: where the console is (until then COM1). */
void console_set_port(uint16_t port);
/* For panics: prints, whoever may hold the lock; waits for it for a while only. */
void console_write_unlocked(const char *text, size_t len);

#endif
