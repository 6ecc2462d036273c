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

# The way of a pin leads through many short functions of few callers. Where gcc inlines more of them than it would by
# itself, it takes a twentieth fewer instructions. Then registers run short, and what gcse keeps in them for later goes
# to the stack. (clang has neither.)
TRACKER_GCC := $(if $(shell $(CC) --version 2>/dev/null | grep -i clang),,-finline-limit=200 -fno-gcse)

$(eval $(call variant,lib,$$(CC),$$(HOST_FLAGS) $$(CFLAGS) -fPIC -fno-semantic-interposition -fno-lto $$(TRACKER_GCC)))

$(B)/obj/lib/libaliastracker.o: $(call obj,lib,$(TRACKER_SRC))
	$(LD) -r -o $@ $^
	$(OBJCOPY) --wildcard --keep-global-symbol='at_*' $@

$(B)/libaliastracker.a: $(B)/obj/lib/libaliastracker.o
	@rm -f $@
	$(AR) rcs $@ $<

$(B)/$(TRACKER_SO): $(call obj,lib,$(TRACKER_SRC)) $(TRACKER_MAP)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(TRACKER_SONAME),--version-script=$(TRACKER_MAP) \
		-Wl,-z,defs -o $@ $(filter %.o,$^)
