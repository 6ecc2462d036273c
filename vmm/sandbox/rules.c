/* SPDX-License-Identifier: MIT */
#include "sandbox/rules.h"

#include <asm/termbits.h>
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define M   (1u << SANDBOX_MAIN)
#define V   (1u << SANDBOX_VCPU)
#define D   (1u << SANDBOX_DISK)
#define W   (1u << SANDBOX_UFFD)
#define ALL (M | V | D | W)

enum need { ALWAYS, STRICT, NOT_STRICT, TRACED, OUTPUT, CONTROL, SOCKET, AUDIT, GDB };

struct rule {
	unsigned threads;
	enum need need;
	int call;
	unsigned nr_args;
	struct scmp_arg_cmp args[2];
	bool own_pid; /* the first argument is this process */
};

#define CALL(name) SCMP_SYS(name), 0, {}, false
/* The kernel uses only the lower half of the request. */
#define IOCTL(request)                                                                             \
	SCMP_SYS(ioctl), 1, {SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, (request))}, false
/* Anonymous memory that is not executable. */
#define MMAP                                                                                       \
	SCMP_SYS(mmap), 2,                                                                         \
		{SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),                                        \
		 SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS)},                       \
		false
#define MPROTECT SCMP_SYS(mprotect), 1, {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)}, false
#define TGKILL   SCMP_SYS(tgkill), 0, {}, true

/* No rule allows to start a program or a process, or to create a socket or a device. Only the main
 * thread may open files, and only to write statistics. */
static const struct rule rules[] = {
	/* the work itself */
	{V, ALWAYS, IOCTL(KVM_RUN)},
	{V, ALWAYS, IOCTL(KVM_GET_REGS)},
	{V, ALWAYS, IOCTL(KVM_SET_REGS)},
	{V, ALWAYS, IOCTL(KVM_GET_SREGS)},
	{V, ALWAYS, IOCTL(KVM_SET_SREGS)},
	{V, ALWAYS, IOCTL(KVM_GET_VCPU_EVENTS)},
	{V, ALWAYS, IOCTL(KVM_SET_VCPU_EVENTS)},
	{V, ALWAYS, IOCTL(KVM_TRANSLATE)},
	{V, TRACED, IOCTL(KVM_GET_DEVICE_ATTR)}, /* what the vCPU's TSC is ahead of the host's */
	{V, STRICT, IOCTL(KVM_GET_FPU)},
	{V, STRICT, IOCTL(KVM_GET_DEBUGREGS)}, /* a store that the guest steps over */
	{V, STRICT, IOCTL(KVM_SET_DEBUGREGS)},
	{V, STRICT, IOCTL(KVM_SET_USER_MEMORY_REGION)}, /* zap_all() */
	{V, STRICT, MPROTECT},                          /* write protection of a frame */
	{M | V, ALWAYS, IOCTL(KVM_IRQ_LINE)},
	{M | V | W, NOT_STRICT, IOCTL(UFFDIO_WRITEPROTECT)},
	{W, NOT_STRICT, CALL(close)}, /* closes the userfaultfd when write tracking ends */
	{D, ALWAYS, CALL(io_uring_enter)},
	{M | W, ALWAYS, CALL(read)},
	{M | V, ALWAYS,
	 CALL(timerfd_settime)}, /* the timer for an unfinished line of the console */

	/* all threads: locks, eventfds, messages on standard error, the exit */
	{ALL, ALWAYS, CALL(futex)},
	{ALL, ALWAYS, CALL(write)},
	{ALL, ALWAYS, CALL(writev)},
	{ALL, ALWAYS, CALL(poll)},
	{ALL, ALWAYS, CALL(clock_gettime)},
	{ALL, ALWAYS, CALL(restart_syscall)},
	{ALL, ALWAYS, CALL(rt_sigreturn)},
	{ALL, ALWAYS, CALL(rt_sigprocmask)},
	{ALL, ALWAYS, CALL(getpid)},
	{ALL, ALWAYS, CALL(gettid)},
	{ALL, ALWAYS, TGKILL},
	{ALL, ALWAYS, IOCTL(TCSETS)}, /* restores the terminal */
	{ALL, ALWAYS, CALL(exit)},
	{ALL, ALWAYS, CALL(exit_group)},

	/* memory */
	{ALL, ALWAYS, CALL(brk)},
	{ALL, ALWAYS, MMAP},
	{ALL, ALWAYS, CALL(munmap)},
	{ALL, ALWAYS, CALL(mremap)},
	{ALL, ALWAYS, CALL(madvise)},
	{M, ALWAYS, CALL(mincore)},

	/* the main thread: events and the terminal */
	{M, ALWAYS, CALL(timerfd_create)},
	{M, ALWAYS, CALL(rt_sigaction)},
	{M, ALWAYS, CALL(getpgrp)},
	{M, ALWAYS, IOCTL(TCGETS)},
	{M, ALWAYS, IOCTL(TIOCGPGRP)},
	{M, ALWAYS, IOCTL(TIOCGWINSZ)},
	{M, ALWAYS, CALL(close)},
	/* the end of a disk */
	{M, ALWAYS, IOCTL(KVM_IOEVENTFD)},
	{M, ALWAYS, IOCTL(KVM_IRQFD)},
	{M, ALWAYS, CALL(fdatasync)},
	/* statistics, to standard output too */
	{M, ALWAYS, CALL(pread64)},
	{M, ALWAYS, CALL(fstat)},
	{M, ALWAYS, CALL(newfstatat)},
	{M, ALWAYS, CALL(lseek)},
	{M, OUTPUT, CALL(statx)},
	{M, OUTPUT, CALL(getrandom)},
	{M, OUTPUT, CALL(openat)},
	{M, OUTPUT, CALL(umask)},
	{M, OUTPUT, CALL(fchmod)},
	{M, OUTPUT, CALL(rename)},
	{M, OUTPUT, CALL(unlink)},
	/* the control socket, and the debugger's */
	{M, SOCKET, CALL(accept4)},
	{M, CONTROL, CALL(getsockopt)},
	{M, CONTROL, CALL(geteuid)},
	{M, SOCKET, CALL(recvfrom)},
	{M, SOCKET, CALL(sendto)},
	{M, SOCKET, CALL(unlink)},
	/* a look at all page tables: which are the vCPUs'? */
	{M, AUDIT, IOCTL(KVM_GET_SREGS)},
	{M, AUDIT, CALL(getrandom)},
	{M, AUDIT, CALL(sysinfo)}, /* qsort() asks how much memory there is */
	/* vCPUs as a debugger sees them, while they are stopped */
	{M, GDB, IOCTL(KVM_GET_REGS)},
	{M, GDB, IOCTL(KVM_SET_REGS)},
	{M, GDB, IOCTL(KVM_GET_SREGS)},
	{M, GDB, IOCTL(KVM_GET_FPU)},
	{M, GDB, IOCTL(KVM_SET_FPU)},
	{M, GDB, IOCTL(KVM_SET_GUEST_DEBUG)},
	{M, GDB, IOCTL(KVM_TRANSLATE)},
};

