/* SPDX-License-Identifier: MIT */
/* A thread that makes a system call which it has no business with, once it is confined: as one
 * would that the guest has taken over. Or one that crashes. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "broken.h"
#include "sandbox/sandbox.h"

static const char *const kinds[SANDBOX_NR_THREADS] = {
	[SANDBOX_MAIN] = "main",
	[SANDBOX_VCPU] = "vcpu",
	[SANDBOX_DISK] = "disk",
	[SANDBOX_UFFD] = "uffd",
};

#define CRASH -1

static const struct {
	const char *name;
	long call;
	long args[6];
} calls[] = {
	{"execve", SYS_execve, {(long)"/bin/sh"}},
	{"openat", SYS_openat, {AT_FDCWD, (long)"/etc/passwd", O_RDONLY}},
	{"socket", SYS_socket, {1, 1}},
	{"ioctl", SYS_ioctl, {0, KVM_CREATE_VM}},
	{"mmap",
	 SYS_mmap,
	 {0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1}},
	{"tgkill", SYS_tgkill, {1, 1, SIGCONT}},
	{"crash", CRASH, {}},
};

static const char *kind, *call;

bool choose_call(const char *by, const char *name)
{
	kind = by;
	call = name;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (!strcmp(name, calls[i].name))
			return true;
	fprintf(stderr, "vmm-broken: %s: no such call\n", name);
	return false;
}

int __real_sandbox_enter(const struct sandbox *sandbox, enum sandbox_thread thread);
int __wrap_sandbox_enter(const struct sandbox *sandbox, enum sandbox_thread thread);

int __wrap_sandbox_enter(const struct sandbox *sandbox, enum sandbox_thread thread)
{
	int err = __real_sandbox_enter(sandbox, thread);

	for (size_t i = 0; call && i < sizeof(calls) / sizeof(calls[0]); i++) {
		const long *a = calls[i].args;

		if (strcmp(call, calls[i].name) || strcmp(kind, kinds[thread]))
			continue;
		if (calls[i].call == CRASH)
			__builtin_trap();
		if (syscall(calls[i].call, a[0], a[1], a[2], a[3], a[4], a[5]) < 0)
			fprintf(stderr, "vmm-broken: %s in %s: %m\n", call, kind);
		else
			fprintf(stderr, "vmm-broken: %s in %s: done\n", call, kind);
	}
	return err;
}
