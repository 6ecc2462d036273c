# SPDX-License-Identifier: MIT
# What the build and the tests need of the system, by the names of Debian 12 and Ubuntu 24.04.
# DEPS=skip leaves the system alone.

BUILD_PACKAGES := gcc libc6-dev make pkg-config libelf-dev zlib1g-dev libzstd-dev libfdt-dev liburing-dev \
                  libjansson-dev libbsd-dev libseccomp-dev
TEST_PACKAGES  := procps spin check libsubunit-dev python3 device-tree-compiler acpica-tools libroaring-dev libglib2.0-dev
FUZZ_PACKAGES  := clang libclang-rt-dev device-tree-compiler
LINT_PACKAGES  := clang-format-14 cppcheck clang
BENCH_PACKAGES := pkg-config check libsubunit-dev libjansson-dev libbsd-dev libroaring-dev libglib2.0-dev
# For a machine without a usable /dev/kvm, and for the tests that boot the guest under QEMU.
QEMU_PACKAGES  := qemu-system-x86 seabios busybox-static cpio xz-utils zstd
PACKAGES       := $(BUILD_PACKAGES) $(TEST_PACKAGES) $(QEMU_PACKAGES)

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: deps
deps: ## Install the packages that are missing (says what it does)
ifneq ($(DEPS),skip)
	@command -v dpkg-query >/dev/null || { \
		echo "not a Debian or Ubuntu: install the like of '$(PACKAGES)' and use DEPS=skip" >&2; exit 1; }; \
	missing=$$(for p in $(PACKAGES); do \
		dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	set -e; export DEBIAN_FRONTEND=noninteractive; \
	if [ -n "$$missing" ]; then \
		echo "$(SUDO) apt-get update; $(SUDO) apt-get install -y --no-install-recommends" $$missing; \
		$(SUDO) apt-get update -qq; \
		$(SUDO) apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	elif [ ! -e $(B)/kvm-machine/kernel.stamp ]; then \
		echo "$(SUDO) apt-get update (the emulated machine's kernel is downloaded next)"; \
		$(SUDO) apt-get update -qq; \
	fi
endif

.PHONY: lint-deps
lint-deps:
	@$(MAKE) --no-print-directory deps PACKAGES="$(LINT_PACKAGES)"

.PHONY: bench-deps
bench-deps:
	@$(MAKE) --no-print-directory deps PACKAGES="gcc libc6-dev $(BENCH_PACKAGES)"
