/* SPDX-License-Identifier: MIT */
/*
 * ioctl() of these tests goes through here (the linker's --wrap). A test that sets a hook plays
 * KVM; without one, or when the hook returns FAKE_PASS, it is the system's.
 */
#ifndef FAKE_KVM_H
#define FAKE_KVM_H

#include <limits.h>

#define FAKE_PASS INT_MIN

extern int (*fake_kvm)(int fd, unsigned long request, void *arg);

#endif
