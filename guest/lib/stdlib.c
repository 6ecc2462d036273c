/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

static unsigned digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return ~0u;
}

unsigned long strtoul(const char *restrict s, char **restrict end, int base)
{
	unsigned long value = 0;

	for (; digit_value(*s) < (unsigned)base; s++)
		if (__builtin_mul_overflow(value, (unsigned long)base, &value) ||
		    __builtin_add_overflow(value, (unsigned long)digit_value(*s), &value))
			value = ~0ul;
	if (end)
		*end = (char *)s;
	return value;
}
