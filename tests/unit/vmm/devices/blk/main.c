/* SPDX-License-Identifier: MIT */
/* Unit tests of the virtio block device. Those that need io_uring are skipped by name, with the
 * reason, where it is not allowed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <liburing.h>
#include "suites.h"

static int try_uring(void)
{
	struct io_uring ring;
	int ret = io_uring_queue_init(2, &ring, 0);

	if (!ret)
		io_uring_queue_exit(&ring);
	return ret;
}

int main(void)
{
	Suite *suite = suite_create("virtio");
	int uring = try_uring();
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, virtqueue_tests());
	suite_add_tcase(suite, mmio_tests());
	suite_add_tcase(suite, request_tests());
	suite_add_tcase(suite, core_tests());
	suite_add_tcase(suite, flush_tests());
	suite_add_tcase(suite, random_tests());
	suite_add_tcase(suite, image_tests());
	if (uring == 0) {
		suite_add_tcase(suite, worker_tests());
		suite_add_tcase(suite, device_tests());
	} else {
		printf("skip virtio worker: io_uring_setup: %s\n", strerror(-uring));
		printf("skip virtio device: io_uring_setup: %s\n", strerror(-uring));
	}
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
