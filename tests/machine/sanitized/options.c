/* SPDX-License-Identifier: MIT */
/* Linked into vmm-san: what the sanitizers are to do, wherever it is started. */

#define EXIT_CODE "99" /* none of vmm's, and no guest's */

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);
const char *__lsan_default_options(void);

const char *__asan_default_options(void)
{
	return "exitcode=" EXIT_CODE
	       ":detect_leaks=1:detect_stack_use_after_return=1:handle_abort=1";
}

const char *__ubsan_default_options(void)
{
	return "exitcode=" EXIT_CODE ":print_stacktrace=1";
}

const char *__lsan_default_options(void)
{
	return "exitcode=" EXIT_CODE;
}
