/* SPDX-License-Identifier: MIT */
#include "fake_kvm.h"

#include <stdarg.h>
#include <stddef.h>

int (*fake_kvm)(int fd, unsigned long request, void *arg);

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	int ret = FAKE_PASS;
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (fake_kvm)
		ret = fake_kvm(fd, request, arg);
	return ret == FAKE_PASS ? __real_ioctl(fd, request, arg) : ret;
}
