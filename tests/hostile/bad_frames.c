/* SPDX-License-Identifier: MIT */
/*
 * Frames outside of memory, in the hole for devices, and those through which guest and host talk,
 * the request itself among them.
 *
 * Every --track: refused, as tables and as what a table links.
 */
#include "hostile.h"

static void hostile_main(void)
{
	static const uint64_t pfns[] = {
		1ull << 20 | 1ull << 18, /* after the last frame */
		(1ull << 36) - 1,        1ull << 52, 1ull << 63, UINT64_MAX,
		VIRTIO_GPA >> 12,                             /* devices: between the two slots */
		IOAPIC_GPA >> 12,        0xfee00,    0xc0000, /* the first after the lower slot */
	};
	static const uint64_t shared[] = {SHARED_GPA >> 12, (SHARED_GPA >> 12) + 1};

	for (unsigned i = 0; i < sizeof(pfns) / sizeof(pfns[0]); i++)
		for (unsigned level = 1; level <= 4; level++)
			check(one(ALIAS_OP_PIN, pfns[i], level, 0) == ALIAS_BAD_FRAME);
	for (unsigned i = 0; i < 2; i++)
		check(one(ALIAS_OP_PIN, shared[i], 1, 0) == ALIAS_BAD_FRAME);
	check(one(ALIAS_OP_UNPIN, UINT64_MAX, 1, 0) == ALIAS_BAD_FRAME);
	check(one(ALIAS_OP_UNPIN, SHARED_GPA >> 12, 1, 0) == ALIAS_BAD_STATE);
	spare[0][0] = VIRTIO_GPA | P | RW;
	check(pin(spare[0], 2) == ALIAS_BAD_TABLE);
}
