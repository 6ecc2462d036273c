/* SPDX-License-Identifier: MIT */
/*
 * Boot arguments: words `key=value`. A key must be declared in the file that uses it:
 *
 * 	BOOTARG(lazy, "pages held lazily before a purge, default fls(CPUs) x 32 MiB");
 *
 * An unknown key, a word without '=', and a value that makes no sense end the run with one line and
 * EXIT_BAD_ARGS. If a key is given several times, the last one counts.
 */
#ifndef BOOTARGS_H
#define BOOTARGS_H

#include <stdint.h>

struct bootarg {
	const char *key;
	const char *help;
};

#define BOOTARG(name, text)                                                                        \
	static const struct bootarg bootarg_##name                                                 \
		__attribute__((section("bootargs"), used, aligned(8))) = {#name, text}

/* Returns the value, or NULL if the key was not given. It is valid for the whole run. Panics if the
 * key was not declared. */
const char *arg_str(const char *key);
/* Returns the value as a number, or `otherwise` if the key was not given. The number is decimal or
 * 0x hexadecimal, with an optional suffix K, M or G for powers of 1024; any other value ends the
 * run as arg_bad() does. */
uint64_t arg_u64(const char *key, uint64_t otherwise);
/* Prints "guest: bad boot argument key=value: expected <expected>" and exits with EXIT_BAD_ARGS. */
_Noreturn void arg_bad(const char *key, const char *expected);

/* Splits the boot arguments into words and checks the keys. Once, at boot. */
void bootargs_init(const char *words);

#endif
