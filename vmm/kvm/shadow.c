/* SPDX-License-Identifier: MIT */
#include "kvm/shadow.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include "kvm/kvm.h"
#include "kvm/probe_vm.h"

#define CURE "load it with %s=0, or use another --track"

/* out PROBE_VM_PORT, al; mov [PROBE_VM_L4], rax */
static const uint8_t probe_code[] = {0xe6, PROBE_VM_PORT, 0x48, 0x89, 0x04, 0x25,
				     0x00, 0x20,          0x00, 0x00, 0xf4};

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

/* The guest, with read-only page tables, must walk them and reach the `out`; its store to one must
 * fail. */
static bool tables_can_be_protected(const struct probe_vm *vm)
{
	int err;

	if (mprotect(vm->memory + PROBE_VM_L4, PROBE_VM_GDT - PROBE_VM_L4, PROT_READ) ||
	    !probe_vm_runs_to_out(vm))
		return false;
	err = probe_vm_run(vm);
	if (err)
		return err == -EFAULT;
	return vm->vcpu.run->exit_reason == KVM_EXIT_MMIO && vm->vcpu.run->mmio.is_write;
}

/* Returns NULL if it works, or why not. */
static const char *try_it(int kvm_fd)
{
	struct probe_vm vm;
	const char *why_not = NULL;

	if (!probe_vm_begin(&vm, kvm_fd, probe_code, sizeof(probe_code)))
		why_not = PROBE_VM_REFUSED;
	else if (!tables_can_be_protected(&vm))
		why_not = "--track strict needs KVM's shadow MMU, and on this host read-only page "
			  "tables do not work: load kvm_amd with npt=0 or kvm_intel with ept=0, or "
			  "use another --track";
	probe_vm_end(&vm);
	return why_not;
}

bool shadow_check(int kvm_fd, char *why, size_t size)
{
	const char *why_not;

	if (nested_by_parameter(why, size))
		return false;
	why_not = try_it(kvm_fd);
	if (why_not)
		snprintf(why, size, "%s", why_not);
	return !why_not;
}
