/* SPDX-License-Identifier: MIT */
#include "stop.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "say.h"
#include "status.h"

int stop_init(struct stop *stop)
{
	atomic_init(&stop->status, -1);
	stop->leave_off = false;
	stop->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return stop->fd < 0 ? say_errno("eventfd") : 0;
}

void stop_free(struct stop *stop)
{
	if (stop->fd >= 0)
		close(stop->fd);
}

void stop_request(struct stop *stop, int status)
{
	int running = -1;
	uint64_t one = 1;

	if (!atomic_compare_exchange_strong(&stop->status, &running, status))
		return;
	__atomic_store_n(&stop->leave_off, true, __ATOMIC_RELAXED);
	if (TEMP_FAILURE_RETRY(write(stop->fd, &one, sizeof(one))) < 0)
		say_errno("eventfd");
}

void stop_on_error(struct stop *stop, const char *what)
{
	say_errno("%s", what);
	stop_request(stop, VMM_EX_OSERR);
}

void stop_is_over(struct stop *stop)
{
	__atomic_store_n(&stop->leave_off, false, __ATOMIC_RELAXED);
}

bool stop_requested(const struct stop *stop)
{
	return atomic_load(&stop->status) >= 0;
}
