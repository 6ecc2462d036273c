/* SPDX-License-Identifier: MIT */
/*
 * XSA-284: a page that a device may write becomes a page table. A disk is asked to read into a
 * pinned one; the sector holds entries that map it writable.
 *
 * dirty, scan, log: each entry that breaks a rule is reported with its address at the next sync.
 * strict: the request fails, and the table is as it was.
 */
#include "virtio.h"

static void hostile_main(void)
{
	uint8_t status;

	require(disk_start());
	status = disk_read(0, gpa_of(tree.vm_l1), 512);
	host_sync();
	check((status == 0) == !tables_write_protected());
	check((tree.vm_l1[0] == 0) == tables_write_protected());
}
