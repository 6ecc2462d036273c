# SPDX-License-Identifier: MIT
# How a source becomes an object. A variant is a set of flags; DIR/FILE.c (or .S) of a variant becomes
# $(B)/obj/VARIANT/DIR/FILE.o, once, whoever links it. Flags that only some files of a variant need are
# pattern-specific values of DEFINES, given by $(call defines,...) next to what needs them.
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

# $(call flags,FILE,FLAGS): FILE has these flags, and is written only when they change. What depends on it is made again then.
define flags
$(1): FORCE
	@mkdir -p $$(@D)
	@printf '%s\n' '$$(subst ','\'',$(2))' | cmp -s - $$@ || printf '%s\n' '$$(subst ','\'',$(2))' >$$@
endef

# $(call defines,VARIANTS,FILES,FLAGS): the flags of these files (a pattern, without ending) of each of these variants; % is all.
defines = $(foreach v,$(1),$(eval $(B)/obj/$(v)/$(2).o: DEFINES := $(3))$(eval DEFINES_$(v) += $(3)))

# $(call variant,NAME,COMPILER,FLAGS): objects depend on the flags they were compiled with.
define variant
VARIANT_$(1) = $(2) $(3)
$(call flags,$(B)/obj/$(1)/flags,$$(VARIANT_$(1)) $$(DEFINES_$(1)) $$(DEFINES_%))
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
$(call defines,%,vmm/options,-DVMM_VERSION=$(VERSION))

HOST_FLAGS = $(CSTD) $(WARNINGS) $(WERROR) $(OWN_CPPFLAGS) $(CPPFLAGS)
$(eval $(call variant,release,$$(CC),$$(HOST_FLAGS) $$(CFLAGS) -fPIE -pthread))
$(eval $(call variant,san,$$(CC),$$(HOST_FLAGS) -O1 -g $(ASAN) -pthread))
$(eval $(call variant,tsan,$$(CC),$$(HOST_FLAGS) -O1 -g $(TSAN) -pthread))
