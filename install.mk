# SPDX-License-Identifier: MIT
# `make install` and `make uninstall`. with-kvm is not installed: it carries a build folder into its machine.
# Paths are absolute and may hold blanks, but nothing that ends a word of the shell's in double quotes.

PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
# What vmm itself starts and reads: where it looks, from its own folder, wherever that is.
VMMDIR       := $(BINDIR)/../lib/vmm
MAN_PAGE     := $(DESTDIR)$(MANDIR)/man1/vmm.1
AUDIT_PAGE   := $(DESTDIR)$(MANDIR)/man1/alias-audit.1
SCHEMA       := $(DESTDIR)$(DOCDIR)/SCHEMA.md
PC_FILE      := $(DESTDIR)$(PKGCONFIGDIR)/aliastracker.pc

# What stands for itself in what sed puts in, within double quotes of the shell.
in_sed = $(subst &,\\&,$(subst |,\\|,$(1)))

INSTALL_PATHS := PREFIX BINDIR LIBDIR INCLUDEDIR MANDIR DOCDIR PKGCONFIGDIR

# Ends make with a sentence if the variable $(1) can't be used.
check_path = $(if $(filter /%,$(firstword $($(1)))),,$(error $(1)="$($(1))" is not an absolute path)) \
	$(foreach c,\ " ` $$,$(if $(findstring $c,$($(1))),$(error $(1) holds $c, which install can't do)))

.PHONY: install-paths
install-paths:
	@: $(if $(filter file,$(origin VMMDIR)),,$(error VMMDIR can't be chosen: vmm looks in ../lib/vmm from BINDIR))
	@: $(foreach p,$(INSTALL_PATHS),$(call check_path,$p))

install: install-paths all ## Install program, guest, library and manual (PREFIX=, LIBDIR=, DESTDIR=)
	install -d "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(VMMDIR)" "$(DESTDIR)$(LIBDIR)" "$(DESTDIR)$(PKGCONFIGDIR)" \
		"$(DESTDIR)$(INCLUDEDIR)" "$(DESTDIR)$(MANDIR)/man1" "$(DESTDIR)$(DOCDIR)"
	install -m 755 "$(B)/vmm" "$(B)/alias-audit" "$(DESTDIR)$(BINDIR)"
	install -m 755 "$(B)/vmm-top" "$(B)/vmm-lines" "$(DESTDIR)$(VMMDIR)"
	install -m 644 "$(B)/guest.elf" "$(DESTDIR)$(VMMDIR)"
	install -m 644 "$(B)/libaliastracker.a" "$(B)/$(TRACKER_SO)" "$(DESTDIR)$(LIBDIR)"
	ln -sf $(TRACKER_SO) "$(DESTDIR)$(LIBDIR)/$(TRACKER_SONAME)"
	ln -sf $(TRACKER_SONAME) "$(DESTDIR)$(LIBDIR)/libaliastracker.so"
	install -m 644 $(TRACKER_HEADERS) "$(DESTDIR)$(INCLUDEDIR)"
	sed -e "s|@PREFIX@|$(call in_sed,$(PREFIX))|" -e "s|@LIBDIR@|$(call in_sed,$(LIBDIR))|" \
		-e "s|@INCLUDEDIR@|$(call in_sed,$(INCLUDEDIR))|" -e 's|@VERSION@|$(VERSION)|' $(TRACKER_PC) >"$(PC_FILE)"
	chmod 644 "$(PC_FILE)"
	sed -e 's|@VERSION@|$(VERSION)|' vmm/vmm.1 >"$(MAN_PAGE)"
	sed -e 's|@VERSION@|$(VERSION)|' -e "s|@DOCDIR@|$(call in_sed,$(DOCDIR))|" alias-audit/alias-audit.1 >"$(AUDIT_PAGE)"
	chmod 644 "$(MAN_PAGE)" "$(AUDIT_PAGE)"
	install -m 644 alias-audit/SCHEMA.md "$(SCHEMA)"

uninstall: install-paths ## Remove what `make install` with the same PREFIX=, LIBDIR=, DESTDIR= has installed
	rm -f "$(DESTDIR)$(BINDIR)/vmm" "$(DESTDIR)$(BINDIR)/alias-audit" "$(PC_FILE)" "$(MAN_PAGE)" "$(AUDIT_PAGE)" "$(SCHEMA)"
	for file in vmm-top vmm-lines guest.elf; do rm -f "$(DESTDIR)$(VMMDIR)/$$file"; done
	for file in libaliastracker.a libaliastracker.so $(TRACKER_SONAME) $(TRACKER_SO); do \
		rm -f "$(DESTDIR)$(LIBDIR)/$$file"; done
	for file in $(notdir $(TRACKER_HEADERS)); do rm -f "$(DESTDIR)$(INCLUDEDIR)/$$file"; done
	[ ! -d "$(DESTDIR)$(VMMDIR)" ] || rmdir --ignore-fail-on-non-empty "$(DESTDIR)$(VMMDIR)"
	[ ! -d "$(DESTDIR)$(DOCDIR)" ] || rmdir --ignore-fail-on-non-empty "$(DESTDIR)$(DOCDIR)"
