/* SPDX-License-Identifier: MIT */
/*
 * A disk whose rings lie in a pinned table, so that its answers are stores to it.
 *
 * dirty, scan, log: what is written is seen at the next sync. strict: no answer is written, and
 * the table is as it was.
 */
#include "virtio.h"

static void hostile_main(void)
{
	uint64_t *l1 = tree.vm_l1;

	require(pin(spare[0], 1) == ALIAS_OK);
	require(disk_start());
	require(disk_start_at(gpa_of(disk.desc), gpa_of(&disk.avail_flags), gpa_of(l1), QUEUE_SIZE,
			      0));
	disk.avail[0] = 0;
	lay_out_read(disk.desc, 0, gpa_of(spare[1]), 512);
	__atomic_store_n(&disk.avail_idx, 1, __ATOMIC_SEQ_CST);
	*disk_reg(VIRTIO_MMIO_QUEUE_NOTIFY) = 0;
	while (disk.status == NO_ANSWER)
		relax();
	*disk_reg(VIRTIO_MMIO_STATUS) = 0; /* in flight no more */
	check((*(volatile uint64_t *)l1 == 0) == tables_write_protected());
	host_sync();
}
