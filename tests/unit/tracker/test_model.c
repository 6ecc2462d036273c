/* SPDX-License-Identifier: MIT */
#include "suites.h"
Suite *model_suite(void)
{
	return suite_create("model");
}
