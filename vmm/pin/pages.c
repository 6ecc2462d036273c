/* SPDX-License-Identifier: MIT */
/* The pages that guest and host share. */
#include "machine.h"
#include "pin/internal.h"

struct alias_common_page *common_page(const struct machine *machine)
{
	return memory_ptr(&machine->vm.mem, SHARED_GPA, ALIAS_PAGE_SIZE);
}

struct alias_vcpu_page *pin_vcpu_page(const struct machine *machine, unsigned index)
{
	return memory_ptr(&machine->vm.mem, SHARED_GPA + (index + 1ull) * ALIAS_PAGE_SIZE,
			  ALIAS_PAGE_SIZE);
}
