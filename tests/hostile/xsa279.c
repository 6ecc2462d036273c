/* SPDX-License-Identifier: MIT */
/*
 * XSA-279: an address that is not canonical. A guest can name one only as its direct map.
 *
 * Every --track: refused, as is one that wraps, or is of the user's half; addresses that the host
 * names are canonical, here the last one there is.
 */
#define NO_TREE
#include "hostile.h"

static void hostile_main(void)
{
	check(register_direct(0x0000888000000000, DIRECT_SIZE) == ALIAS_BAD_CALL);
	check(register_direct(0xff00000000000000, DIRECT_SIZE) == ALIAS_BAD_CALL);
	check(register_direct(0, DIRECT_SIZE) == ALIAS_BAD_CALL);
	check(register_direct(DIRECT, -DIRECT_SIZE) == ALIAS_BAD_CALL);
	check(register_direct(DIRECT, 0) == ALIAS_BAD_CALL);
	check(register_direct(DIRECT + 4096, DIRECT_SIZE) == ALIAS_BAD_CALL);
	check(register_direct(DIRECT, DIRECT_SIZE - 1) == ALIAS_BAD_CALL);
	check(register_direct(DIRECT, DIRECT_SIZE) == ALIAS_OK);
	check(register_direct(DIRECT, DIRECT_SIZE) == ALIAS_BAD_CALL);
	build_tree();
	tree.root[511] = entry(tree.vm_l3, P | RW);
	tree.vm_l3[511] = entry(tree.vm_l2, P | RW);
	tree.vm_l2[511] = entry(tree.vm_l1, P | RW);
	tree.vm_l3[0] = 0;
	tree.vm_l2[0] = 0;
	tree.root[VM_SLOT] = 0;
	tree.vm_l1[511] = entry(spare[0], P | RW);
	require(pin_tree() == 0);
	check(pin(spare[0], 1) == ALIAS_HAS_ALIAS);
	check(page_of(0)->fault.nr == 1 && page_of(0)->fault.va[0] == 0xfffffffffffff000);
}
