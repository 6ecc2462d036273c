/* SPDX-License-Identifier: MIT */
#include "suites.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t test_seed;

/* Nothing here is on the heap, and looking for leaks takes half a second for each test. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

int main(void)
{
	const char *seed = getenv("SEED");
	SRunner *runner;
	int failed;

	test_seed = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
	test_seed += !test_seed;
	printf("unit-platform: seed %" PRIu64 " (SEED=%" PRIu64 " repeats this run)\n", test_seed,
	       test_seed);
	fflush(stdout);
	runner = srunner_create(frame_suite());
	srunner_add_suite(runner, format_suite());
	srunner_add_suite(runner, bootargs_suite());
	srunner_add_suite(runner, fdt_suite());
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
