/* SPDX-License-Identifier: MIT */
/* The console, a 16550: formatted output, and input by interrupt. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#define KPRINTF_MAX 512u

/*
 * Formats and prints. The output of one call is not mixed with that of other CPUs, so print whole
 * lines, with "\n". Knows %d %i %u %x %X %c %s %p %%, with lengths hh h l ll z, flags '-' and '0',
 * width and precision (also '*'), and '#' for hexadecimal. Prints at most KPRINTF_MAX - 1
 * characters and cuts the rest. Not from an interrupt handler that can interrupt a kprintf().
 */
void kprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void kvprintf(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));

/* Like snprintf(): terminated if `size` is not 0; returns the length that the whole text would
 * have. */
size_t ksnprintf(char *buffer, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
size_t kvsnprintf(char *buffer, size_t size, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

/* Waits, halted, for a character of input. A serial line has no end of file. One reader at a time,
 * on the boot CPU. The first call turns input on. */
uint8_t console_getc(void);

/* Sets the console's I/O port, for platform.c. It is COM1 before. */
void console_set_port(uint16_t port);
/* Prints even if another CPU holds the console's lock and does not release it: waits for it for a
 * limited time only. For panics. */
void console_write_unlocked(const char *text, size_t len);

#endif
