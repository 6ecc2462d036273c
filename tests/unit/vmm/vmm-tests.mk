# SPDX-License-Identifier: MIT
# Unit tests of the VMM's core, plain and with sanitizers.

VMM_TEST_SRC := $(wildcard tests/unit/vmm/*.c)
VMM_TEST_OBJ := $(VMM_TEST_SRC:%.c=$(B)/obj/%.o)
VMM_SAN_OBJ  := $(VMM_TEST_SRC:%.c=$(B)/obj/san/%.o) $(VMM_CORE:$(B)/obj/%.o=$(B)/obj/san/%.o)
VMM_SAN      := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all
# fake_kvm.c answers the ioctls to KVM; test_flush.c has a vCPU flush just when its stamp is read.
VMM_TEST_LD  := -pthread -Wl,--wrap=ioctl,--wrap=flush_stamp_get
VMM_TEST_LIBS = $(shell pkg-config --libs check libelf jansson liburing libseccomp) -lfdt

UNIT_TESTS     += $(B)/tests/unit-vmm
UNIT_TESTS_SAN += $(B)/tests/unit-vmm-san

$(B)/obj/tests/unit/vmm/%.o: tests/unit/vmm/%.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(CPPFLAGS) -Ivmm $(CFLAGS) -pthread -MMD -MP -c -o $@ $<

$(B)/obj/san/tests/unit/vmm/%.o: tests/unit/vmm/%.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(CPPFLAGS) -Ivmm $(VMM_SAN) -pthread -MMD -MP -c -o $@ $<

$(B)/obj/san/vmm/%.o: vmm/%.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(CPPFLAGS) $(VMM_SAN) -pthread -MMD -MP -c -o $@ $<

$(B)/obj/san/vmm/options.o: CPPFLAGS += -DVMM_VERSION=$(VERSION)

$(B)/tests/unit-vmm: $(VMM_TEST_OBJ) $(VMM_CORE) $(B)/libaliastracker.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(VMM_TEST_LD) -o $@ $^ $(VMM_TEST_LIBS)

$(B)/tests/unit-vmm-san: $(VMM_SAN_OBJ) $(B)/libaliastracker.a
	@mkdir -p $(@D)
	$(CC) $(VMM_SAN) $(VMM_TEST_LD) -o $@ $^ $(VMM_TEST_LIBS)

-include $(VMM_TEST_OBJ:.o=.d) $(VMM_SAN_OBJ:.o=.d)
