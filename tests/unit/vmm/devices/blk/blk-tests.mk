# SPDX-License-Identifier: MIT
# Unit tests of the block device: no KVM, and io_uring only where it is allowed.

BLK_TEST_SRC := $(wildcard tests/unit/vmm/devices/blk/*.c vmm/devices/blk/*.c vmm/sandbox/*.c) \
	$(addprefix vmm/devices/,bus.c terminal.c virtqueue.c virtio_mmio.c) \
	vmm/kvm/memory.c vmm/kvm/thread.c vmm/kvm/write_protect.c \
	$(addprefix vmm/,fatal.c follow_links.c json_object.c nonblocking.c replaceable.c say.c trace.c stop.c)
# test_device.c answers the ioctls that virtio_blk.c makes to KVM.
BLK_TEST_LIBS = $(LDFLAGS) -Wl,--wrap=ioctl -lcheck -lsubunit -luring -ljansson -lseccomp -lpthread -lrt -lm

UNIT_TESTS     += $(B)/tests/unit-blk
UNIT_TESTS_SAN += $(B)/tests/unit-blk-san

$(B)/tests/unit-blk: $(call obj,release,$(BLK_TEST_SRC))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $^ -o $@ $(BLK_TEST_LIBS)

$(B)/tests/unit-blk-san: $(call obj,san,$(BLK_TEST_SRC)) $(UNMARKED)
	@mkdir -p $(@D)
	$(LINK_UNMARKED) $^ -o $@ $(BLK_TEST_LIBS)
