# SPDX-License-Identifier: MIT
# The program `vmm`: main.c and what belongs to no room, and a folder a room.

VMM_SRC      := $(sort $(wildcard vmm/*.c vmm/*/*.c vmm/*/*/*.c))
# All but main(), for unit tests.
VMM_CORE_SRC := $(filter-out vmm/main.c,$(VMM_SRC))

# Linked statically: a dynamic loader and its libraries' pages would be most of the memory it takes.
VMM_LIBS     = $(shell pkg-config --static --libs libelf jansson liburing libseccomp) -lfdt
VMM_DYN_LIBS = $(shell pkg-config --libs libelf jansson liburing libseccomp) -lfdt

$(B)/vmm: $(call obj,release,$(VMM_SRC)) $(B)/libaliastracker.a
	$(CC) $(CFLAGS) $(LDFLAGS) -static-pie -pthread -o $@ $^ $(VMM_LIBS)
