/* SPDX-License-Identifier: MIT */
#include "call.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#define NR_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Errors that need no nonsense from the caller, by the manual pages. What is not listed fails with
 * the last. */
static const struct {
	long nr;
	struct failure failures[3]; /* ends with error 0 */
} usual[] = {
	{SYS_read, {{EIO, false}, {EINTR, true}}},
	{SYS_pread64, {{EIO, false}, {EINTR, true}}},
	{SYS_write, {{ENOSPC, false}, {EINTR, true}}},
	{SYS_writev, {{ENOSPC, false}, {EINTR, true}}},
	{SYS_open, {{EMFILE, false}, {EINTR, true}}},
	{SYS_openat, {{EMFILE, false}, {EINTR, true}}},
	{SYS_close, {{EIO, false}}},
	{SYS_ioctl, {{EIO, false}}},
	{SYS_fcntl, {{EINVAL, false}}},
	{SYS_poll, {{ENOMEM, false}, {EINTR, true}}},
	{SYS_ppoll, {{ENOMEM, false}, {EINTR, true}}},
	{SYS_flock, {{ENOLCK, false}, {EINTR, true}}},
	{SYS_accept4, {{EMFILE, false}, {EINTR, true}}},
	{SYS_socket, {{EMFILE, false}}},
	{SYS_bind, {{EADDRINUSE, false}}},
	{SYS_listen, {{EADDRINUSE, false}}},
	{SYS_sendto, {{EPIPE, false}, {EINTR, true}}},
	{SYS_recvfrom, {{ECONNRESET, false}, {EINTR, true}}},
	{SYS_io_uring_setup, {{EPERM, false}}},
	{SYS_io_uring_enter, {{EIO, false}, {EINTR, true}}},
	{SYS_eventfd2, {{EMFILE, false}}},
	{SYS_timerfd_create, {{EMFILE, false}}},
	{SYS_signalfd4, {{EMFILE, false}}},
	{SYS_memfd_create, {{EMFILE, false}}},
	{SYS_pipe2, {{EMFILE, false}}},
	{SYS_userfaultfd, {{EPERM, false}}},
	{SYS_clone3, {{EAGAIN, false}}},
	{SYS_clone, {{EAGAIN, false}}},
	{SYS_rename, {{EIO, false}}},
	{SYS_unlink, {{EIO, false}}},
	{SYS_rmdir, {{EIO, false}}},
	{SYS_ftruncate, {{ENOSPC, false}, {EINTR, true}}},
	{SYS_fsync, {{EIO, false}, {EINTR, true}}},
	{SYS_fdatasync, {{EIO, false}, {EINTR, true}}},
	{SYS_lstat, {{EACCES, false}}},
	{SYS_stat, {{EACCES, false}}},
	{SYS_statx, {{EACCES, false}}},
	{SYS_fstat, {{EIO, false}}},
	{SYS_newfstatat, {{EIO, false}}},
	{SYS_readlink, {{EACCES, false}}},
	{-1, {{ENOMEM, false}}},
};

/* Interruptible ioctls. */
static const struct failure interruptible[] = {{EIO, false}, {EINTR, true}};
/* The C library waits for a lock again; it may find that it has changed. */
static const struct failure lock_wait[] = {{EAGAIN, true}, {EINTR, true}};

/* They fail only for arguments that make no sense, and the C library relies on that; or they don't
 * return. */
static const long never[] = {
	SYS_rt_sigprocmask,  SYS_rt_sigaction,  SYS_rt_sigreturn,    SYS_exit,   SYS_exit_group,
	SYS_execve,          SYS_umask,         SYS_getpid,          SYS_gettid, SYS_getpgrp,
	SYS_geteuid,         SYS_getuid,        SYS_set_robust_list, SYS_rseq,   SYS_sched_yield,
	SYS_restart_syscall, SYS_clock_gettime, SYS_tgkill, /* of a signal that is no real-time
							       signal, to a thread that is there */
};

static uint32_t kind_of_file(pid_t thread, uint64_t fd)
{
	char path[64], target[64] = "";

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", thread, (int)fd);
	if (readlink(path, target, sizeof(target) - 1) <= 0)
		return 0;
	if (!strncmp(target, "anon_inode:", 11))
		return CALL_ANON;
	return strncmp(target, "/memfd:", 7) ? 0 : CALL_MEMORY;
}

uint32_t call_request(pid_t thread, long nr, const uint64_t args[6])
{
	switch (nr) {
	case SYS_read:
	case SYS_write:
		return kind_of_file(thread, args[0]);
	case SYS_ioctl:
	case SYS_fcntl:
		return (uint32_t)args[1];
	case SYS_futex:
		return (uint32_t)args[1] & FUTEX_CMD_MASK;
	case SYS_prctl:
		return (uint32_t)args[0];
	case SYS_madvise:
		return (uint32_t)args[2];
	default:
		return 0;
	}
}

/* Reading and writing the counter of an eventfd and the like: no more can happen. */
static const struct failure anonymous[] = {{EINTR, true}};
static const struct failure in_memory[] = {{ENOSPC, false}};

static bool is_transfer(const struct call *call)
{
	return call->nr == SYS_read || call->nr == SYS_write;
}

static bool waits_for_lock(const struct call *call)
{
	return call->request == FUTEX_WAIT || call->request == FUTEX_WAIT_BITSET;
}

