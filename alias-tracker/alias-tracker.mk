# SPDX-License-Identifier: MIT
# libaliastracker, as an archive and as a shared library, and the template of its pkg-config file. No name
# leaves either but at_*: the archive holds one object in which all others are local.

TRACKER_SRC     := $(sort $(wildcard alias-tracker/*.c))
TRACKER_HEADERS := alias-tracker/alias_tracker.h alias-tracker/alias_abi.h
TRACKER_PC      := alias-tracker/aliastracker.pc.in
# The ABI: another number with each release that a program linked with the one before would notice, as it does of
# a member that struct at_stats gets. There is no release yet.
TRACKER_SONAME  := libaliastracker.so.0
TRACKER_SO      := libaliastracker.so.$(VERSION)
TRACKER_MAP     := alias-tracker/aliastracker.map

$(eval $(call variant,lib,$$(CC),$$(HOST_FLAGS) $$(CFLAGS) -fPIC -fno-semantic-interposition -fno-lto))

$(B)/obj/lib/libaliastracker.o: $(call obj,lib,$(TRACKER_SRC))
	$(LD) -r -o $@ $^
	$(OBJCOPY) --wildcard --keep-global-symbol='at_*' $@

$(B)/libaliastracker.a: $(B)/obj/lib/libaliastracker.o
	@rm -f $@
	$(AR) rcs $@ $<

$(B)/$(TRACKER_SO): $(call obj,lib,$(TRACKER_SRC)) $(TRACKER_MAP)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(TRACKER_SONAME),--version-script=$(TRACKER_MAP) \
		-Wl,-z,defs -o $@ $(filter %.o,$^)
