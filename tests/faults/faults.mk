# SPDX-License-Identifier: MIT
# What becomes of vmm when system calls fail, and when it is killed.

FAULT_WALK_OBJ := $(patsubst %,$(B)/tests/faults/%.o,walk stage trace call)

$(B)/tests/faults/%.o: tests/faults/%.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(CPPFLAGS) $(CFLAGS) -Ivmm -MMD -MP -c $< -o $@

$(B)/tests/fault-walk: $(FAULT_WALK_OBJ)
	$(CC) $(CFLAGS) $^ -o $@ -ljansson -lutil

-include $(FAULT_WALK_OBJ:.o=.d)
