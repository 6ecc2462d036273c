/* SPDX-License-Identifier: MIT */
/*
 * Functions that libfdt.a calls, since it was compiled for user space: the stack protector's
 * handler, and the checked functions of _FORTIFY_SOURCE, which compare with the size of the object
 * that the compiler knows.
 */
#include <string.h>

#include "panic.h"

void __stack_chk_fail(void);
void *__memcpy_chk(void *to, const void *from, size_t n, size_t room);
void *__memmove_chk(void *to, const void *from, size_t n, size_t room);
void *__memset_chk(void *to, int byte, size_t n, size_t room);

void __stack_chk_fail(void)
{
	panic("stack overwritten: a canary is gone (called from %p)", __builtin_return_address(0));
}

static void check_room(size_t n, size_t room)
{
	if (n > room)
		panic("%zu bytes written to an object of %zu", n, room);
}

void *__memcpy_chk(void *to, const void *from, size_t n, size_t room)
{
	check_room(n, room);
	return memcpy(to, from, n);
}

void *__memmove_chk(void *to, const void *from, size_t n, size_t room)
{
	check_room(n, room);
	return memmove(to, from, n);
}

void *__memset_chk(void *to, int byte, size_t n, size_t room)
{
	check_room(n, room);
	return memset(to, byte, n);
}
