# SPDX-License-Identifier: MIT
# Hostile guests, one property each, and vmm-broken to run them on. tests/machine/test_hostile.c has
# what must happen.

HOSTILE_GUESTS   := $(patsubst %.c,$(B)/%.elf,$(wildcard tests/hostile/*.c))
HOSTILE_CPPFLAGS := -Ialias-tracker -iquote vmm -Itests/hostile/runtime
HOSTILE_CFLAGS   := $(CSTD) $(WARNINGS) $(WERROR) -O2 -g -ffreestanding -fPIE -fvisibility=hidden -mno-red-zone \
		    -mgeneral-regs-only -fno-asynchronous-unwind-tables -fno-stack-protector \
		    -fcf-protection=none
HOSTILE_LDFLAGS  := -nostdlib -static -Wl,-T,tests/hostile/runtime/hostile.ld \
		    -Wl,--build-id=none,-z,noexecstack,--no-warn-rwx-segments,-z,max-page-size=4096

$(eval $(call flags,$(B)/tests/hostile/flags,$$(CC) $$(HOSTILE_CPPFLAGS) $$(HOSTILE_CFLAGS) $$(HOSTILE_LDFLAGS)))

$(B)/tests/hostile/start.o: tests/hostile/runtime/start.S $(B)/tests/hostile/flags
	$(CC) -c -o $@ $<

$(B)/tests/hostile/%.elf: tests/hostile/%.c $(B)/tests/hostile/start.o tests/hostile/runtime/hostile.ld $(B)/tests/hostile/flags
	$(CC) $(HOSTILE_CPPFLAGS) $(HOSTILE_CFLAGS) -MMD -MP -MF $(@:.elf=.d) -MT $@ \
		$(HOSTILE_LDFLAGS) -o $@ $< $(B)/tests/hostile/start.o

# The product's objects, with the calls between rooms led through tests/hostile/broken. Each name is in a header that a room
# of vmm offers to others, or in alias_tracker.h. (Within an object nothing is wrapped.)
BROKEN_SRC   := $(wildcard tests/hostile/broken/*.c)
BROKEN_WRAPS := ioctl sandbox_enter pin_create bus_write stop_request machine_shares_frame \
		memory_ptr memory_renew page_walk write_protect_gfn zap_gfn zap_all pause_vcpus flush_is_due \
		upcall_complete_out upcall_raise virtqueue_init virtqueue_pop \
		at_new at_set_direct_map at_sync at_next_violation at_get_stats at_gone_at at_check at_become at_unpin at_deflate at_store

$(call defines,release,tests/hostile/broken/%,-Itests/hostile/runtime)

$(B)/obj/broken/vmm/main.o: vmm/main.c $(B)/obj/release/flags
	@mkdir -p $(@D)
	$(VARIANT_release) -Wno-missing-prototypes -Dmain=vmm_main -MMD -MP -c -o $@ $<

$(B)/tests/vmm-broken: $(call obj,release,$(BROKEN_SRC) $(VMM_CORE_SRC)) $(call obj,broken,vmm/main.c) $(call obj,release,$(TRACKER_SRC))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $(VMM_LINK) $(BROKEN_WRAPS:%=-Wl,--wrap=%) -o $@ $^ $(VMM_LIBS)

.PHONY: hostile
hostile: $(HOSTILE_GUESTS) $(B)/tests/vmm-broken

-include $(HOSTILE_GUESTS:.elf=.d)
