# SPDX-License-Identifier: MIT
# What becomes of vmm when system calls fail, when it is killed, and when it runs for long.
# PINS=, VERIFY=, TRANSITIONS=, STORES=, KILLS= and SEED= (of when it is killed) on make's command line.

$(B)/tests/fault-walk: $(call obj,release,$(patsubst %,tests/faults/%.c,walk stage trace call))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ -ljansson -lutil

.PHONY: faults soak
faults: whole-machine-deps ## Every system call of vmm fails once; vmm is killed 200 times (KILLS=, SEED=)
	@tests/faults/all

PINS   ?= 10000000
VERIFY ?= 50
TRANSITIONS ?= 10000
STORES      ?= 1000000
soak: all kvm-machine hostile ## Ten million pins in one run, and what became of memory; random transitions and stores (PINS=, VERIFY=, TRANSITIONS=, STORES=)
	@$(B)/with-kvm --timeout 86400 --with tests/soak tests/soak/soak $(PINS) $(VERIFY)
	@$(B)/with-kvm --timeout 86400 --with tests/soak tests/soak/transitions $(TRANSITIONS)
	@$(B)/with-kvm --npt 0 --timeout 86400 --with tests/soak tests/soak/stores $(STORES)
