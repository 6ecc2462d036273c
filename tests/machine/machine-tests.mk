# SPDX-License-Identifier: MIT
# Whole-machine tests: $(B)/tests/machine, to be run under $(B)/with-kvm.

$(B)/tests/whole-machine: $(call obj,release,$(wildcard tests/machine/*.c))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ -lcheck -lsubunit -ljansson -lz -lutil -lpthread -lrt -lm
