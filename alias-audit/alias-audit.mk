# SPDX-License-Identifier: MIT
# The program `alias-audit`. From vmm it has what says things, and what makes JSON.

AUDIT_SRC      := $(sort $(wildcard alias-audit/*.c))
# All but main(), for tests.
AUDIT_CORE_SRC := $(filter-out alias-audit/main.c,$(AUDIT_SRC)) vmm/lost_output.c vmm/say.c vmm/nonblocking.c \
		  vmm/json_object.c vmm/frame_grid.c alias-tracker/map.c
AUDIT_LIBS      = $(shell pkg-config --libs libkdumpfile libelf jansson)

$(call defines,%,alias-audit/args,-DVMM_VERSION=$(VERSION))

$(B)/alias-audit: $(call obj,release,alias-audit/main.c $(AUDIT_CORE_SRC)) $(B)/libaliastracker.a
	$(CC) $(CFLAGS) $(LDFLAGS) -pie -pthread -Wl,-z,relro,-z,now -o $@ $^ $(AUDIT_LIBS)

# The same with sanitizers, for tests.
$(B)/tests/alias-audit-san: $(call obj,san,alias-audit/main.c $(AUDIT_CORE_SRC) $(TRACKER_SRC))
	@mkdir -p $(@D)
	$(CC) $(ASAN) -pthread -o $@ $(sort $^) $(AUDIT_LIBS)
