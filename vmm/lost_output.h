/* SPDX-License-Identifier: MIT */
#ifndef VMM_LOST_OUTPUT_H
#define VMM_LOST_OUTPUT_H

/* For atexit(): output (help, version, an answer) that could not be written is an error, although
 * the result of printf() was not checked. Says so, and ends the process with VMM_EX_IOERR. */
void lost_output_ends(void);

#endif
