# SPDX-License-Identifier: MIT
# build/vmm-san: the program with AddressSanitizer and UndefinedBehaviorSanitizer, for a run of the
# whole machine (tests/on-kvm). A report ends it with a status that is none of vmm's.

$(B)/vmm-san: $(call obj,san,$(VMM_SRC) tests/machine/sanitized/options.c $(TRACKER_SRC))
	$(CC) $(ASAN) -pthread -o $@ $^ $(VMM_DYN_LIBS)
