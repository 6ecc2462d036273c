# SPDX-License-Identifier: MIT
# Every test there is. UNIT_TESTS need nothing but a processor; the whole-machine tests a real KVM, emulated
# where there is none that will do.

UNIT_TESTS     := tests/kvm-machine/test-fetch-kernel tests/top/test-top
UNIT_TESTS_SAN :=
# What links a test of Check's with AddressSanitizer; see tests/unit/unmarked.c, which goes with it.
LINK_UNMARKED   = $(CC) $(ASAN) -Wl,--wrap=_mark_point
UNMARKED       := $(call obj,san,tests/unit/unmarked.c)

include $(wildcard tests/unit/*/*-tests.mk) tests/unit/vmm/devices/blk/blk-tests.mk
include tests/unit/tsan.mk
include tests/bench/bench.mk
include tests/model/model.mk
include tests/machine/machine-tests.mk
include tests/hostile/hostile.mk
include tests/machine/sanitized.mk
include tests/compare/compare.mk
include tests/faults/faults.mk
include tests/fuzz/fuzz.mk
include tests/distros/distros.mk
include tests/audit/audit-tests.mk

# This is begun before all others: it runs while with-kvm finds out whether there is a machine.
UNIT_FIRST   := tests/model/check
# The longest first.
UNIT_LONGEST := $(B)/tests/unit-tracker $(B)/tests/unit-tracker-san $(B)/tests/unit-vmm-tsan \
		tests/audit/test-audit
UNIT := $(UNIT_LONGEST) $(filter-out $(UNIT_FIRST) $(UNIT_LONGEST),$(UNIT_TESTS) $(UNIT_TESTS_SAN))

# The longest first. Each line of tests/on-kvm is one machine: to start one takes seconds. Those after --kernel need the
# emulated machine's kernel even where there is a /dev/kvm.
WHOLE_MACHINE := 'tests/on-kvm strategies' tests/faults/test-faults 'tests/on-kvm pins log endings console disk' \
		 'tests/on-kvm control transitions strict sandbox faults statistics' \
		 'tests/on-kvm hostile sanitized' --kernel 'tests/on-kvm --npt 0 hostile@strict strict sanitized@strict' \
		 tests/kvm-machine/test-with-kvm.sh 'tests/on-kvm linux' tests/compare/test-compare \
		 --on-kvm tests/tracking/test-tracking tests/gdb/test-gdb tests/trace/test-trace tests/soak/test-soak tests/qemu-selftest \
		 tests/transcript --kernel tests/audit/test-linux tests/audit/test-live
# Of all rooms something, in seconds.
QUICK         := $(filter-out $(UNIT_FIRST) $(B)/tests/unit-tracker,$(UNIT_TESTS)) \
		 --on-kvm 'tests/on-kvm pins endings' --kernel 'tests/on-kvm --npt 0 strict'

.PHONY: tests unit-tests whole-machine-tests quick-tests all-tests-built quick-tests-built
all-tests-built: all $(UNIT_FIRST) $(UNIT) whole-machine-deps
quick-tests-built: $(UNIT_TESTS) all hostile $(B)/tests/whole-machine

tests: all-tests-built ## Every test that can be run with what is there: `make check` without apt and the network
	@echo 'tests: some ten minutes on two processors, where KVM is emulated'
	@tests/run-all $(UNIT_FIRST) --on-kvm $(WHOLE_MACHINE) --native $(UNIT) tests/install

unit-tests: $(UNIT_FIRST) $(UNIT) ## Unit tests, plain and with sanitizers (needs no KVM)
	@tests/run-all $(UNIT_FIRST) $(UNIT)

whole-machine-tests: whole-machine-deps ## Tests of the real vmm on a real KVM
	@tests/run-all --on-kvm $(WHOLE_MACHINE)

quick-tests: quick-tests-built
	@tests/run-all $(QUICK)

# Of the emulated machine's kernel what is there: only kvm-machine fetches one.
.PHONY: whole-machine-deps
whole-machine-deps: all hostile $(if $(wildcard $(KVM_MACHINE)/kernel.stamp),linux-guest) $(addprefix $(B)/,tests/inside tests/whole-machine tests/fault-walk vmm-compare vmm-san)
