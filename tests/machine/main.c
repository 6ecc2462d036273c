/* SPDX-License-Identifier: MIT */
/* Whole-machine tests: each starts the real vmm with the real guest on a real /dev/kvm. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "run.h"
#include "suites.h"

int main(void)
{
	SRunner *runner = srunner_create(pins_suite());
	int failed;

	if (access("/dev/kvm", R_OK | W_OK)) {
		fprintf(stderr, "no usable /dev/kvm: run this under build/with-kvm\n");
		return 69;
	}
	srunner_add_suite(runner, strategies_suite());
	srunner_add_suite(runner, log_suite());
	srunner_add_suite(runner, endings_suite());
	srunner_add_suite(runner, console_suite());
	srunner_add_suite(runner, disk_suite());
	srunner_add_suite(runner, linux_suite());
	srunner_add_suite(runner, control_suite());
	srunner_add_suite(runner, strict_suite());
	srunner_add_suite(runner, transitions_suite());
	srunner_add_suite(runner, hostile_suite());
	srunner_add_suite(runner, sandbox_suite());
	srunner_add_suite(runner, faults_suite());
	/* One folder for all: the tests run one after the other, each in a process of its own. */
	path_tmp();
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	run_cleanup();
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
