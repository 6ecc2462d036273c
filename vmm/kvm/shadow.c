/* SPDX-License-Identifier: MIT */
#include "kvm/shadow.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include "kvm/kvm.h"
#include "kvm/probe_vm.h"

#define CURE "load it with %s=0, or use another --track"

/* out TRIAL_PORT, al; mov [TRIAL_L4], rax */
static const uint8_t trial_code[] = {0xe6, TRIAL_PORT, 0x48, 0x89, 0x04, 0x25,
				     0x00, 0x20,       0x00, 0x00, 0xf4};

static bool nested_by_parameter(char *why, size_t size)
{
	struct kvm_second_stage stage;

	if (!kvm_second_stage(&stage))
		return false;
	snprintf(why, size,
		 "--track strict needs KVM's shadow MMU, and the module %s runs with %s=1: " CURE,
		 stage.module, stage.parameter, stage.parameter);
	return true;
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
