/* SPDX-License-Identifier: MIT */
/*
 * The command line: the input is the arguments, each ended by a newline. options_parse() ends the
 * process where it refuses, so the linker leads its calls that do so here, and they come back by
 * longjmp(); what argp had allocated is freed then.
 */
#include <argp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "options.h"
#include "status.h"

#define ARGS_MAX 48
#define LIVE_MAX 256

static struct {
	jmp_buf end;
	int status;
	bool noting;
	unsigned nr;
	const volatile void *block[LIVE_MAX];
} parse;

int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
					      void (*on_free)(const volatile void *));
error_t __real_argp_parse(const struct argp *argp, int argc, char **argv, unsigned flags,
			  int *index, void *input);
error_t __wrap_argp_parse(const struct argp *argp, int argc, char **argv, unsigned flags,
			  int *index, void *input);
_Noreturn void __wrap_argp_error(const struct argp_state *state, const char *fmt, ...);
_Noreturn void __wrap_argp_failure(const struct argp_state *state, int status, int error,
				   const char *fmt, ...);
_Noreturn void __wrap_exit(int status);
_Noreturn void __real_exit(int status);

static void note_malloc(const volatile void *block, size_t size)
{
	(void)size;
	if (!parse.noting)
		return;
	if (parse.nr == LIVE_MAX)
		fuzz_fail("more allocations than there is room to note");
	parse.block[parse.nr++] = block;
}

static void note_free(const volatile void *block)
{
	for (unsigned i = 0; parse.noting && i < parse.nr; i++)
		if (parse.block[i] == block)
			parse.block[i--] = parse.block[--parse.nr];
}

void __wrap_exit(int status)
{
	if (!parse.noting)
		__real_exit(status); /* the fuzzer's own */
	parse.status = status;
	longjmp(parse.end, 1);
}

/* The words are not looked at: to put them together is part of it. */
static void put_together(const char *fmt, va_list args)
{
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, args);
}

void __wrap_argp_error(const struct argp_state *state, const char *fmt, ...)
{
	va_list args;

	(void)state;
	va_start(args, fmt);
	put_together(fmt, args);
	va_end(args);
	__wrap_exit(argp_err_exit_status);
}

void __wrap_argp_failure(const struct argp_state *state, int status, int error, const char *fmt,
			 ...)
{
	va_list args;

	(void)state, (void)error;
	va_start(args, fmt);
	put_together(fmt, args);
	va_end(args);
	__wrap_exit(status);
}

/* --help and --version would end the process from within the C library. */
error_t __wrap_argp_parse(const struct argp *argp, int argc, char **argv, unsigned flags,
			  int *index, void *input)
{
	return __real_argp_parse(argp, argc, argv, flags | ARGP_NO_EXIT | ARGP_NO_HELP, index,
				 input);
}

/* Splits the input; argv and what it points to are in two allocations of the right size. */
static char **arguments(const uint8_t *data, size_t size, int *argc)
{
	char **argv = calloc(ARGS_MAX + 2, sizeof(*argv)), *text = malloc(size + 5);

	memcpy(text, "vmm", 4);
	memcpy(text + 4, data, size);
	text[size + 4] = '\0';
	argv[0] = text;
	*argc = 1;
	for (char *at = text + 4; at < text + 4 + size && *argc <= ARGS_MAX;) {
		argv[(*argc)++] = at;
		at += strcspn(at, "\n");
		*at++ = '\0';
	}
	return argv;
}

static void check(const struct options *opt)
{
	MUST(opt->cpus >= 1 && opt->cpus <= OPTIONS_MAX_CPUS);
	MUST(opt->mem >= OPTIONS_MIN_MEM && opt->mem <= OPTIONS_MAX_MEM && opt->mem % 4096 == 0);
	MUST(opt->nr_disks <= OPTIONS_MAX_DISKS);
	for (unsigned i = 0; i < opt->nr_disks; i++)
		MUST(*opt->disk[i].path);
	MUST(flush_name(opt->flush) && track_name(opt->track));
	MUST(opt->audit >= 1);
	MUST(opt->probe != !!opt->guest);
	MUST(!opt->control || (*opt->control && strlen(opt->control) <= OPTIONS_MAX_SOCKET));
	MUST(!strncmp(opt->bootargs, "flush=", 6));
	MUST(opt->arguments > opt->bootargs && strlen(opt->bootargs) >= strlen(opt->arguments));
}

static void free_what_is_left(void)
{
	parse.noting = false;
	while (parse.nr > 0)
		free((void *)parse.block[--parse.nr]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool hooked;
	static struct options opt;
	char **argv, *text;
	int argc;

	if (!hooked)
		hooked = __sanitizer_install_malloc_and_free_hooks(note_malloc, note_free) > 0;
	argv = arguments(data, size, &argc);
	text = argv[0]; /* argp sorts the rest */
	parse.noting = true;
	if (setjmp(parse.end)) {
		MUST(parse.status == VMM_EX_USAGE);
	} else {
		options_parse(&opt, argc, argv);
		check(&opt);
	}
	free_what_is_left();
	free(text);
	free(argv);
	return 0;
}
