/* SPDX-License-Identifier: MIT */
#include "lost_output.h"

#include <stdio.h>
#include <unistd.h>
#include "say.h"
#include "status.h"

void lost_output_ends(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return;
	say_errno("standard output");
	_exit(VMM_EX_IOERR);
}
