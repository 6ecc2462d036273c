/* SPDX-License-Identifier: MIT */
#include "bootargs.h"

#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "panic.h"
#include "platform.h"

#define MAX_WORDS 64u

extern const struct bootarg __start_bootargs[], __stop_bootargs[];

/* Written by bootargs_init() on the boot CPU, constant afterwards. */
static char copy[ALIAS_CMDLINE_SIZE];
static struct {
	const char *key, *value;
} words[MAX_WORDS];
static unsigned nr_words;

static const struct bootarg *find_key(const char *key)
{
	for (const struct bootarg *b = __start_bootargs; b < __stop_bootargs; b++)
		if (!strcmp(b->key, key))
			return b;
	return NULL;
}

static _Noreturn void unknown_key(const char *key)
{
	char text[KPRINTF_MAX];
	size_t len =
		ksnprintf(text, sizeof(text), "guest: unknown boot argument '%s'; there are:", key);

	for (const struct bootarg *b = __start_bootargs; b < __stop_bootargs; b++)
		if (len < sizeof(text))
			len += ksnprintf(text + len, sizeof(text) - len, " %s=", b->key);
	kprintf("%s\n", text);
	machine_exit(EXIT_BAD_ARGS);
}

static void add_word(char *word)
{
	char *equals = strchr(word, '=');

	if (equals)
		*equals = '\0';
	if (!find_key(word))
		unknown_key(word);
	if (!equals)
		arg_bad(word, "a word key=value");
	if (nr_words == MAX_WORDS) {
		kprintf("guest: more than %u boot arguments\n", MAX_WORDS);
		machine_exit(EXIT_BAD_ARGS);
	}
	words[nr_words].key = word;
	words[nr_words++].value = equals + 1;
}

void bootargs_init(const char *line)
{
	char *p = copy;

	memcpy(copy, line, strnlen(line, sizeof(copy) - 1));
	while (*p) {
		char *word = p;

		while (*p && *p != ' ')
			p++;
		if (*p)
			*p++ = '\0';
		if (*word)
			add_word(word);
	}
}

const char *arg_str(const char *key)
{
	if (!find_key(key))
		panic("boot argument %s was never declared", key);
	for (unsigned i = nr_words; i-- > 0;)
		if (!strcmp(words[i].key, key))
			return words[i].value;
	return NULL;
}

uint64_t arg_u64(const char *key, uint64_t otherwise)
{
	const char *text = arg_str(key);
	const char *digits = text;
	unsigned shift = 0;
	uint64_t value;
	char *end;

	if (!text)
		return otherwise;
	if (text[0] == '0' && text[1] == 'x')
		value = strtoul(digits = text + 2, &end, 16);
	else
		value = strtoul(text, &end, 10);
	if (*end == 'K' || *end == 'M' || *end == 'G')
		shift = *end == 'K' ? 10 : *end == 'M' ? 20 : 30;
	if (end == digits || end[shift != 0] || value == UINT64_MAX ||
	    value << shift >> shift != value)
		arg_bad(key, "a number, such as 4096, 0x1000 or 4K");
	return value << shift;
}

_Noreturn void arg_bad(const char *key, const char *expected)
{
	const char *value = arg_str(key);

	kprintf("guest: bad boot argument %s%s%s: expected %s\n", key, value ? "=" : "",
		value ? value : "", expected);
	machine_exit(EXIT_BAD_ARGS);
}
