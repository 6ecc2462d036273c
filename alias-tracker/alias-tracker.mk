# SPDX-License-Identifier: MIT
# libaliastracker, and the template of its pkg-config file (@PREFIX@, @VERSION@).

TRACKER_SRC     := $(sort $(wildcard alias-tracker/*.c))
TRACKER_HEADERS := alias-tracker/alias_tracker.h alias-tracker/alias_abi.h
TRACKER_PC      := alias-tracker/aliastracker.pc.in

$(B)/libaliastracker.a: $(call obj,release,$(TRACKER_SRC))
	@rm -f $@
	$(AR) rcs $@ $^
