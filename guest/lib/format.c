/* SPDX-License-Identifier: MIT */
/* Formats the output of kprintf() and ksnprintf(). */
#include "console.h"

#include <stdbool.h>
#include <string.h>

struct out {
	char *buffer;
	size_t size, len; /* `len` counts what did not fit, too */
};

/* One conversion: %[flags][width][.precision][length]letter. */
struct spec {
	bool left, zero, prefix;
	int width;
	int precision; /* -1: none */
	int length;    /* of an integer: 1 hh, 2 h, 4 none, 8 l ll z */
};

static void format_put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buffer[o->len] = c;
	o->len++;
}

static void pad(struct out *o, char c, long n)
{
	while (n-- > 0)
		format_put(o, c);
}

/* Writes prefix, zeroes and digits in a field of the given width. */
static void put_field(struct out *o, const struct spec *s, const char *prefix, long zeroes,
		      const char *text, size_t len)
{
	long blanks = s->width - (long)strlen(prefix) - zeroes - (long)len;

	if (!s->left)
		pad(o, ' ', blanks);
	while (*prefix)
		format_put(o, *prefix++);
	pad(o, '0', zeroes);
	while (len--)
		format_put(o, *text++);
	if (s->left)
		pad(o, ' ', blanks);
}

static void put_number(struct out *o, const struct spec *s, uint64_t value, bool negative,
		       char letter)
{
	const char *digits = letter == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	unsigned base = letter == 'x' || letter == 'X' ? 16 : 10;
	const char *prefix = negative ? "-" : s->prefix && base == 16 && value ? "0x" : "";
	char text[20];
	size_t at = sizeof(text);
	long zeroes;

	do {
		text[--at] = digits[value % base];
		value /= base;
	} while (value);
	zeroes = s->precision - (long)(sizeof(text) - at);
	if (s->zero && !s->left && s->precision < 0)
		zeroes = s->width - (long)strlen(prefix) - (long)(sizeof(text) - at);
	put_field(o, s, prefix, zeroes > 0 ? zeroes : 0, text + at, sizeof(text) - at);
}

static int parse_number(const char **fmt, va_list *args)
{
	int n = 0;

	if (**fmt == '*') {
		(*fmt)++;
		return va_arg(*args, int);
	}
	while (**fmt >= '0' && **fmt <= '9')
		n = n * 10 + (*(*fmt)++ - '0');
	return n;
}

static struct spec parse_spec(const char **fmt, va_list *args)
{
	struct spec s = {.precision = -1, .length = 4};

	for (;; (*fmt)++) {
		if (**fmt == '-')
			s.left = true;
		else if (**fmt == '0')
			s.zero = true;
		else if (**fmt == '#')
			s.prefix = true;
		else
			break;
	}
	s.width = parse_number(fmt, args);
	if (**fmt == '.') {
		(*fmt)++;
		s.precision = parse_number(fmt, args);
	}
	for (; **fmt == 'l' || **fmt == 'z' || **fmt == 'h'; (*fmt)++)
		s.length = **fmt == 'h' ? s.length / 2 : 8;
	return s;
}

static void put_signed(struct out *o, const struct spec *s, va_list *args)
{
	int64_t v = s->length == 8 ? va_arg(*args, int64_t) : va_arg(*args, int);

	if (s->length == 2)
		v = (int16_t)v;
	if (s->length == 1)
		v = (int8_t)v;
	put_number(o, s, v < 0 ? -(uint64_t)v : (uint64_t)v, v < 0, 'd');
}

static void put_unsigned(struct out *o, const struct spec *s, va_list *args, char letter)
{
	uint64_t v = s->length == 8 ? va_arg(*args, uint64_t) : va_arg(*args, unsigned);

	if (s->length == 2)
		v = (uint16_t)v;
	if (s->length == 1)
		v = (uint8_t)v;
	put_number(o, s, v, false, letter);
}

static void put_string(struct out *o, const struct spec *s, const char *text)
{
	if (!text)
		text = "(null)";
	put_field(o, s, "", 0, text, strnlen(text, (size_t)s->precision)); /* -1: no limit */
}

static void convert(struct out *o, const char **fmt, va_list *args)
{
	struct spec s = parse_spec(fmt, args);
	char letter = *(*fmt)++;
	char c;

	switch (letter) {
	case 'd':
	case 'i':
		put_signed(o, &s, args);
		break;
	case 'u':
	case 'x':
	case 'X':
		put_unsigned(o, &s, args, letter);
		break;
	case 'p':
		s.prefix = true;
		put_number(o, &s, (uint64_t)va_arg(*args, void *), false, 'x');
		break;
	case 's':
		put_string(o, &s, va_arg(*args, const char *));
		break;
	case 'c':
		c = va_arg(*args, int);
		put_field(o, &s, "", 0, &c, 1);
		break;
	case '\0':
		(*fmt)--;
		break;
	default:
		format_put(o, letter);
	}
}

size_t kvsnprintf(char *buffer, size_t size, const char *fmt, va_list args)
{
	struct out o = {.buffer = buffer, .size = size};
	va_list copy;

	va_copy(copy, args);
	while (*fmt) {
		if (*fmt != '%') {
			format_put(&o, *fmt++);
			continue;
		}
		fmt++;
		convert(&o, &fmt, &copy);
	}
	va_end(copy);
	if (size)
		buffer[o.len < size ? o.len : size - 1] = '\0';
	return o.len;
}

size_t ksnprintf(char *buffer, size_t size, const char *fmt, ...)
{
	va_list args;
	size_t len;

	va_start(args, fmt);
	len = kvsnprintf(buffer, size, fmt, args);
	va_end(args);
	return len;
}
