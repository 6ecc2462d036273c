/* SPDX-License-Identifier: MIT */
#include "suites.h"

#include "crc32.h"

START_TEST(known_values)
{
	crc32_init();
	ck_assert_uint_eq(crc32(0, "", 0), 0);
	ck_assert_uint_eq(crc32(0, "123456789", 9), 0xcbf43926); /* the usual check value */
	ck_assert_uint_eq(crc32(crc32(0, "1234", 4), "56789", 5), 0xcbf43926);
}
END_TEST

START_TEST(pieces_put_together)
{
	uint64_t rng = test_seed;
	uint8_t bytes[5000];

	crc32_init();
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)test_random(&rng);
	for (unsigned i = 0; i < 200; i++) {
		size_t len = test_below(&rng, sizeof(bytes) + 1), cut = test_below(&rng, len + 1);
		uint32_t a = crc32(0, bytes, cut), b = crc32(0, bytes + cut, len - cut);

		ck_assert_uint_eq(crc32_combine(a, b, len - cut), crc32(0, bytes, len));
	}
}
END_TEST

Suite *crc32_suite(void)
{
	Suite *suite = suite_create("crc32");
	TCase *tc = tcase_create("crc32");

	tcase_add_test(tc, known_values);
	tcase_add_test(tc, pieces_put_together);
	suite_add_tcase(suite, tc);
	return suite;
}
