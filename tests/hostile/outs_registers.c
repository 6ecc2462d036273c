/* SPDX-License-Identifier: MIT */
/*
 * The guest registers by a string instruction.
 *
 * Every --track: that is no call, and no word about the host's KVM; the guest registers by `out`
 * afterwards.
 */
#define NO_TREE
#include "hostile.h"
#include "outs.h"

static void hostile_main(void)
{
	static const uint32_t twice[] = {ALIAS_CALL_REGISTER, ALIAS_CALL_REGISTER};
	struct alias_vcpu_page *page = page_of(0);

	page->direct_base = DIRECT;
	page->direct_size = DIRECT_SIZE;
	for (unsigned eax = 0; eax <= ALIAS_CALL_REGISTER; eax += ALIAS_CALL_REGISTER) {
		check(call_by_outs(twice, 1, eax) == ALIAS_BAD_CALL);
		check(call_by_outs(twice, 2, eax) == ALIAS_BAD_CALL);
	}
	check(register_direct(DIRECT, DIRECT_SIZE) == ALIAS_OK);
}
