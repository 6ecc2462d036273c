# SPDX-License-Identifier: MIT
# Unit tests of the VMM's core, plain and with sanitizers; a folder a room, as in vmm/.

VMM_TEST_SRC := $(wildcard tests/unit/vmm/*.c tests/unit/vmm/*/*.c) \
		$(addprefix tests/unit/vmm/devices/blk/,driver.c registers.c)
# fake_kvm.c answers the ioctls to KVM; test_flush.c has a vCPU flush just when its stamp is read; around_sync.c has
# something happen around a sync.
VMM_TEST_LD   = $(LDFLAGS) -pthread -Wl,--wrap=ioctl,--wrap=flush_stamp_get,--wrap=at_sync,--wrap=at_audit
# Where all is compiled into one (-flto), it has no call of the last three to wrap any more.
$(call defines,release,vmm/kvm/flush_clock,-fno-lto)
$(call defines,release,alias-tracker/sync,-fno-lto)
VMM_TEST_LIBS = $(shell pkg-config --libs check) $(VMM_DYN_LIBS)

UNIT_TESTS     += $(B)/tests/unit-vmm
UNIT_TESTS_SAN += $(B)/tests/unit-vmm-san

$(call defines,release san tsan,tests/unit/vmm/%,-iquote tests/unit/vmm)

$(B)/tests/unit-vmm: $(call obj,release,$(VMM_TEST_SRC) $(VMM_CORE_SRC) $(TRACKER_SRC))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(VMM_TEST_LD) -o $@ $^ $(VMM_TEST_LIBS)

$(B)/tests/unit-vmm-san: $(call obj,san,$(VMM_TEST_SRC) $(VMM_CORE_SRC) $(TRACKER_SRC)) $(UNMARKED)
	@mkdir -p $(@D)
	$(LINK_UNMARKED) $(VMM_TEST_LD) -o $@ $^ $(VMM_TEST_LIBS)
