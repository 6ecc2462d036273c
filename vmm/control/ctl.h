/* SPDX-License-Identifier: MIT */
/* `vmm ctl`: the client of the control socket. */
#ifndef VMM_CONTROL_CTL_H
#define VMM_CONTROL_CTL_H

/* `vmm ctl PATH REQUEST...`, from "ctl" on. Prints the answer; returns a status of status.h, or 1
 * after the machine refused and the reason was said. */
int ctl_main(int argc, char **argv);

#endif
