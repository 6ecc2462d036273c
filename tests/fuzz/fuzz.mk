# SPDX-License-Identifier: MIT
# Fuzz targets, fuzz_NAME.c each. `make fuzz` builds them with clang and libFuzzer and runs them all;
# the replay of the corpora is part of `make check` and takes the compiler of everything else.
# FUZZ_COUNT_NAME are the sources whose edges count as coverage of the target: what it is there for.

FUZZ_TARGETS := elf bzimage request strict virtqueue sync control options insn fdt bootargs audit peer gdb

FUZZ_PIN            := $(wildcard vmm/pin/*.c vmm/pin/tracking/*.c) vmm/kvm/upcall.c vmm/kvm/pause.c
FUZZ_NOT_PIN        := $(addprefix vmm/pin/,insn.c insn_execute.c) vmm/pin/tracking/uffd.c
FUZZ_COUNT_elf      := $(addprefix vmm/boot/,image.c symbols.c)
FUZZ_COUNT_bzimage  := $(addprefix vmm/boot/,bzimage.c linux.c)
FUZZ_COUNT_request  := $(filter-out $(FUZZ_NOT_PIN) $(addprefix vmm/pin/,strict.c store.c store_decode.c store_commit.c stats.c),$(FUZZ_PIN)) \
		       vmm/kvm/memory.c vmm/devices/bus.c
FUZZ_COUNT_strict   := $(filter-out vmm/pin/tracking/uffd.c $(addprefix vmm/pin/,control.c stats.c guest_log.c),$(FUZZ_PIN)) \
		       vmm/kvm/memory.c
FUZZ_COUNT_virtqueue := $(addprefix vmm/devices/,virtio_mmio.c virtqueue.c blk/core.c blk/request.c bus.c)
FUZZ_COUNT_sync     := $(filter-out alias-tracker/oracle.c,$(TRACKER_SRC))
FUZZ_COUNT_control  := vmm/control/control.c vmm/control/request.c vmm/pin/control.c vmm/pin/stats.c
FUZZ_COUNT_options  := vmm/options.c
FUZZ_COUNT_gdb      := $(wildcard vmm/gdb/*.c)
FUZZ_COUNT_insn     := vmm/pin/insn.c vmm/pin/insn_execute.c
FUZZ_COUNT_fdt      := guest/arch/fdt.c guest/arch/pvh.c guest/arch/platform.c
FUZZ_COUNT_bootargs := tests/fuzz/fuzz_bootargs.c guest/lib/stdlib.c

FUZZ_COUNT_audit    := $(addprefix alias-audit/,audit.c findings.c low_map.c map_svg.c notes.c physmem.c report.c \
		       report_json.c roots.c walk.c windows.c)
FUZZ_COUNT_peer     := $(addprefix alias-audit/,core_notes.c mtree.c qmp.c)

# With what else it is linked: sources of tests, and libraries.
FUZZ_MACHINE        := tests/fuzz/fuzz_machine.c tests/unit/vmm/fake_kvm.c
FUZZ_WITH_request   := $(FUZZ_MACHINE)
FUZZ_WITH_strict    := $(FUZZ_MACHINE)
FUZZ_WITH_control   := $(FUZZ_MACHINE)
FUZZ_WITH_gdb       := tests/unit/vmm/fake_kvm.c
FUZZ_WITH_sync      := tests/unit/tracker/world.c tests/unit/tracker/fault.c
FUZZ_WITH_fdt       := tests/unit/platform/fake_platform.c $(addprefix guest/lib/,format.c stdlib.c)
FUZZ_WITH_bootargs  := tests/unit/platform/fake_platform.c guest/lib/format.c
FUZZ_LD_request     := -Wl,--wrap=ioctl,--wrap=at_new
FUZZ_LD_strict      := -Wl,--wrap=ioctl,--wrap=at_new
FUZZ_LD_control     := -Wl,--wrap=ioctl,--wrap=at_new
FUZZ_LD_gdb         := -Wl,--wrap=ioctl
FUZZ_LD_options     := -Wl,--wrap=argp_parse,--wrap=argp_error,--wrap=argp_failure,--wrap=exit

# Sources of the guest have its headers, and stand on what the platform's unit tests stand on.
FUZZ_IS_GUEST := guest/% tests/unit/platform/% tests/fuzz/fuzz_fdt.c tests/fuzz/fuzz_bootargs.c

FUZZ_CC := clang
B_FUZZ  := $(B)/fuzz

# Beside what unit tests have for the replay: the fuzzers, and the fuzzers with edges counted.
FUZZ_FLAGS  = $(HOST_FLAGS) -O1 -g $(ASAN) -pthread
FUZZ_EDGES := -fsanitize=fuzzer-no-link
$(eval $(call variant,fuzzer,$(FUZZ_CC),$$(FUZZ_FLAGS)))
$(eval $(call variant,edges,$(FUZZ_CC),$$(FUZZ_FLAGS) $(FUZZ_EDGES)))
$(eval $(call variant,platform-fuzzer,$(FUZZ_CC),$$(FUZZ_FLAGS) $(PLATFORM_FLAGS)))
$(eval $(call variant,platform-edges,$(FUZZ_CC),$$(FUZZ_FLAGS) $(PLATFORM_FLAGS) $(FUZZ_EDGES)))
$(call defines,platform-fuzzer platform-edges,guest/%,$(PLATFORM_GUEST))
$(call defines,san fuzzer edges,tests/fuzz/%,-iquote tests/unit/vmm -iquote alias-audit)

# $(call fuzz_obj,replay|fuzzer|edges,SOURCES)
fuzz_obj = $(call obj,$(if $(filter replay,$(1)),platform,platform-$(1)),$(filter $(FUZZ_IS_GUEST),$(2))) \
	   $(call obj,$(if $(filter replay,$(1)),san,$(1)),$(filter-out $(FUZZ_IS_GUEST),$(2)))

# What a target needs beside what it is there for comes from an archive.
$(B_FUZZ)/fuzzer/rest.a: $(call fuzz_obj,fuzzer,$(VMM_CORE_SRC) $(TRACKER_SRC) $(filter alias-audit/%,$(AUDIT_CORE_SRC)))
$(B_FUZZ)/replay/rest.a: $(call fuzz_obj,replay,$(VMM_CORE_SRC) $(TRACKER_SRC) $(filter alias-audit/%,$(AUDIT_CORE_SRC)))
$(B_FUZZ)/%/rest.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^

# The tracker, whose allocations go through fault.c.
$(B)/obj/edges/tracker-with-faults.o: $(call fuzz_obj,edges,$(FUZZ_COUNT_sync)) $(call fuzz_obj,fuzzer,alias-tracker/oracle.c)
	$(TRACKER_WRAP) -o $@ $^

define fuzz_target # NAME
FUZZ_OWN_$(1) := tests/fuzz/fuzz_$(1).c tests/fuzz/fuzz.c $(FUZZ_WITH_$(1))

$(B_FUZZ)/$(1): $$(call fuzz_obj,fuzzer,$$(filter-out $(FUZZ_COUNT_$(1)),$$(FUZZ_OWN_$(1)))) \
		$(if $(filter sync,$(1)),$(B)/obj/edges/tracker-with-faults.o,$$(call fuzz_obj,edges,$(FUZZ_COUNT_$(1)))) \
		$(B_FUZZ)/fuzzer/rest.a
	@mkdir -p $$(@D)
	$(FUZZ_CC) $(ASAN) -fsanitize=fuzzer -pthread $(FUZZ_LD_$(1)) -o $$@ $$^ $$(FUZZ_LIBS)

$(B_FUZZ)/replay-$(1): $$(call fuzz_obj,replay,$$(FUZZ_OWN_$(1)) tests/fuzz/replay.c) \
		$(if $(filter sync,$(1)),$(B)/obj/san/tracker-with-faults.o) \
		$$(call fuzz_obj,replay,$(filter guest/%,$(FUZZ_COUNT_$(1)))) $(B_FUZZ)/replay/rest.a
	@mkdir -p $$(@D)
	$(CC) $(ASAN) -pthread $(FUZZ_LD_$(1)) -o $$@ $$^ $$(FUZZ_LIBS)
endef
FUZZ_LIBS = $(VMM_DYN_LIBS)
$(foreach target,$(FUZZ_TARGETS),$(eval $(call fuzz_target,$(target))))

UNIT_TESTS_SAN += $(FUZZ_TARGETS:%=$(B_FUZZ)/replay-%)

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
