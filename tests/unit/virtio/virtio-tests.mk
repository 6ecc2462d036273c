# SPDX-License-Identifier: MIT
# Unit tests of the block device: no KVM, and io_uring only where it is allowed.

VIRTIO_TEST_SOURCES := $(wildcard tests/unit/virtio/*.c) \
	$(addprefix vmm/,bus.c guard.c memory.c say.c thread.c virtqueue.c virtio_mmio.c virtio_blk.c) \
	vmm/landlock.c vmm/terminal.c $(wildcard vmm/blk_*.c vmm/sandbox*.c)
VIRTIO_TEST_OBJS     := $(patsubst %.c,$(B)/unit-virtio/%.o,$(VIRTIO_TEST_SOURCES))
VIRTIO_TEST_SAN_OBJS := $(patsubst %.c,$(B)/unit-virtio-san/%.o,$(VIRTIO_TEST_SOURCES))
VIRTIO_TEST_SAN      := -fsanitize=address,undefined -fno-sanitize-recover=all
# test_device.c answers the ioctls that virtio_blk.c makes to KVM.
VIRTIO_TEST_LIBS     := -Wl,--wrap=ioctl -lcheck -lsubunit -luring -ljansson -lseccomp -lpthread -lrt -lm

UNIT_TESTS     += $(B)/tests/unit-virtio
UNIT_TESTS_SAN += $(B)/tests/unit-virtio-san

$(B)/unit-virtio/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(CPPFLAGS) -Ivmm $(CFLAGS) -MMD -MP -c $< -o $@

$(B)/unit-virtio-san/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(CPPFLAGS) -Ivmm $(CFLAGS) $(VIRTIO_TEST_SAN) -MMD -MP -c $< -o $@

$(B)/tests/unit-virtio: $(VIRTIO_TEST_OBJS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $^ -o $@ $(VIRTIO_TEST_LIBS)

$(B)/tests/unit-virtio-san: $(VIRTIO_TEST_SAN_OBJS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(VIRTIO_TEST_SAN) $^ -o $@ $(VIRTIO_TEST_LIBS)

-include $(VIRTIO_TEST_OBJS:.o=.d) $(VIRTIO_TEST_SAN_OBJS:.o=.d)
