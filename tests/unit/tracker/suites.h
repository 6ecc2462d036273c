/* SPDX-License-Identifier: MIT */
#ifndef SUITES_H
#define SUITES_H

#include <check.h>

Suite *map_suite(void);
Suite *frames_suite(void);
Suite *leaf_suite(void);
Suite *pin_suite(void);
Suite *sync_suite(void);
Suite *tlb_pending_suite(void);
Suite *violation_suite(void);
Suite *aliases_suite(void);
Suite *transition_suite(void);
Suite *store_suite(void);
Suite *fault_suite(void);
Suite *bounds_suite(void);
Suite *scale_suite(void);
Suite *log_suite(void);
Suite *follow_suite(void);
Suite *survey_suite(void);
Suite *model_suite(void);

#endif
