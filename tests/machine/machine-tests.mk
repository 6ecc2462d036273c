# SPDX-License-Identifier: MIT
# Whole-machine tests: $(B)/tests/machine, to be run under $(B)/with-kvm.

MACHINE_TEST_OBJS := $(patsubst %.c,$(B)/%.o,$(wildcard tests/machine/*.c))

$(B)/tests/machine/%.o: tests/machine/%.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(CPPFLAGS) $(CFLAGS) -Ivmm -MMD -MP -c $< -o $@

$(B)/tests/whole-machine: $(MACHINE_TEST_OBJS)
	$(CC) $(CFLAGS) $^ -o $@ -lcheck -lsubunit -ljansson -lz -lutil -lpthread -lrt -lm

-include $(MACHINE_TEST_OBJS:.o=.d)
