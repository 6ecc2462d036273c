/* SPDX-License-Identifier: MIT */
/* Exit statuses of the program; `vmm --help` and vmm(1) list them. */
#ifndef VMM_STATUS_H
#define VMM_STATUS_H

enum vmm_status {
	/* 0..63 (ALIAS_EXIT_MAX): the guest's own status */
	VMM_EX_USAGE = 64,     /* wrong command line */
	VMM_EX_DATAERR = 65,   /* not a guest image */
	VMM_EX_NOINPUT = 66,   /* no such file, or it can't be read */
	VMM_EX_NOKVM = 69,     /* no usable KVM */
	VMM_EX_SOFTWARE = 70,  /* internal error, or an exit of KVM that can't be handled */
	VMM_EX_OSERR = 71,     /* a system call failed */
	VMM_EX_IOERR = 74,     /* output, statistics or a disk could not be written */
	VMM_EX_TIMEOUT = 75,   /* --timeout passed */
	VMM_EX_SHUTDOWN = 80,  /* triple fault, reset, shutdown without an exit status, or stuck */
	VMM_EX_VIOLATION = 81, /* --on-violation stop, or a half-done store (strict) */
	VMM_EX_QUIT = 82,      /* ended by Ctrl-A x on the console */
	VMM_EX_SANDBOX = 83,   /* a thread made a system call that its filter forbids */
	VMM_EX_RESET = 84,     /* Linux asked for a reset: it reboots, or has panicked */
	VMM_EX_PANIC = 85,     /* Linux reported a panic (pvpanic) */
			       /* 128 + N: ended by signal N, in order */
};

#endif
