# SPDX-License-Identifier: MIT
# The program `vmm`. Its objects lie in $(B)/obj/vmm, for $(B)/vmm is the program itself.

VMM_OBJ  := $(patsubst %.c,$(B)/obj/%.o,$(sort $(wildcard vmm/*.c)))
# All but main(), for unit tests.
VMM_CORE := $(filter-out $(B)/obj/vmm/main.o,$(VMM_OBJ))

# Linked statically: a dynamic loader and its libraries' pages would be most of the memory it takes.
VMM_LIBS = $(shell pkg-config --static --libs libelf jansson liburing libseccomp) -lfdt

$(B)/obj/vmm/%.o: vmm/%.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(CPPFLAGS) $(CFLAGS) -fPIE -pthread -MMD -MP -c -o $@ $<

$(B)/obj/vmm/options.o: CPPFLAGS += -DVMM_VERSION=$(VERSION)

$(B)/vmm: $(VMM_OBJ) $(B)/libaliastracker.a
	$(CC) $(CFLAGS) -static-pie -pthread -o $@ $^ $(VMM_LIBS)

-include $(VMM_OBJ:.o=.d)
