# SPDX-License-Identifier: MIT
# guest.elf: the tiny kernel. Every .c and .S file in these folders is part of it.

GUEST_DIRS   := guest guest/arch guest/lib guest/drivers guest/mm guest/pin guest/flush \
		guest/workload guest/selftest
GUEST_SRCS   := $(sort $(wildcard $(addsuffix /*.c,$(GUEST_DIRS)) $(addsuffix /*.S,$(GUEST_DIRS))))
# Interrupts come on the running stack (no red zone) and save the general registers only.
GUEST_CFLAGS := $(CSTD) $(WARNINGS) $(WERROR) -O2 -g -ffreestanding -fno-pic -mcmodel=kernel -mno-red-zone \
		-mgeneral-regs-only -fno-asynchronous-unwind-tables -fno-omit-frame-pointer \
		-fcf-protection=none -fstack-protector-strong -mstack-protector-guard-reg=gs
GUEST_CPPFLAGS := -Iguest/include -Iguest/include/libc -Ialias-tracker
# libfdt as the distribution compiled it; guest/lib/ has what it needs.
GUEST_LIBS   := -l:libfdt.a
GUEST_LDFLAGS := -nostdlib -static -fno-lto -fno-use-linker-plugin \
		-Wl,-T,guest/guest.ld,--build-id=none,-z,noexecstack \
		-Wl,--orphan-handling=error -Wl,-z,max-page-size=4096

$(eval $(call variant,guest,$$(CC),$$(GUEST_CPPFLAGS) $$(GUEST_CFLAGS)))

# The names of its code, found once here, are a section of it (vmm/boot/symbols.h): libdw takes longer to find them
# than a short run takes.
$(B)/guest.elf: $(call obj,guest,$(GUEST_SRCS)) guest/guest.ld $(B)/vmm-lines
	$(CC) $(GUEST_LDFLAGS) -o $@.linked $(filter %.o,$^) $(GUEST_LIBS)
	$(B)/vmm-lines <$@.linked >$@.lines
	$(OBJCOPY) --add-section .vmm_lines=$@.lines $@.linked $@
	$(OBJCOPY) --set-section-alignment .vmm_lines=8 $@
	rm $@.linked $@.lines
