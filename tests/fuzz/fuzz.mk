# SPDX-License-Identifier: MIT
# Fuzz targets, fuzz_NAME.c each. `make fuzz` builds them with clang and libFuzzer and runs them all;
# the replay of the corpora is part of `make check` and takes the compiler of everything else.
# FUZZ_COUNT_NAME are the sources whose edges count as coverage of the target: what it is there for.

FUZZ_TARGETS := elf request strict virtqueue sync control options insn fdt bootargs

FUZZ_PIN            := $(wildcard vmm/pin*.c) vmm/guest_log.c vmm/upcall.c vmm/flush_clock.c vmm/world.c
FUZZ_COUNT_elf      := vmm/image.c
FUZZ_COUNT_request  := $(filter-out vmm/pin_guard.c vmm/pin_store.c vmm/pin_stats.c,$(FUZZ_PIN)) vmm/memory.c vmm/bus.c
FUZZ_COUNT_strict   := $(filter-out vmm/pin_control.c vmm/pin_stats.c vmm/guest_log.c,$(FUZZ_PIN)) vmm/memory.c \
		       vmm/guard.c vmm/insn.c
FUZZ_COUNT_virtqueue := $(addprefix vmm/,virtio_mmio.c virtqueue.c blk_core.c blk_request.c bus.c)
FUZZ_COUNT_sync     := $(patsubst %,alias-tracker/%.c,$(filter-out oracle,$(TRACKER_SRC)))
FUZZ_COUNT_control  := vmm/control.c vmm/control_request.c vmm/pin_control.c vmm/pin_stats.c
FUZZ_COUNT_options  := vmm/options.c
FUZZ_COUNT_insn     := vmm/insn.c
FUZZ_COUNT_fdt      := guest/arch/fdt.c guest/arch/platform.c
FUZZ_COUNT_bootargs := tests/fuzz/fuzz_bootargs.c guest/lib/stdlib.c

# With what else it is linked: sources of tests, and libraries.
FUZZ_MACHINE        := tests/fuzz/fuzz_machine.c tests/unit/vmm/fake_kvm.c
FUZZ_WITH_request   := $(FUZZ_MACHINE)
FUZZ_WITH_strict    := $(FUZZ_MACHINE)
FUZZ_WITH_control   := $(FUZZ_MACHINE)
FUZZ_WITH_sync      := tests/unit/tracker/world.c tests/unit/tracker/fault.c
FUZZ_WITH_fdt       := tests/unit/platform/world.c $(addprefix guest/lib/,format.c stdlib.c)
FUZZ_WITH_bootargs  := tests/unit/platform/world.c guest/lib/format.c
FUZZ_LD_request     := -Wl,--wrap=ioctl
FUZZ_LD_strict      := -Wl,--wrap=ioctl
FUZZ_LD_control     := -Wl,--wrap=ioctl
FUZZ_LD_options     := -Wl,--wrap=argp_parse,--wrap=argp_error,--wrap=argp_failure,--wrap=exit

# Sources of the guest have its headers, and stand on what the platform's unit tests stand on.
FUZZ_GUEST_CPP := -Itests/unit/platform/shim -Itests/unit/platform -Iguest/include
FUZZ_GUEST_OWN := -Iguest/include/libc -Dstrtoul=guest_strtoul -ffreestanding
FUZZ_IS_GUEST  := guest/% tests/unit/platform/% tests/fuzz/fuzz_fdt.c tests/fuzz/fuzz_bootargs.c

FUZZ_SAN := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_CC  := clang
B_FUZZ   := $(B)/fuzz

# Kinds of objects: for the replay; of the fuzzers; of the fuzzers, with edges counted.
define fuzz_kind # KIND, COMPILER, FLAGS
$(B_FUZZ)/$(1)/%.o: %.c tests/fuzz/fuzz.mk
	@mkdir -p $$(@D)
	$(2) $(CSTD) $(WARNINGS) $(CPPFLAGS) $$(if $$(filter $(FUZZ_IS_GUEST),$$<),$(FUZZ_GUEST_CPP),-iquote vmm) \
		$$(if $$(filter guest/%,$$<),$(FUZZ_GUEST_OWN)) -DVMM_VERSION=$(VERSION) \
		$(FUZZ_SAN) $(3) -pthread -MMD -MP -c -o $$@ $$<
