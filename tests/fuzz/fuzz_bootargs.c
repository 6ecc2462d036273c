/* SPDX-License-Identifier: MIT */
/* The guest's boot arguments: the input is the line. (The file itself is taken in here, as a guest
 * reads its arguments once and has no way to begin anew.) */
#include "../../guest/lib/bootargs.c"

#include "fuzz.h"
#include "fake_platform.h"

BOOTARG(alpha, "a word");
BOOTARG(beta, "a number");

static void look_them_up(void)
{
	const char *alpha = arg_str("alpha");
	uint64_t otherwise = 7;

	MUST(!alpha || (!strchr(alpha, ' ') && strlen(alpha) < ALIAS_CMDLINE_SIZE));
	if (!ENDS(otherwise = arg_u64("beta", otherwise)))
		MUST(arg_str("beta") || otherwise == 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char line[ALIAS_CMDLINE_SIZE];

	if (size >= sizeof(line))
		size = sizeof(line) - 1;
	memcpy(line, data, size);
	line[size] = '\0';
	memset(copy, 0, sizeof(copy));
	nr_words = 0;
	if (!ENDS(bootargs_init(line)))
		look_them_up();
	else
		MUST(fake.status == EXIT_BAD_ARGS);
	return 0;
}
