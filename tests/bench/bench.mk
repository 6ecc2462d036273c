# SPDX-License-Identifier: MIT
# `make bench`: the tracker beside what one would take instead. CRoaring and GLib are contenders where
# they are installed (Debian's CRoaring brings no pkg-config file: its header is looked for).

BENCH_SRC  := $(wildcard tests/bench/*.c)
# Whatever of the two is there; each source asks by __has_include.
BENCH_LIBS = $(shell pkg-config --libs check jansson) $(shell pkg-config --silence-errors --libs glib-2.0) \
	     $(if $(wildcard /usr/include/roaring/roaring.h),-lroaring)

# A variant of its own, so that pkg-config is asked only when these are compiled.
$(eval $(call variant,bench,$$(CC),$$(HOST_FLAGS) $$(CFLAGS) -fPIE -pthread $$(shell pkg-config --silence-errors --cflags glib-2.0)))

UNIT_TESTS += tests/bench/smoke
tests/bench/smoke: $(B)/tests/bench-tracker ;

.PHONY: bench
bench: bench-deps ## Compare the tracker with other reverse maps (writes build/bench-tracker.json)
	@$(MAKE) -s --no-print-directory $(B)/tests/bench-tracker
	@$(B)/tests/bench-tracker --json $(B)/bench-tracker.json

$(B)/tests/bench-tracker: $(call obj,bench,$(BENCH_SRC)) $(call obj,release,tests/unit/tracker/world.c $(TRACKER_SRC))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(BENCH_LIBS)
