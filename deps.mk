# SPDX-License-Identifier: MIT
# What the build and the tests need of the system, by the names of Debian 12 and 13 and Ubuntu 24.04.
# DEPS=skip leaves the system alone.

BUILD_PACKAGES := gcc libc6-dev make pkg-config libelf-dev zlib1g-dev libzstd-dev libfdt-dev liburing-dev \
                  libjansson-dev libbsd-dev libseccomp-dev libncurses-dev libdw-dev libkdumpfile-dev
TEST_PACKAGES  := procps tmux spin check libsubunit-dev python3 device-tree-compiler acpica-tools makedumpfile libroaring-dev libglib2.0-dev e2fsprogs \
                  $(if $(wildcard /usr/bin/gdb),,gdb-minimal)
FUZZ_PACKAGES  := clang libclang-rt-dev device-tree-compiler
LINT_PACKAGES  := clang-format-14 cppcheck clang
BENCH_PACKAGES := pkg-config check libsubunit-dev libjansson-dev libbsd-dev libroaring-dev libglib2.0-dev
# For a machine without a usable /dev/kvm, and for the tests that boot the guest under QEMU.
QEMU_PACKAGES  := qemu-system-x86 seabios busybox-static cpio xz-utils zstd lz4
PACKAGES       := $(BUILD_PACKAGES) $(TEST_PACKAGES) $(QEMU_PACKAGES)

# In the build of a package (SOURCE_DATE_EPOCH is set) nothing is installed or downloaded either.
PACKAGE_BUILD := $(if $(SOURCE_DATE_EPOCH),yes)

.PHONY: deps
deps: ## Install the packages that are missing (says what it does)
ifeq ($(filter skip,$(DEPS))$(PACKAGE_BUILD),)
	@./deps.sh "$(KVM_MACHINE)/kernel.stamp" $(PACKAGES)
endif

.PHONY: lint-deps
lint-deps:
	@$(MAKE) --no-print-directory deps PACKAGES="$(LINT_PACKAGES)"

.PHONY: bench-deps
bench-deps:
	@$(MAKE) --no-print-directory deps PACKAGES="gcc libc6-dev $(BENCH_PACKAGES)"
