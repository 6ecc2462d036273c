# SPDX-License-Identifier: MIT
# `make bench`: the tracker beside what one would take instead. CRoaring and GLib are contenders where
# they are installed (Debian's CRoaring brings no pkg-config file: its header is looked for).

BENCH_SRC     := $(wildcard tests/bench/*.c)
BENCH_CFLAGS  :=
BENCH_LIBS    := $(shell pkg-config --libs check jansson)
BENCH_WITHOUT :=

ifeq ($(shell pkg-config --exists glib-2.0 && echo yes),yes)
BENCH_CFLAGS += -DHAVE_GLIB $(shell pkg-config --cflags glib-2.0)
BENCH_LIBS   += $(shell pkg-config --libs glib-2.0)
else
BENCH_WITHOUT += tests/bench/ghash.c
endif
ifeq ($(shell echo '\#include <roaring/roaring.h>' | $(CC) -E - >/dev/null 2>&1 && echo yes),yes)
BENCH_CFLAGS += -DHAVE_ROARING
BENCH_LIBS   += -lroaring
else
BENCH_WITHOUT += tests/bench/roaring.c
endif
BENCH_OBJ     := $(patsubst %.c,$(B)/%.o,$(filter-out $(BENCH_WITHOUT),$(BENCH_SRC)))

UNIT_TESTS += tests/bench/smoke
tests/bench/smoke: $(B)/tests/bench-tracker ;

.PHONY: bench
bench: bench-deps ## Compare the tracker with other reverse maps (writes build/bench-tracker.json)
	@$(MAKE) -s --no-print-directory $(B)/tests/bench-tracker
	@$(B)/tests/bench-tracker --json $(B)/bench-tracker.json

# What is linked changes when a library has been installed.
$(B)/tests/bench/contenders: FORCE
	@mkdir -p $(@D)
	@echo '$(BENCH_CFLAGS)' | cmp -s - $@ || echo '$(BENCH_CFLAGS)' >$@
.PHONY: FORCE
FORCE:

$(B)/tests/bench/%.o: tests/bench/%.c $(B)/tests/bench/contenders
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(CPPFLAGS) $(BENCH_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/tests/bench-tracker: $(BENCH_OBJ) $(B)/tests/unit/tracker/world.o $(B)/libaliastracker.a
	@mkdir -p $(@D)
	$(CC) -o $@ $^ $(BENCH_LIBS)

-include $(BENCH_OBJ:.o=.d)
