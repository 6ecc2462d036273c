/* SPDX-License-Identifier: MIT */
/* What happens just before and just after each sync and audit of vmm (by the linker's --wrap). */
#ifndef AROUND_SYNC_H
#define AROUND_SYNC_H

/* NULL: nothing does. */
extern void (*around_sync)(void);

#endif
