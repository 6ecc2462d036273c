# SPDX-License-Identifier: MIT
# The guest's allocators on the host, where sanitizers can watch them. shim/ comes first: it holds
# what the processor and the boot code provide in the guest.

GUEST_TEST_SRC := $(wildcard tests/unit/guest/*.c) $(wildcard guest/mm/vmap*.c) guest/mm/frame.c \
		guest/mm/set_memory.c guest/mm/aspace.c guest/pin/many.c guest/lib/spinlock.c \
		guest/workload/crc32.c
GUEST_TEST_CPP := -D_GNU_SOURCE -Itests/unit/guest/shim -Iguest/include -Iguest/workload -Ialias-tracker

# The same allocator with threads as CPUs.
GUEST_THREADS_SRC := tests/unit/guest/threads/main.c $(wildcard guest/mm/vmap*.c) guest/mm/frame.c \
		guest/lib/spinlock.c

UNIT_TESTS     += $(B)/tests/unit-guest
UNIT_TESTS_SAN += $(B)/tests/unit-guest-san $(B)/tests/unit-guest-threads

GUEST_TEST_FLAGS = $(CSTD) $(WARNINGS) $(WERROR) $(GUEST_TEST_CPP) $(CPPFLAGS)
$(eval $(call variant,shim,$$(CC),$$(GUEST_TEST_FLAGS) $$(CFLAGS)))
$(eval $(call variant,shim-san,$$(CC),$$(GUEST_TEST_FLAGS) -O1 -g $(ASAN)))
$(eval $(call variant,shim-tsan,$$(CC),$$(GUEST_TEST_FLAGS) -O1 -g $(TSAN)))

$(B)/tests/unit-guest: $(call obj,shim,$(GUEST_TEST_SRC))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs check)

$(B)/tests/unit-guest-san: $(call obj,shim-san,$(GUEST_TEST_SRC)) $(UNMARKED)
	@mkdir -p $(@D)
	$(LINK_UNMARKED) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs check)

$(B)/tests/unit-guest-threads: $(call obj,shim-tsan,$(GUEST_THREADS_SRC))
	@mkdir -p $(@D)
	$(CC) $(TSAN) $(LDFLAGS) -o $@ $^ -lpthread
