# SPDX-License-Identifier: MIT
# Tests of libaliastracker: unit-tracker, the same with sanitizers, and a benchmark that is run by hand.

TRACKER_BENCH_SRC := tests/unit/tracker/bench_sync.c
TRACKER_TEST_SRC  := $(filter-out $(TRACKER_BENCH_SRC),$(wildcard tests/unit/tracker/*.c))
TRACKER_WRAP      = $(LD) -r --wrap=malloc --wrap=calloc --wrap=realloc --wrap=free

UNIT_TESTS     += $(B)/tests/unit-tracker
UNIT_TESTS_SAN += $(B)/tests/unit-tracker-san

$(call defines,san,tests/unit/tracker/%,-DMODEL_OPS=200000)

# The library, whose allocations go through fault.c; those of Check do not.
$(B)/obj/release/tracker-with-faults.o: $(call obj,release,$(TRACKER_SRC))
	$(TRACKER_WRAP) -o $@ $^

$(B)/obj/san/tracker-with-faults.o: $(call obj,san,$(TRACKER_SRC))
	$(TRACKER_WRAP) -o $@ $^

$(B)/tests/unit-tracker: $(call obj,release,$(TRACKER_TEST_SRC)) $(B)/obj/release/tracker-with-faults.o
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs check)

$(B)/tests/unit-tracker-san: $(call obj,san,$(TRACKER_TEST_SRC)) $(B)/obj/san/tracker-with-faults.o $(UNMARKED)
	@mkdir -p $(@D)
	$(LINK_UNMARKED) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs check)

.PHONY: seeds
SEEDS ?= 50
FIRST ?= 1
OPS   ?= 2000000
SAN   ?= 5
seeds: $(B)/tests/unit-tracker $(B)/tests/unit-tracker-san ## The tracker beside its model with 50 fixed seeds (SEEDS=, FIRST=, OPS=; SAN=5: each fifth with sanitizers, too)
	@tests/unit/tracker/seeds $(FIRST) $(SEEDS) $(OPS) $(SAN)

$(B)/tests/bench-sync: $(call obj,release,$(TRACKER_BENCH_SRC) tests/unit/tracker/world.c) $(B)/libaliastracker.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs check)