endef
$(eval $(call fuzz_kind,replay,$(CC),))
$(eval $(call fuzz_kind,fuzzer,$(FUZZ_CC),))
$(eval $(call fuzz_kind,edges,$(FUZZ_CC),-fsanitize=fuzzer-no-link))

# What a target needs beside what it is there for comes from an archive.
FUZZ_REST := $(filter-out vmm/main.c,$(sort $(wildcard vmm/*.c))) $(TRACKER_SRC:%=alias-tracker/%.c)

$(B_FUZZ)/fuzzer/rest.a: $(FUZZ_REST:%.c=$(B_FUZZ)/fuzzer/%.o)
	@rm -f $@
	ar rcs $@ $^

$(B_FUZZ)/replay/rest.a: $(VMM_CORE:$(B)/obj/%.o=$(B)/obj/san/%.o) $(TRACKER_SAN_LIB)
	@mkdir -p $(@D)
	@rm -f $@
	ar rcs $@ $^

# The tracker, whose allocations go through fault.c.
$(B_FUZZ)/edges/tracker.o: $(FUZZ_COUNT_sync:%.c=$(B_FUZZ)/edges/%.o) $(B_FUZZ)/fuzzer/alias-tracker/oracle.o
	$(TRACKER_WRAP) -o $@ $^

define fuzz_target # NAME
FUZZ_OWN_$(1) := tests/fuzz/fuzz_$(1).c tests/fuzz/fuzz.c $(FUZZ_WITH_$(1))

$(B_FUZZ)/$(1): $$(patsubst %.c,$(B_FUZZ)/fuzzer/%.o,$$(filter-out $(FUZZ_COUNT_$(1)),$$(FUZZ_OWN_$(1)))) \
		$(if $(filter sync,$(1)),$(B_FUZZ)/edges/tracker.o, \
		$(patsubst %.c,$(B_FUZZ)/edges/%.o,$(FUZZ_COUNT_$(1)))) $(B_FUZZ)/fuzzer/rest.a
	$(FUZZ_CC) $(FUZZ_SAN) -fsanitize=fuzzer -pthread $(FUZZ_LD_$(1)) -o $$@ $$^ $$(FUZZ_LIBS)

$(B_FUZZ)/replay-$(1): $$(FUZZ_OWN_$(1):%.c=$(B_FUZZ)/replay/%.o) $(B_FUZZ)/replay/tests/fuzz/replay.o \
		$(if $(filter sync,$(1)),$(B)/san/tests/unit/tracker.o) \
		$(patsubst %.c,$(B_FUZZ)/replay/%.o,$(filter guest/%,$(FUZZ_COUNT_$(1)))) $(B_FUZZ)/replay/rest.a
	$(CC) $(FUZZ_SAN) -pthread $(FUZZ_LD_$(1)) -o $$@ $$^ $$(FUZZ_LIBS)
endef
FUZZ_LIBS = $(shell pkg-config --libs libelf jansson liburing libseccomp) -lfdt
$(foreach target,$(FUZZ_TARGETS),$(eval $(call fuzz_target,$(target))))

UNIT_TESTS_SAN += $(FUZZ_TARGETS:%=$(B_FUZZ)/replay-%)

-include $(shell find $(B_FUZZ) -name '*.d' 2>/dev/null)

# --- make fuzz --------------------------------------------------------------------------------------
SECONDS := 60

.PHONY: fuzz fuzz-merge fuzzers fuzz-deps
fuzz-deps:
	@$(MAKE) --no-print-directory deps PACKAGES="$(BUILD_PACKAGES) $(FUZZ_PACKAGES)"

fuzzers: $(FUZZ_TARGETS:%=$(B_FUZZ)/%)

fuzz: fuzz-deps ## Fuzz every target for SECONDS (60) each; exit status 1 if something was found
	@$(MAKE) -s --no-print-directory fuzzers
	@tests/fuzz/run $(SECONDS) $(FUZZ_TARGETS)

# A smallest set of inputs that reaches what the corpus doesn't.
fuzz-merge: fuzzers ## Take what fuzzing found of new ways through the code into tests/fuzz/corpus
	@for target in $(FUZZ_TARGETS); do \
		mkdir -p $(B_FUZZ)/corpus/$$target; \
		$(B_FUZZ)/$$target -set_cover_merge=1 -use_counters=0 -close_fd_mask=2 tests/fuzz/corpus/$$target \
			$(B_FUZZ)/corpus/$$target 2>&1 | grep -a 'MERGE-OUTER: the\|new files' || true; \
	done
