# SPDX-License-Identifier: MIT
# guest.elf: the tiny kernel. Every .c and .S file in these folders is part of it.

GUEST_DIRS   := guest guest/arch guest/lib guest/drivers guest/mm guest/pin guest/flush \
		guest/workload guest/selftest
GUEST_SRCS   := $(sort $(wildcard $(addsuffix /*.c,$(GUEST_DIRS)) $(addsuffix /*.S,$(GUEST_DIRS))))
GUEST_OBJS   := $(addprefix $(B)/,$(addsuffix .o,$(GUEST_SRCS)))
# Interrupts come on the running stack (no red zone) and save the general registers only.
GUEST_CFLAGS := $(CSTD) $(WARNINGS) -O2 -g -ffreestanding -fno-pic -mcmodel=kernel -mno-red-zone \
		-mgeneral-regs-only -fno-asynchronous-unwind-tables -fno-omit-frame-pointer \
		-fcf-protection=none -fstack-protector-strong -mstack-protector-guard-reg=gs
GUEST_CPPFLAGS := -Iguest/include -Iguest/include/libc -Ialias-tracker
# libfdt as the distribution compiled it; guest/lib/ has what it needs.
GUEST_LIBS   := -l:libfdt.a
GUEST_LDFLAGS := -nostdlib -static -no-pie -fno-lto -fno-use-linker-plugin \
		-Wl,-T,guest/guest.ld,--build-id=none,-z,noexecstack \
		-Wl,--orphan-handling=error -Wl,-z,max-page-size=4096

$(B)/guest/%.c.o: guest/%.c guest/guest.mk
	@mkdir -p $(@D)
	$(CC) $(GUEST_CPPFLAGS) $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/guest/%.S.o: guest/%.S guest/guest.mk
	@mkdir -p $(@D)
	$(CC) $(GUEST_CPPFLAGS) $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/guest.elf: $(GUEST_OBJS) guest/guest.ld
	$(CC) $(GUEST_LDFLAGS) -o $@ $(GUEST_OBJS) $(GUEST_LIBS)

-include $(GUEST_OBJS:.o=.d)
