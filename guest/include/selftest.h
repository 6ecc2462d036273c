/* SPDX-License-Identifier: MIT */
/*
 * Self-tests. `workload=selftest` runs all of them, on the boot CPU while the others are idle. A
 * file of guest/selftest/ declares
 *
 * 	static void test(struct selftest_result *r)
 * 	{
 * 		if (nr_cpus_online() == 1)
 * 			SKIP(r, "one CPU only");
 * 		EXPECT(r, 1 + 1 == 2);
 * 	}
 * 	SELFTEST(arithmetic, test);
 */
#ifndef SELFTEST_H
#define SELFTEST_H

struct selftest_result {
	enum { SELFTEST_OK, SELFTEST_FAILED, SELFTEST_SKIPPED } outcome;
	const char *why; /* the condition that failed, or the reason to skip */
	const char *file;
	int line;
};

struct selftest {
	const char *name;
	void (*run)(struct selftest_result *r); /* *r is zeroed (success) before the call */
};

#define SELFTEST(ident, fn)                                                                        \
	static const struct selftest selftest_##ident                                              \
		__attribute__((section("selftests"), used, aligned(8))) = {#ident, fn}

/* Both return from the test function. What a failed test holds is not released. */
#define EXPECT(r, condition)                                                                       \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			*(r) = (struct selftest_result){SELFTEST_FAILED, #condition, __FILE__,     \
							__LINE__};                                 \
			return;                                                                    \
		}                                                                                  \
	} while (0)

#define SKIP(r, reason)                                                                            \
	do {                                                                                       \
		*(r) = (struct selftest_result){SELFTEST_SKIPPED, reason, __FILE__, __LINE__};     \
		return;                                                                            \
	} while (0)

#endif
