/* SPDX-License-Identifier: MIT */
/* One suite a subject; each file of this folder makes one. Run alone with CK_RUN_SUITE=NAME. */
#ifndef TESTS_MACHINE_SUITES_H
#define TESTS_MACHINE_SUITES_H

#include <check.h>

Suite *pins_suite(void);        /* "pins": strategies, write tracking, verdicts, counts */
Suite *strategies_suite(void);  /* "strategies": what each promises, and changing them */
Suite *log_suite(void);         /* "log": --track log, with right and wrong logs */
Suite *endings_suite(void);     /* "endings": guests and images that go wrong, exit statuses */
Suite *console_suite(void);     /* "console": terminal, input, signals */
Suite *linux_suite(void);       /* "linux": an unmodified one as guest */
Suite *disk_suite(void);        /* "disk": virtio-blk through to the image */
Suite *control_suite(void);     /* "control": the control socket and vmm ctl */
Suite *transitions_suite(void); /* "transitions": memory types and balloons */
Suite *hostile_suite(void);     /* "hostile": guests that mean harm, tests/hostile/ */
Suite *strict_suite(void);      /* "strict": --track strict */
Suite *sandbox_suite(void);     /* "sandbox": what the threads may ask of the kernel, and as whom */
Suite *faults_suite(void);      /* "faults": killed, told to end, out of space */

#endif
