# SPDX-License-Identifier: MIT
# The guest's platform code on the host, with sanitizers: frames, formats, boot arguments, device tree.

PLATFORM_TEST_SRC   := $(wildcard tests/unit/platform/*.c)
PLATFORM_GUEST_SRC  := guest/mm/frame.c guest/lib/format.c guest/lib/bootargs.c guest/lib/stdlib.c \
		       guest/arch/fdt.c guest/arch/platform.c
PLATFORM_TEST_OBJ   := $(PLATFORM_TEST_SRC:%.c=$(B)/%.o) \
		       $(PLATFORM_GUEST_SRC:%.c=$(B)/tests/unit/platform/%.o)
PLATFORM_TEST_FLAGS := -Itests/unit/platform/shim -Iguest/include -O1 -g \
		       -fsanitize=address,undefined -fno-sanitize-recover=all

UNIT_TESTS_SAN += $(B)/tests/unit-platform

$(B)/tests/unit/platform/%.o: tests/unit/platform/%.c tests/unit/platform/platform-tests.mk
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(CPPFLAGS) $(PLATFORM_TEST_FLAGS) -MMD -MP -c -o $@ $<

# The guest's own strtoul() takes less than the C library's.
$(B)/tests/unit/platform/guest/%.o: guest/%.c tests/unit/platform/platform-tests.mk
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(CPPFLAGS) $(PLATFORM_TEST_FLAGS) -Iguest/include/libc \
		-Dstrtoul=guest_strtoul -ffreestanding -MMD -MP -c -o $@ $<

$(B)/tests/unit-platform: $(PLATFORM_TEST_OBJ)
	@mkdir -p $(@D)
	$(CC) $(PLATFORM_TEST_FLAGS) -o $@ $^ $(shell pkg-config --libs check) -lfdt

-include $(PLATFORM_TEST_OBJ:.o=.d)
