/* SPDX-License-Identifier: MIT */
#include "selftest.h"

#include "console.h"
#include "panic.h"
#include "workload.h"

extern const struct selftest __start_selftests[], __stop_selftests[];

static int run_selftests(void)
{
	unsigned count[3] = {0};

	for (const struct selftest *t = __start_selftests; t < __stop_selftests; t++) {
		struct selftest_result r = {0};

		t->run(&r);
		count[r.outcome]++;
		if (r.outcome == SELFTEST_OK)
			kprintf("ok %s\n", t->name);
		else if (r.outcome == SELFTEST_SKIPPED)
			kprintf("skip %s: %s\n", t->name, r.why);
		else
			kprintf("not ok %s: %s:%d: not so: %s\n", t->name, r.file, r.line, r.why);
	}
	kprintf("selftest: %u ok, %u failed, %u skipped\n", count[SELFTEST_OK],
		count[SELFTEST_FAILED], count[SELFTEST_SKIPPED]);
	return count[SELFTEST_FAILED] ? EXIT_CHECK_FAILED : EXIT_OK;
}

WORKLOAD(selftest, "the kernel tests itself", run_selftests);
