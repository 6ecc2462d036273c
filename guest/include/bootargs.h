/* SPDX-License-Identifier: MIT */
/*
 * Boot arguments: words `key=value`. A key exists because somebody declared it:
 *
 *	BOOTARG(lazy, "pages held lazily before a purge, default fls(CPUs) x 32 MiB");
 *
 * in the file that asks for it. An unknown key, a word without '=' and a value that makes no sense
 * end the run with one line and EXIT_BAD_ARGS. Of several words with the same key the last counts.
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

/* The value, or NULL if not given. It lives for ever. The key must have been declared (panic). */
const char *arg_str(const char *key);
/* Decimal or 0x hexadecimal, with a suffix K, M or G for powers of 1024. */
uint64_t arg_u64(const char *key, uint64_t otherwise);
/* Says "guest: bad boot argument key=value: expected <what>" and exits with EXIT_BAD_ARGS. */
_Noreturn void arg_bad(const char *key, const char *expected);

/* Boot: takes the words apart and checks the keys. */
void bootargs_init(const char *words);

#endif
