/* SPDX-License-Identifier: MIT */
#include "shadow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "trial.h"

#define CURE "load it with %s=0, or use another --track"

/* out TRIAL_PORT, al; mov [TRIAL_L4], rax */
static const uint8_t trial_code[] = {0xe6, TRIAL_PORT, 0x48, 0x89, 0x04, 0x25,
				     0x00, 0x20,       0x00, 0x00, 0xf4};

/* 'Y' or '1', 'N' or '0'; 0 if there is no such parameter. */
static char parameter(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char value = 0;

	if (fd < 0)
		return 0;
	if (read(fd, &value, 1) != 1)
		value = 0;
	close(fd);
	return value;
}

/* Does the module say that it has the processor walk a second stage of tables? */
static bool nested_by_parameter(char *why, size_t size)
{
	static const struct {
		const char *path, *module, *name;
	} modules[] = {
		{"/sys/module/kvm_amd/parameters/npt", "kvm_amd", "npt"},
		{"/sys/module/kvm_intel/parameters/ept", "kvm_intel", "ept"},
	};

	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		char value = parameter(modules[i].path);

		if (value != 'Y' && value != '1')
			continue;
		snprintf(
			why, size,
			"--track strict needs KVM's shadow MMU, and the module %s runs with %s=1: " CURE,
			modules[i].module, modules[i].name, modules[i].name);
		return true;
	}
	return false;
}

/* The guest, whose tables are read-only in the host, walks them and so comes to the `out`; its
 * store to one does not come through. */
static bool tables_can_be_guarded(const struct trial *trial)
{
	if (mprotect(trial->memory + TRIAL_L4, TRIAL_GDT - TRIAL_L4, PROT_READ) ||
	    !trial_comes_to_out(trial))
		return false;
	if (trial_run(trial))
		return errno == EFAULT;
	return trial->run->exit_reason == KVM_EXIT_MMIO && trial->run->mmio.is_write;
}

static bool try_it(int kvm_fd)
{
	struct trial trial;
	bool ok = trial_begin(&trial, kvm_fd, trial_code, sizeof(trial_code)) &&
		  tables_can_be_guarded(&trial);

	trial_end(&trial);
	return ok;
}

bool shadow_check(int kvm_fd, char *why, size_t size)
{
	if (nested_by_parameter(why, size))
		return false;
	if (try_it(kvm_fd))
		return true;
	snprintf(why, size,
		 "--track strict needs KVM's shadow MMU, and on this host page tables that are "
		 "read-only do not work: load kvm_amd with npt=0 or kvm_intel with ept=0, or use "
		 "another --track");
	return false;
}
