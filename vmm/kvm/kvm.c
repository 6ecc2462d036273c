/* SPDX-License-Identifier: MIT */
#include "kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "kvm/host.h"
#include "kvm/memory.h"
#include "say.h"

/* Four pages that Intel processors need for real mode; in the hole for devices, below the BIOS. */
#define IDENTITY_MAP_GPA 0xfeffc000ull
#define TSS_GPA          0xfeffd000ul

static const struct needed {
	int cap;
	const char *name;
} needed[] = {
	{KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
	{KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
	{KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR"},
	{KVM_CAP_SET_IDENTITY_MAP_ADDR, "KVM_CAP_SET_IDENTITY_MAP_ADDR"},
	{KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
	{KVM_CAP_IRQFD, "KVM_CAP_IRQFD"},
	{KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"},
	{KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS"},
	{KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
	{KVM_CAP_SYNC_REGS, "KVM_CAP_SYNC_REGS"},
};

/* 'Y' or '1', 'N' or '0'; 0 if there is no such parameter. */
static char read_parameter(const struct kvm_second_stage *stage)
{
	char path[96], value = 0;
	int fd;

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", stage->module,
		 stage->parameter);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, &value, 1) != 1)
		value = 0;
	close(fd);
	return value;
}

bool kvm_second_stage(struct kvm_second_stage *stage)
{
	static const struct kvm_second_stage stages[] = {{"kvm_amd", "npt"}, {"kvm_intel", "ept"}};

	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		char value = read_parameter(&stages[i]);

		*stage = stages[i];
		if (value == 'Y' || value == '1')
			return true;
	}
	return false;
}

int kvm_open_device(char *why, size_t size)
{
	int fd = TEMP_FAILURE_RETRY(open("/dev/kvm", O_RDWR | O_CLOEXEC));
	int err = errno;

	if (fd >= 0)
		return fd;
	switch (err) {
	case ENOENT:
		snprintf(why, size,
			 "there is no /dev/kvm: load the module kvm_intel or kvm_amd, or enable "
			 "virtualization in the firmware or the host's hypervisor");
		break;
	case ENODEV:
	case ENXIO:
		snprintf(why, size,
			 "/dev/kvm has no driver: load the module kvm_intel or kvm_amd (enable "
			 "VT-x or SVM in the firmware if it refuses)");
		break;
	case EACCES:
	case EPERM:
		snprintf(why, size,
			 "/dev/kvm may not be opened: add yourself to its group (sudo usermod -aG "
			 "kvm $USER, then log in again) or run as root");
		break;
	default:
		snprintf(why, size, "opening /dev/kvm: %s", strerror(err));
	}
	return -err;
}

bool kvm_check(int kvm_fd, unsigned cpus, char *why, size_t size)
{
	int version = ioctl(kvm_fd, KVM_GET_API_VERSION, 0);
	int max;

	if (version != KVM_API_VERSION) {
		snprintf(why, size,
			 "KVM_GET_API_VERSION is %d, not %d: this kernel's KVM is not usable",
			 version, KVM_API_VERSION);
		return false;
	}
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, needed[i].cap) > 0)
			continue;
		snprintf(why, size, "this kernel's KVM lacks %s: use " HOST_LINUX_FLOOR " or newer",
			 needed[i].name);
		return false;
	}
	if (!memory_can_populate()) {
		snprintf(why, size,
			 "this kernel has no MADV_POPULATE_WRITE: use " HOST_LINUX_FLOOR
			 " or newer");
		return false;
	}
	max = ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	if (max > 0 && (unsigned)max < cpus) {
		snprintf(why, size, "KVM of this host allows %d vCPUs: use --cpus %d or fewer", max,
			 max);
		return false;
	}
	return true;
}

int kvm_open(unsigned cpus)
{
	char why[256];
	int fd = kvm_open_device(why, sizeof(why));

	if (fd >= 0 && kvm_check(fd, cpus, why, sizeof(why)))
		return fd;
	say("%s", why);
	if (fd < 0)
		return fd;
	close(fd);
	return -ENOTSUP;
}

static int create_vm(int kvm_fd)
{
	int fd;

	do /* a signal may interrupt it */
		fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	while (fd < 0 && errno == EINTR);
	return fd;
}

int kvm_create_vm(int kvm_fd)
{
	uint64_t identity_map = IDENTITY_MAP_GPA;
	int fd = create_vm(kvm_fd);
	int err;

	if (fd < 0)
		return say_errno("KVM_CREATE_VM");
	if (ioctl(fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0)
		err = say_errno("KVM_SET_IDENTITY_MAP_ADDR");
	else if (ioctl(fd, KVM_SET_TSS_ADDR, TSS_GPA) < 0)
		err = say_errno("KVM_SET_TSS_ADDR");
	else
		return fd;
	close(fd);
	return err;
}