/* The call that the filter checks first: the one in which the thread waits. */
static const int most_often[SANDBOX_NR_THREADS] = {
	[SANDBOX_MAIN] = SCMP_SYS(poll),
	[SANDBOX_VCPU] = SCMP_SYS(ioctl),
	[SANDBOX_DISK] = SCMP_SYS(io_uring_enter),
	[SANDBOX_UFFD] = SCMP_SYS(poll),
};

static bool is_needed(enum need need, const struct sandbox_needs *needs)
{
	switch (need) {
	case ALWAYS:
		return true;
	case STRICT:
		return needs->strict;
	case NOT_STRICT:
		return !needs->strict;
	case TRACED:
		return needs->traced;
	case OUTPUT:
		return needs->stats || needs->trace;
	case CONTROL:
		return needs->control != NULL;
	case SOCKET:
		return needs->control || needs->gdb;
	case AUDIT:
		return needs->audit;
	case GDB:
		return needs->gdb;
	}
	return false;
}

static int add_rule(scmp_filter_ctx ctx, const struct rule *rule, int pid)
{
	struct scmp_arg_cmp self = {.op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)pid};

	if (rule->own_pid)
		return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, rule->call, 1, &self);
	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, rule->call, rule->nr_args, rule->args);
}

static int add_rules(scmp_filter_ctx ctx, enum sandbox_thread thread,
		     const struct sandbox_needs *needs, int pid)
{
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].threads >> thread & 1 && is_needed(rules[i].need, needs))
			err = add_rule(ctx, &rules[i], pid);
	/* -1 is no call: a debugger sets it to skip one. */
	if (!err)
		err = seccomp_attr_set(ctx, SCMP_FLTATR_API_TSKIP, 1);
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, -1, 0);
	if (!err)
		err = seccomp_syscall_priority(ctx, most_often[thread], UINT8_MAX);
	/* System calls through the 32-bit entry points. */
	if (!err)
		err = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_TRAP);
	return err;
}

/* Reads what lies in a pipe. */
static int read_program(int fd, struct sock_fprog *program)
{
	int size;

	if (ioctl(fd, FIONREAD, &size) < 0)
		return -errno;
	program->filter = malloc((size_t)size);
	if (!program->filter)
		return -ENOMEM;
	program->len = (unsigned short)((size_t)size / sizeof(*program->filter));
	return TEMP_FAILURE_RETRY(read(fd, program->filter, (size_t)size)) == size ? 0 : -EIO;
}

/* Of a write() that fails the library tells by errno alone, and it does not try again. */
static int export_program(scmp_filter_ctx ctx, int fd)
{
	int err;

	do {
		errno = 0;
		err = seccomp_export_bpf(ctx, fd);
	} while (err && errno == EINTR);
	return err;
}

/* The library writes its program to a descriptor: a pipe, since `ulimit -f` holds for files in
 * memory, too. What a pipe has no room for must not keep us here. */
static int take_program(scmp_filter_ctx ctx, struct sock_fprog *program)
{
	int fds[2], err;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	err = export_program(ctx, fds[1]);
	if (!err)
		err = read_program(fds[0], program);
	close(fds[0]);
	close(fds[1]);
	return err;
}

int sandbox_compile(enum sandbox_thread thread, const struct sandbox_needs *needs, int pid,
		    struct sock_fprog *program)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	int err;

	*program = (struct sock_fprog){0};
	if (!ctx)
		return -ENOMEM;
	err = add_rules(ctx, thread, needs, pid);
	if (!err)
		err = take_program(ctx, program);
	if (err) {
		free(program->filter);
		program->filter = NULL;
	}
	seccomp_release(ctx);
	return err;
}
