# SPDX-License-Identifier: MIT
# Every test there is. UNIT_TESTS run natively; the whole-machine tests on a real KVM, in two machines
# at a time where it is emulated.

UNIT_TESTS     := tests/kvm-machine/test-fetch-kernel
UNIT_TESTS_SAN :=

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

UNIT := $(UNIT_TESTS) $(UNIT_TESTS_SAN)
WHOLE_MACHINE := tests/install tests/kvm-machine/test-with-kvm.sh tests/qemu-selftest \
		 tests/compare/test-compare tests/faults/test-faults tests/soak/test-soak

.PHONY: tests unit-tests whole-machine-tests
tests: $(UNIT) whole-machine-deps
	@tests/run-all tests/on-kvm $(UNIT) $(WHOLE_MACHINE)

unit-tests: $(UNIT) ## Unit tests, plain and with sanitizers (needs no KVM)
	@tests/run-all $(UNIT)

whole-machine-tests: whole-machine-deps ## Tests of the real vmm on a real KVM
	@tests/run-all tests/on-kvm $(WHOLE_MACHINE)

.PHONY: whole-machine-deps
whole-machine-deps: all kvm-machine hostile $(addprefix $(B)/,tests/whole-machine tests/fault-walk vmm-compare vmm-san)
