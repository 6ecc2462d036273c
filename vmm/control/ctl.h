/* SPDX-License-Identifier: MIT */
/* `vmm ctl`, the client of the control socket. */
#ifndef VMM_CONTROL_CTL_H
#define VMM_CONTROL_CTL_H

/* Runs `vmm ctl PATH REQUEST...`; argv[0] is "ctl". Prints the answer. Returns a status of
 * status.h, or 1 if the machine refused the request, after a message with its reason. */
int ctl_main(int argc, char **argv);

#endif
