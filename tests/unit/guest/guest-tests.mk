# SPDX-License-Identifier: MIT
# The guest's allocators on the host, where sanitizers can watch them. shim/ comes first: it holds
# what the processor and the boot code provide in the guest.

GUEST_TEST_SRC := $(wildcard tests/unit/guest/*.c) $(wildcard guest/mm/vmap*.c) guest/mm/frame.c \
		guest/mm/set_memory.c guest/lib/spinlock.c guest/workload/crc32.c
GUEST_TEST_OBJ     := $(GUEST_TEST_SRC:%.c=$(B)/unit-guest/%.o)
GUEST_TEST_SAN_OBJ := $(GUEST_TEST_SRC:%.c=$(B)/unit-guest-san/%.o)
GUEST_TEST_CPP     := -D_GNU_SOURCE -Itests/unit/guest/shim -Iguest/include -Iguest/workload -Ialias-tracker
GUEST_TEST_SAN     := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all

# The same allocator with threads as CPUs.
GUEST_THREADS_SRC := tests/unit/guest/threads/main.c $(wildcard guest/mm/vmap*.c) guest/mm/frame.c \
		guest/lib/spinlock.c
GUEST_THREADS_OBJ := $(GUEST_THREADS_SRC:%.c=$(B)/unit-guest-threads/%.o)
GUEST_TEST_TSAN   := -O1 -g -fsanitize=thread

UNIT_TESTS     += $(B)/tests/unit-guest
UNIT_TESTS_SAN += $(B)/tests/unit-guest-san $(B)/tests/unit-guest-threads

$(B)/unit-guest/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(GUEST_TEST_CPP) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/unit-guest-san/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(GUEST_TEST_CPP) $(GUEST_TEST_SAN) -MMD -MP -c -o $@ $<

$(B)/unit-guest-threads/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(GUEST_TEST_CPP) $(GUEST_TEST_TSAN) -MMD -MP -c -o $@ $<

$(B)/tests/unit-guest: $(GUEST_TEST_OBJ)
	@mkdir -p $(@D)
	$(CC) -o $@ $^ $(shell pkg-config --libs check)

$(B)/tests/unit-guest-san: $(GUEST_TEST_SAN_OBJ)
	@mkdir -p $(@D)
	$(CC) $(GUEST_TEST_SAN) -o $@ $^ $(shell pkg-config --libs check)

$(B)/tests/unit-guest-threads: $(GUEST_THREADS_OBJ)
	@mkdir -p $(@D)
	$(CC) $(GUEST_TEST_TSAN) -o $@ $^ -lpthread

-include $(GUEST_TEST_OBJ:.o=.d) $(GUEST_TEST_SAN_OBJ:.o=.d) \
	$(GUEST_THREADS_OBJ:.o=.d)
