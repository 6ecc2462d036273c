/* SPDX-License-Identifier: MIT */
#include "suites.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t test_seed;

int main(void)
{
	const char *seed = getenv("SEED");

	test_seed = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
	test_seed += !test_seed;
	printf("unit-guest: seed %" PRIu64 " (SEED=%" PRIu64 " repeats this run)\n", test_seed,
	       test_seed);
	fflush(stdout);

	SRunner *runner = srunner_create(vmap_area_suite());
	srunner_add_suite(runner, vmap_suite());
	srunner_add_suite(runner, vmap_ops_suite());
	srunner_add_suite(runner, frame_suite());
	srunner_add_suite(runner, crc32_suite());
	srunner_add_suite(runner, set_memory_suite());
	srunner_add_suite(runner, pin_many_suite());
	srunner_add_suite(runner, aspace_suite());
	/* The code under test has static state: each test starts from a fresh process. */
	srunner_set_fork_status(runner, CK_FORK);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
