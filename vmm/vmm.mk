# SPDX-License-Identifier: MIT
# The program `vmm`: main.c and what belongs to no room, and a folder a room.

VMM_SRC      := $(filter-out vmm/top/% vmm/lines/%,$(sort $(wildcard vmm/*.c vmm/*/*.c vmm/*/*/*.c)))
# A look at all page tables is shared with alias-audit.
VMM_SRC      += $(patsubst %,alias-audit/%.c,audit findings low_map names notes physmem report report_json roots walk \
			windows) alias-tracker/map.c
# All but main(), for unit tests.
VMM_CORE_SRC := $(filter-out vmm/main.c,$(VMM_SRC))

# With shared libraries, as a distribution's programs are. STATIC_PIE=yes: with none, where all of them come
# as archives that can be linked (Debian 13's libelf.a cannot).
STATIC_PIE   ?= no
VMM_DYN_LIBS = $(shell pkg-config --libs libelf jansson liburing libseccomp) -lfdt
ifeq ($(STATIC_PIE),yes)
VMM_LINK     := -static-pie -pthread
VMM_LIBS     = $(shell pkg-config --static --libs libelf jansson liburing libseccomp) -lfdt
else
VMM_LINK     := -pie -pthread -Wl,-z,relro,-z,now
VMM_LIBS     = $(VMM_DYN_LIBS)
endif

$(B)/vmm: $(call obj,release,$(VMM_SRC)) $(B)/libaliastracker.a
	$(CC) $(CFLAGS) $(LDFLAGS) $(VMM_LINK) -o $@ $^ $(VMM_LIBS)

# What `vmm top` executes. It is a program of its own since ncurses takes longer to load than all of vmm.
VMM_TOP_SRC  := $(wildcard vmm/top/*.c) \
		$(patsubst %,vmm/%.c,control/connection options lost_output say nonblocking fatal signals)

$(B)/vmm-top: $(call obj,release,$(VMM_TOP_SRC))
	$(CC) $(CFLAGS) $(LDFLAGS) -pie -pthread -o $@ $^ $(shell pkg-config --libs ncursesw jansson) -lm

# What vmm asks for the names of the guest's code, where messages or answers tell them.
$(B)/vmm-lines: $(call obj,release,$(wildcard vmm/lines/*.c))
	$(CC) $(CFLAGS) $(LDFLAGS) -pie -o $@ $^ $(shell pkg-config --libs libdw libelf libseccomp)
