/* SPDX-License-Identifier: MIT */
/* Unassigned I/O: accesses to ports and addresses that no device has. With -v each is reported
 * once. */
#ifndef VMM_DEVICES_UNASSIGNED_H
#define VMM_DEVICES_UNASSIGNED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define UNASSIGNED_MAX 64

struct unassigned {
	bool verbose;
	pthread_mutex_t lock; /* guards the members below */
	uint64_t accesses;
	unsigned nr;
	struct {
		const char *space;
		uint64_t addr;
	} said[UNASSIGNED_MAX];
};

void unassigned_init(struct unassigned *unassigned, bool verbose);
/* How many there were until now. Any thread. */
uint64_t unassigned_count(struct unassigned *unassigned);
/* `space` is "port" or "address". Any thread. */
void unassigned_note(struct unassigned *unassigned, const char *space, uint64_t addr, bool write);

#endif
