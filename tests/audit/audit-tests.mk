# SPDX-License-Identifier: MIT
# alias-audit, with sanitizers, on machines that never ran.

UNIT_TESTS += tests/audit/test-audit
tests/audit/test-audit: $(B)/tests/alias-audit-san

# On a stock Linux, emulated: what runs in it is static.
INSIDE_CC = $(CC) $(CSTD) $(WARNINGS) $(WERROR) -D_GNU_SOURCE -O2 -static
$(eval $(call flags,$(B)/tests/inside.flags,$$(INSIDE_CC)))

$(B)/tests/inside: tests/audit/inside.c $(B)/tests/inside.flags
	$(INSIDE_CC) -o $@ $<

.PHONY: audit audit-qemu
audit: deps ## Look for page tables of a stock Linux under vmm that have another mapping
	@$(MAKE) -s --no-print-directory all kvm-machine $(LINUX_ROOT)
	@tests/audit/show-live "$(B)" "$(LINUX_KERNEL)" "$(LINUX_ROOT)"

audit-qemu: deps ## The same in QEMU, by alias-audit, with the kernel's names (PICTURE=FILE.svg)
	@$(MAKE) -s --no-print-directory $(B)/alias-audit $(B)/tests/inside kvm-machine $(LINUX_ROOT)
	@tests/audit/show "$(B)" "$(LINUX_KERNEL)" "$(LINUX_ROOT)"

.PHONY: bench-audit
bench-audit: deps ## What looks at its page tables cost a Linux that runs under vmm, in instructions
	@$(MAKE) -s --no-print-directory all kvm-machine $(LINUX_ROOT)
	@VMM_BUILD="$(B)" tests/audit/bench-live
