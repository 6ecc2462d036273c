/* SPDX-License-Identifier: MIT */
#ifndef TEST_SUITES_H
#define TEST_SUITES_H

#include <check.h>

TCase *virtqueue_tests(void);
TCase *mmio_tests(void);
TCase *request_tests(void);
TCase *core_tests(void);
TCase *flush_tests(void);
TCase *random_tests(void);
TCase *image_tests(void);
TCase *worker_tests(void); /* with a real io_uring */
TCase *device_tests(void); /* the same, through the registers */

#endif
