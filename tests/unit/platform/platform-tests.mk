# SPDX-License-Identifier: MIT
# The guest's platform code on the host, with sanitizers: frames, formats, boot arguments, device tree.

PLATFORM_TEST_SRC := $(wildcard tests/unit/platform/*.c) guest/mm/frame.c guest/lib/format.c guest/lib/bootargs.c \
		     guest/lib/stdlib.c guest/arch/fdt.c guest/arch/pvh.c guest/arch/platform.c
PLATFORM_FLAGS    := -Itests/unit/platform/shim -Itests/unit/platform -Iguest/include

UNIT_TESTS_SAN += $(B)/tests/unit-platform

$(eval $(call variant,platform,$$(CC),$$(HOST_FLAGS) $(PLATFORM_FLAGS) -O1 -g $(ASAN)))
# The guest's own strtoul() takes less than the C library's.
PLATFORM_GUEST := -Iguest/include/libc -Dstrtoul=guest_strtoul -ffreestanding
$(call defines,platform,guest/%,$(PLATFORM_GUEST))

$(B)/tests/unit-platform: $(call obj,platform,$(PLATFORM_TEST_SRC)) $(UNMARKED)
	@mkdir -p $(@D)
	$(LINK_UNMARKED) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs check) -lfdt
