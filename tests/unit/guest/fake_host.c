/* SPDX-License-Identifier: MIT */
#include "fake_host.h"

#include "suites.h"

enum alias_status (*fake_host_answers)(const struct pin_req *req);

int pin_batch_try(struct pin_req *reqs, unsigned n, struct pin_refusal *why)
{
	int result = 0;

	CHECK(n > 0 && n <= ALIAS_BATCH_MAX, "%u requests", n);
	for (unsigned i = 0; i < n; i++) {
		enum alias_status status =
			fake_host_answers ? fake_host_answers(&reqs[i]) : ALIAS_OK;

		reqs[i].granted = status == ALIAS_OK;
		if (!reqs[i].granted && !result) {
			*why = (struct pin_refusal){.req = reqs[i], .status = status};
			result = -1;
		}
	}
	return result;
}

int pin_batch(struct pin_req *reqs, unsigned n)
{
	struct pin_refusal why;

	return pin_batch_try(reqs, n, &why);
}

const char *pin_status_name(enum alias_status status)
{
	return status == ALIAS_NO_MEMORY ? "needs memory" : "is refused";
}
