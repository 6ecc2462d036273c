# SPDX-License-Identifier: MIT
# The unit tests that have threads, under ThreadSanitizer: the VMM's, with the tracker in it, and the
# block device's. (The guest's allocator has such a test of its own.)

UNIT_TESTS_SAN += $(B)/tests/unit-vmm-tsan $(B)/tests/unit-blk-tsan

$(B)/tests/unit-vmm-tsan: $(call obj,tsan,$(VMM_TEST_SRC) $(VMM_CORE_SRC) $(TRACKER_SRC))
	@mkdir -p $(@D)
	$(CC) $(TSAN) $(VMM_TEST_LD) -o $@ $^ $(VMM_TEST_LIBS)

$(B)/tests/unit-blk-tsan: $(call obj,tsan,$(BLK_TEST_SRC))
	@mkdir -p $(@D)
	$(CC) $(TSAN) -o $@ $^ $(BLK_TEST_LIBS)
