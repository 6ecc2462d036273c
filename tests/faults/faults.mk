# SPDX-License-Identifier: MIT
# What becomes of vmm when system calls fail, when it is killed, and when it runs for long.
# PINS=, VERIFY=, KILLS= and SEED= (of when it is killed) on make's command line.

FAULT_WALK_OBJ := $(patsubst %,$(B)/tests/faults/%.o,walk stage trace call)

$(B)/tests/faults/%.o: tests/faults/%.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(CPPFLAGS) $(CFLAGS) -Ivmm -MMD -MP -c $< -o $@

$(B)/tests/fault-walk: $(FAULT_WALK_OBJ)
	$(CC) $(CFLAGS) $^ -o $@ -ljansson -lutil

.PHONY: faults soak
faults: whole-machine-deps ## Every system call of vmm fails once; vmm is killed 200 times (KILLS=, SEED=)
	@tests/faults/all

PINS   ?= 10000000
VERIFY ?= 50
soak: all kvm-machine ## Ten million pins in one run, and what became of memory (PINS=, VERIFY=)
	@$(B)/with-kvm --timeout 86400 --with tests/soak tests/soak/soak $(PINS) $(VERIFY)

-include $(FAULT_WALK_OBJ:.o=.d)
