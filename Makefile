# SPDX-License-Identifier: MIT
# `make help` lists the targets. Each folder brings its own fragment; this file holds what they share.

B          := build
PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR     ?= $(PREFIX)/share/man
DOCDIR     ?= $(PREFIX)/share/doc/vmm
DESTDIR    ?=
$(if $(word 2,$(B)),$(error B="$(B)" holds a blank, which a target of make can't; the folder of this tree may))
# Where scripts and tests find what was built.
export VMM_BUILD := $(B)

ifeq ($(origin CC),default)
CC       := gcc
endif
CFLAGS   ?= -O2 -g
VERSION  := 0.1.0

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

include build.mk
include alias-tracker/alias-tracker.mk
include vmm/vmm.mk
include alias-audit/alias-audit.mk
include guest/guest.mk
include images/kvm-machine/kvm-machine.mk
include images/linux/linux.mk
include tests/tests.mk
include docs/pictures/pictures.mk
include deps.mk

.PHONY: all run check check-quick lint clean help install uninstall
all: $(B)/vmm $(B)/vmm-top $(B)/vmm-lines $(B)/alias-audit $(B)/guest.elf $(B)/with-kvm $(B)/libaliastracker.a $(B)/$(TRACKER_SO) ## Build everything (default)

# What is built on the way, by as many jobs as there are processors unless make was given a number.
BUILD_ALL = $(MAKE) -s --no-print-directory SAY=1 $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

run: deps ## Install what is missing, build, and watch a stale alias being found
	@$(BUILD_ALL) all kvm-machine
	@"$(B)/with-kvm" --timeout 120 "$(B)/vmm" -v "$(B)/guest.elf"

check: deps ## Install what is missing, build, and run every test
	@$(BUILD_ALL) $(if $(PACKAGE_BUILD),,kvm-machine linux-guest) all-tests-built
	@$(MAKE) -s --no-print-directory tests

check-quick: deps ## The same in a minute and a half: something of all, for between two edits
	@$(BUILD_ALL) $(if $(PACKAGE_BUILD),,kvm-machine) quick-tests-built
	@$(MAKE) -s --no-print-directory quick-tests

# The compiler sees more when it optimizes more.
lint: deps lint-deps ## Style and static analysis, and a build by -O3 without a warning
	@$(MAKE) -s --no-print-directory $(B)/vmm $(B)/vmm-top $(B)/vmm-lines
	@tests/lint-layers $(B)
	@tests/lint
	@$(BUILD_ALL) SAY= B=$(B)/lint CFLAGS='-O3 -g' WERROR=-Werror all

include install.mk

clean: ## Remove everything that was built
	rm -rf "$(B)"

help: ## Show this list
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

-include $(sort $(DEPFILES))
