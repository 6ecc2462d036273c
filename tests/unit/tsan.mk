# SPDX-License-Identifier: MIT
# The unit tests that have threads, under ThreadSanitizer: the VMM's, with the tracker in it, and the
# block device's. (The guest's allocator has such a test of its own.)

# It does not follow fences, and so may warn of what one orders.
TSAN_FLAGS  := -O1 -g -fsanitize=thread -Wno-tsan
TSAN_VMM    := $(VMM_TEST_SRC) $(VMM_CORE:$(B)/obj/%.o=%.c) $(TRACKER_SRC:%=alias-tracker/%.c)

UNIT_TESTS_SAN += $(B)/tests/unit-vmm-tsan $(B)/tests/unit-virtio-tsan

$(B)/tsan/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(CPPFLAGS) -iquote vmm -DVMM_VERSION=$(VERSION) $(TSAN_FLAGS) -pthread -MMD -MP -c -o $@ $<

$(B)/tests/unit-vmm-tsan: $(TSAN_VMM:%.c=$(B)/tsan/%.o)
	@mkdir -p $(@D)
	$(CC) $(TSAN_FLAGS) $(VMM_TEST_LD) -o $@ $^ $(VMM_TEST_LIBS)

$(B)/tests/unit-virtio-tsan: $(VIRTIO_TEST_SOURCES:%.c=$(B)/tsan/%.o)
	@mkdir -p $(@D)
	$(CC) $(TSAN_FLAGS) -o $@ $^ $(VIRTIO_TEST_LIBS)

-include $(TSAN_VMM:%.c=$(B)/tsan/%.d) $(VIRTIO_TEST_SOURCES:%.c=$(B)/tsan/%.d)
