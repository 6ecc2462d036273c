# SPDX-License-Identifier: MIT
# libaliastracker, and the template of its pkg-config file (@PREFIX@, @VERSION@).

TRACKER_SRC     := aliases count entries limbo log map node oracle pack path pin state store sync tracker violation
TRACKER_OBJ     := $(TRACKER_SRC:%=$(B)/alias-tracker/%.o)
TRACKER_HEADERS := alias-tracker/alias_tracker.h alias-tracker/alias_abi.h
TRACKER_PC      := alias-tracker/aliastracker.pc.in

$(B)/alias-tracker/%.o: alias-tracker/%.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/libaliastracker.a: $(TRACKER_OBJ)
	@rm -f $@
	ar rcs $@ $^

-include $(TRACKER_OBJ:.o=.d)
