# SPDX-License-Identifier: MIT
# Tests of libaliastracker: unit-tracker, the same with sanitizers, and a benchmark that is run by hand.

TRACKER_TEST_SRC  := $(wildcard tests/unit/tracker/*.c)
TRACKER_BENCH_SRC := tests/unit/tracker/bench_sync.c
TRACKER_UNIT_SRC  := $(filter-out $(TRACKER_BENCH_SRC),$(TRACKER_TEST_SRC))
TRACKER_UNIT_OBJ  := $(TRACKER_UNIT_SRC:%.c=$(B)/%.o)
TRACKER_SAN_OBJ   := $(TRACKER_UNIT_SRC:%.c=$(B)/san/%.o)
TRACKER_SAN_LIB   := $(TRACKER_SRC:%=$(B)/san/alias-tracker/%.o)
TRACKER_SAN_FLAGS := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all
TRACKER_WRAP      := $(LD) -r --wrap=malloc --wrap=calloc --wrap=realloc --wrap=free

UNIT_TESTS     += $(B)/tests/unit-tracker
UNIT_TESTS_SAN += $(B)/tests/unit-tracker-san

$(B)/tests/unit/tracker/%.o: tests/unit/tracker/%.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/san/tests/unit/tracker/%.o: tests/unit/tracker/%.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(CPPFLAGS) -DMODEL_OPS=200000 $(TRACKER_SAN_FLAGS) -MMD -MP -c -o $@ $<

$(B)/san/alias-tracker/%.o: alias-tracker/%.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(CPPFLAGS) $(TRACKER_SAN_FLAGS) -MMD -MP -c -o $@ $<

# The library, whose allocations go through fault.c; those of Check do not.
$(B)/tests/unit/tracker.o: $(TRACKER_OBJ)
	@mkdir -p $(@D)
	$(TRACKER_WRAP) -o $@ $^

$(B)/san/tests/unit/tracker.o: $(TRACKER_SAN_LIB)
	@mkdir -p $(@D)
	$(TRACKER_WRAP) -o $@ $^

$(B)/tests/unit-tracker: $(TRACKER_UNIT_OBJ) $(B)/tests/unit/tracker.o
	@mkdir -p $(@D)
	$(CC) -o $@ $^ $(shell pkg-config --libs check)

$(B)/tests/unit-tracker-san: $(TRACKER_SAN_OBJ) $(B)/san/tests/unit/tracker.o
	@mkdir -p $(@D)
	$(CC) $(TRACKER_SAN_FLAGS) -o $@ $^ $(shell pkg-config --libs check)

$(B)/tests/bench-sync: $(TRACKER_BENCH_SRC:%.c=$(B)/%.o) $(B)/tests/unit/tracker/world.o $(B)/libaliastracker.a
	@mkdir -p $(@D)
	$(CC) -o $@ $^ $(shell pkg-config --libs check)

-include $(TRACKER_TEST_SRC:%.c=$(B)/%.d) $(TRACKER_SAN_OBJ:.o=.d) $(TRACKER_SAN_LIB:.o=.d)
