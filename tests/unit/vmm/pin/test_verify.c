/* SPDX-License-Identifier: MIT */
/* --verify, while a device writes to a table between the sync and the oracle's walk. */
#include "around_sync.h"
#include "pin_figure.h"
#include "pin_guest.h"
#include "status.h"
#include "suites.h"

#define NR_OF(array) (sizeof(array) / sizeof((array)[0]))

/* What entry 5 of L1 holds when a sync looks, then the oracle, then the next sync, and so on. The
 * last stays. */
static const uint64_t *script;
static unsigned nr_script, at;

static void change_entry(void)
{
	guest_frame(L1)[5] = script[at];
	at += at + 1 < nr_script;
}

static enum alias_status pin_while_it_changes(const uint64_t *ptes, unsigned nr)
{
	guest_start();
	script = ptes;
	nr_script = nr;
	around_sync = change_entry;
	return guest_ask(DATA, ALIAS_OP_PIN, 1);
}

static int64_t figure(const char *path)
{
	return pin_figure(guest.pin, path);
}

static const struct {
	uint64_t ptes[5];
	unsigned nr;
	enum alias_status answer;
	int violations;
} changes[] = {
	{{0, W(DATA)}, 2, ALIAS_OK, 1},
	{{0, W(DATA), 0, 0}, 4, ALIAS_OK, 0},
	{{0, W(DATA), 0, W(DATA), 0}, 5, ALIAS_OK, 0},
	{{W(DATA), 0}, 2, ALIAS_HAS_ALIAS, 0},
	{{W(DATA), 0, W(DATA), W(DATA)}, 4, ALIAS_HAS_ALIAS, 0},
};

/* It is nobody's fault, and what is mapped after the grant is reported as such. */
START_TEST(a_device_writes_meanwhile)
{
	ck_assert_uint_eq(pin_while_it_changes(changes[_i].ptes, changes[_i].nr),
			  changes[_i].answer);
	ck_assert_int_eq(guest.machine.stop.status, -1);
	ck_assert_int_eq(figure("pins.looked_again"), 1);
	ck_assert_int_eq(figure("pins.violations"), changes[_i].violations);
	guest.looked_again = 1;
	guest_end();
}
END_TEST

/* What the tracker never sees, and the oracle always. */
START_TEST(a_difference_that_stays)
{
	uint64_t ptes[1000];

	for (unsigned i = 0; i < NR_OF(ptes); i++)
		ptes[i] = i % 2 ? W(DATA) : 0;
	ck_assert_uint_eq(pin_while_it_changes(ptes, NR_OF(ptes)), ALIAS_OK);
	ck_assert_int_eq(guest.machine.stop.status, VMM_EX_SOFTWARE);
	ck_assert_int_eq(figure("pins.disagreed"), 1);
	ck_assert_int_eq(figure("pins.looked_again"), 0);
	around_sync = NULL;
}
END_TEST

TCase *verify_tests(void)
{
	TCase *tc = tcase_create("verify");

	tcase_add_loop_test(tc, a_device_writes_meanwhile, 0, NR_OF(changes));
	tcase_add_test(tc, a_difference_that_stays);
	return tc;
}
