/* SPDX-License-Identifier: MIT */
/* For the begin of main(). */
#ifndef VMM_STANDARD_FDS_H
#define VMM_STANDARD_FDS_H

#include <fcntl.h>

/* Opens descriptors 0, 1 and 2 if they are closed, so that none becomes another file or socket,
 * into which messages would go. Reading or writing the new one fails as with a closed one. */
static inline void standard_fds_fill(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

#endif
