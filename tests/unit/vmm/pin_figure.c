/* SPDX-License-Identifier: MIT */
#include "pin_figure.h"

#include <stdlib.h>
#include <string.h>
#include <check.h>
#include <jansson.h>
#include "pin/pin.h"

int64_t pin_figure(struct pin *pin, const char *path)
{
	json_t *root = json_object(), *at = root;
	char *names = strdup(path), *left = names;
	int64_t figure;

	pin_stats(pin, root);
	while (left)
		at = json_object_get(at, strsep(&left, "."));
	ck_assert_msg(json_is_integer(at), "no figure %s", path);
	figure = json_integer_value(at);
	json_decref(root);
	free(names);
	return figure;
}
