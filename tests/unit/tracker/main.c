/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "suites.h"

int main(void)
{
	SRunner *runner = srunner_create(map_suite());

	srunner_add_suite(runner, frames_suite());
	srunner_add_suite(runner, leaf_suite());
	srunner_add_suite(runner, pin_suite());
	srunner_add_suite(runner, sync_suite());
	srunner_add_suite(runner, tlb_pending_suite());
	srunner_add_suite(runner, violation_suite());
	srunner_add_suite(runner, aliases_suite());
	srunner_add_suite(runner, transition_suite());
	srunner_add_suite(runner, store_suite());
	srunner_add_suite(runner, fault_suite());
	srunner_add_suite(runner, bounds_suite());
	srunner_add_suite(runner, scale_suite());
	srunner_add_suite(runner, log_suite());
	srunner_add_suite(runner, follow_suite());
	srunner_add_suite(runner, survey_suite());
	srunner_add_suite(runner, model_suite());
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
