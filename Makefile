# SPDX-License-Identifier: MIT
# `make help` lists the targets. Each folder brings its own fragment; this file holds what they share.

B      := build
PREFIX ?= /usr/local

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
include guest/guest.mk
include images/kvm-machine/kvm-machine.mk
include tests/tests.mk
include deps.mk

.PHONY: all run check lint clean help install
all: $(B)/vmm $(B)/guest.elf $(B)/with-kvm $(B)/libaliastracker.a ## Build everything (default)

run: deps ## Install what is missing, build, and watch a stale alias being found
	@$(MAKE) -s --no-print-directory all kvm-machine
	@$(B)/with-kvm --timeout 120 $(B)/vmm -v $(B)/guest.elf

check: deps ## Install what is missing, build, and run every test
	@$(MAKE) -s --no-print-directory all kvm-machine
	@$(MAKE) -s --no-print-directory tests

lint: lint-deps $(B)/vmm ## Style and static analysis
	@tests/lint-layers $(B)
	@tests/lint

DESTDIR ?=
install: all ## Install program, library, headers, pkg-config file and man page (PREFIX=, DESTDIR=)
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin include lib/pkgconfig lib/vmm share/man/man1)
	install -m 755 $(B)/vmm $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(B)/guest.elf $(DESTDIR)$(PREFIX)/lib/vmm
	install -m 644 $(B)/libaliastracker.a $(DESTDIR)$(PREFIX)/lib
	install -m 644 alias-tracker/alias_tracker.h alias-tracker/alias_abi.h $(DESTDIR)$(PREFIX)/include
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' alias-tracker/aliastracker.pc.in \
		>$(DESTDIR)$(PREFIX)/lib/pkgconfig/aliastracker.pc
	sed -e 's|@VERSION@|$(VERSION)|' vmm/vmm.1 >$(DESTDIR)$(PREFIX)/share/man/man1/vmm.1

clean: ## Remove everything that was built
	rm -rf $(B)

help: ## Show this list
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

-include $(sort $(DEPFILES))