size_t call_failures(const struct call *call, const struct failure **list)
{
	size_t row = 0, nr = 0;

	for (size_t i = 0; i < NR_OF(never); i++)
		if (call->nr == never[i])
			return 0;
	if (call->nr == SYS_futex) {
		*list = lock_wait;
		return waits_for_lock(call) ? NR_OF(lock_wait) : 0;
	}
	if (is_transfer(call) && call->request) {
		*list = call->request == CALL_ANON ? anonymous : in_memory;
		return 1;
	}
	if (call->nr == SYS_ioctl &&
	    (call->request == (uint32_t)KVM_RUN || call->request == (uint32_t)KVM_CREATE_VM ||
	     call->request == TCSETS)) {
		*list = interruptible;
		return NR_OF(interruptible);
	}
	while (usual[row].nr >= 0 && usual[row].nr != call->nr)
		row++;
	*list = usual[row].failures;
	while (usual[row].failures[nr].error)
		nr++;
	return nr;
}

/* By the watcher, for which vCPUs wait. */
bool call_is_repeated(const struct call *call)
{
	return call->nr == SYS_poll ||
	       (call->nr == SYS_ioctl && call->request == (uint32_t)UFFDIO_WRITEPROTECT);
}

#define NAMED(x)                                                                                   \
	{                                                                                          \
		(uint32_t)(x), #x                                                                  \
	}

static const struct {
	uint32_t request;
	const char *name;
} ioctls[] = {
	NAMED(KVM_GET_API_VERSION),
	NAMED(KVM_CREATE_VM),
	NAMED(KVM_CHECK_EXTENSION),
	NAMED(KVM_GET_VCPU_MMAP_SIZE),
	NAMED(KVM_GET_SUPPORTED_CPUID),
	NAMED(KVM_SET_CPUID2),
	NAMED(KVM_CREATE_VCPU),
	NAMED(KVM_RUN),
	NAMED(KVM_GET_REGS),
	NAMED(KVM_SET_REGS),
	NAMED(KVM_GET_SREGS),
	NAMED(KVM_TRANSLATE),
	NAMED(KVM_GET_FPU),
	NAMED(KVM_GET_DEBUGREGS),
	NAMED(KVM_SET_DEBUGREGS),
	NAMED(KVM_SET_SREGS),
	NAMED(KVM_GET_VCPU_EVENTS),
	NAMED(KVM_SET_VCPU_EVENTS),
	NAMED(KVM_SET_USER_MEMORY_REGION),
	NAMED(KVM_SET_TSS_ADDR),
	NAMED(KVM_SET_IDENTITY_MAP_ADDR),
	NAMED(KVM_CREATE_IRQCHIP),
	NAMED(KVM_IRQ_LINE),
	NAMED(KVM_IRQFD),
	NAMED(KVM_IOEVENTFD),
	NAMED(UFFDIO_API),
	NAMED(UFFDIO_REGISTER),
	NAMED(UFFDIO_WRITEPROTECT),
	NAMED(TCGETS),
	NAMED(TCSETS),
	NAMED(TIOCGPGRP),
};

static const struct {
	long nr;
	const char *name;
} calls[] = {
#define CALL(name)                                                                                 \
	{                                                                                          \
		SYS_##name, #name                                                                  \
	}
	CALL(accept4),
	CALL(bind),
	CALL(brk),
	CALL(clone3),
	CALL(close),
	CALL(eventfd2),
	CALL(fcntl),
	CALL(flock),
	CALL(fstat),
	CALL(ftruncate),
	CALL(futex),
	CALL(getsockopt),
	CALL(io_uring_enter),
	CALL(io_uring_setup),
	CALL(ioctl),
	CALL(listen),
	CALL(lseek),
	CALL(madvise),
	CALL(memfd_create),
	CALL(pipe2),
	CALL(mmap),
	CALL(mprotect),
	CALL(munmap),
	CALL(newfstatat),
	CALL(open),
	CALL(openat),
	CALL(poll),
	CALL(prctl),
	CALL(read),
	CALL(recvfrom),
	CALL(rename),
	CALL(rmdir),
	CALL(sendto),
	CALL(signalfd4),
	CALL(socket),
	CALL(statx),
	CALL(timerfd_create),
	CALL(timerfd_settime),
	CALL(uname),
	CALL(unlink),
	CALL(userfaultfd),
	CALL(write),
	CALL(chmod),
	CALL(fchmod),
	CALL(getrandom),
	CALL(mremap),
	CALL(connect),
	CALL(sysinfo),
	CALL(prlimit64),
	CALL(sched_getaffinity),
	CALL(mincore),
	CALL(seccomp),
	CALL(fdatasync),
	CALL(fsync),
	CALL(rt_sigaction),
	CALL(clone),
	CALL(fallocate),
	CALL(capget),
	CALL(capset),
	CALL(landlock_create_ruleset),
	CALL(landlock_add_rule),
	CALL(landlock_restrict_self),
	CALL(pread64),
};

const char *call_name(const struct call *call)
{
	static char text[64];
	const char *name = NULL;

	for (size_t i = 0; i < NR_OF(calls) && !name; i++)
		if (calls[i].nr == call->nr)
			name = calls[i].name;
	if (!name)
		snprintf(text, sizeof(text), "call %ld", call->nr);
	else if (is_transfer(call) && call->request)
		snprintf(text, sizeof(text), "%s %s", name,
			 call->request == CALL_ANON ? "eventfd" : "memfd");
	else if (call->request)
		snprintf(text, sizeof(text), "%s 0x%x", name, call->request);
	else
		snprintf(text, sizeof(text), "%s", name);
	for (size_t i = 0; call->nr == SYS_ioctl && i < NR_OF(ioctls); i++)
		if (ioctls[i].request == call->request)
			snprintf(text, sizeof(text), "ioctl %s", ioctls[i].name);
	return text;
}
