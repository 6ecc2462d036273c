# SPDX-License-Identifier: MIT
# build/vmm-san: the program with AddressSanitizer and UndefinedBehaviorSanitizer, for a run of the
# whole machine (tests/on-kvm). A report ends it with a status that is none of vmm's.

VMM_SAN_PROGRAM := $(VMM_OBJ:$(B)/obj/%.o=$(B)/obj/san/%.o) $(B)/obj/san/tests/machine/sanitized/options.o $(TRACKER_SAN_LIB)

$(B)/obj/san/tests/machine/sanitized/%.o: tests/machine/sanitized/%.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(CPPFLAGS) $(VMM_SAN) -MMD -MP -c -o $@ $<

$(B)/vmm-san: $(VMM_SAN_PROGRAM)
	$(CC) $(VMM_SAN) -pthread -o $@ $^ $(shell pkg-config --libs libelf jansson liburing libseccomp) -lfdt

-include $(B)/obj/san/vmm/main.d
