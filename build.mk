# SPDX-License-Identifier: MIT
# How a source becomes an object. A variant is a set of flags; DIR/FILE.c (or .S) of a variant becomes
# $(B)/obj/VARIANT/DIR/FILE.o, once, whoever links it. Flags that only some files of a variant need are
# pattern-specific values of DEFINES, next to what needs them.
#
# CC, AR, LD, OBJCOPY, CPPFLAGS, CFLAGS, LDFLAGS and WERROR belong to whoever builds; what the code cannot do without
# is kept apart from them.

WERROR       ?=
OBJCOPY      ?= objcopy
WARNINGS     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
# The folder's name is not told, so that what is built is the same in whatever folder.
CSTD         := -std=gnu11 '-ffile-prefix-map=$(CURDIR)=.'
OWN_CPPFLAGS := -D_GNU_SOURCE -Ialias-tracker -iquote vmm
ASAN         := -fsanitize=address,undefined -fno-sanitize-recover=all
# ThreadSanitizer does not follow fences, and so gcc warns of what one orders; clang has no such warning.
TSAN         := -fsanitize=thread -Wno-unknown-warning-option -Wno-tsan

# $(call obj,VARIANT,SOURCES): their objects, which also brings in what they depend on.
obj = $(foreach o,$(patsubst %,$(B)/obj/$(1)/%.o,$(basename $(2))),$(eval DEPFILES += $(o:.o=.d))$(o))

# The one line a step that a silent make says with SAY=1.
say = $(if $(SAY),@echo '  $(1) $(subst $(B)/,,$@)')

# $(call variant,NAME,COMPILER,FLAGS): objects depend on the flags they were compiled with.
define variant
VARIANT_$(1) = $(2) $(3)
$(B)/obj/$(1)/flags: FORCE
	@mkdir -p $$(@D)
	@printf '%s\n' '$$(subst ','\'',$$(VARIANT_$(1)))' | cmp -s - $$@ || \
		printf '%s\n' '$$(subst ','\'',$$(VARIANT_$(1)))' >$$@
$(B)/obj/$(1)/%.o: %.c $(B)/obj/$(1)/flags
	$$(call say,CC)
	@mkdir -p $$(@D)
	$$(VARIANT_$(1)) $$(DEFINES) -MMD -MP -c -o $$@ $$<
$(B)/obj/$(1)/%.o: %.S $(B)/obj/$(1)/flags
	$$(call say,CC)
	@mkdir -p $$(@D)
	$$(VARIANT_$(1)) $$(DEFINES) -MMD -MP -c -o $$@ $$<
endef

.PHONY: FORCE
FORCE:

DEFINES :=
$(B)/obj/%/vmm/options.o: DEFINES := -DVMM_VERSION=$(VERSION)

HOST_FLAGS = $(CSTD) $(WARNINGS) $(WERROR) $(OWN_CPPFLAGS) $(CPPFLAGS)
$(eval $(call variant,release,$$(CC),$$(HOST_FLAGS) $$(CFLAGS) -fPIE -pthread))
$(eval $(call variant,san,$$(CC),$$(HOST_FLAGS) -O1 -g $(ASAN) -pthread))
$(eval $(call variant,tsan,$$(CC),$$(HOST_FLAGS) -O1 -g $(TSAN) -pthread))
