# SPDX-License-Identifier: MIT
# The emulated-KVM machine and its runner: $(B)/with-kvm is the command, `kvm-machine` fetches and
# builds what it boots where there is no usable /dev/kvm.

KVM_MACHINE := $(B)/kvm-machine

$(B)/with-kvm: tests/kvm-machine/with-kvm
	@mkdir -p $(@D)
	install -m 755 $< $@

# What a second make in the same folder may make at the same time is made by one after the other: the program
# that makes it is what they lock. A kernel that the other has fetched meanwhile isn't fetched again under its feet.
ALONE = flock $<

# Another fetch-kernel fetches anew where that is asked for. All else, which may have no network, takes the kernel there is.
FETCH_KERNEL := images/kvm-machine/fetch-kernel
$(KVM_MACHINE)/kernel.stamp: $(if $(filter kvm-machine,$(MAKECMDGOALS)),,|) $(FETCH_KERNEL)
	@mkdir -p $(@D)
	@flock $(FETCH_KERNEL) sh -c '[ "$@" -nt "$(FETCH_KERNEL)" ] || { echo "$(FETCH_KERNEL) $(@D)" && "$(FETCH_KERNEL)" "$(@D)" && touch "$@"; }'

# What QEMU starts, at its PVH entry: as an ELF file, so that it needn't unpack itself in the machine.
MACHINE_VMLINUX := $(KVM_MACHINE)/linux/vmlinux
$(MACHINE_VMLINUX): images/linux/unpack-kernel $(KVM_MACHINE)/kernel.stamp
	@mkdir -p $(@D)
	$(ALONE) $< $(KVM_MACHINE)/vmlinuz $@

# Static, so that they run in the machine without any library of the command's.
KVM_MACHINE_PROGRAMS := $(addprefix $(KVM_MACHINE)/,run-command try-unpaged)
$(KVM_MACHINE)/run-command: $(call obj,release,tests/kvm-machine/run-command.c)
$(KVM_MACHINE)/try-unpaged: $(call obj,release,tests/kvm-machine/try-unpaged.c)
$(KVM_MACHINE_PROGRAMS):
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -static -o $@ $<

$(KVM_MACHINE)/base.cpio: images/kvm-machine/make-base images/modules.sh images/kvm-machine/init \
		$(KVM_MACHINE_PROGRAMS) $(KVM_MACHINE)/kernel.stamp
	$(ALONE) $< $(@D)

# Once there is a machine, a new runner gets the machine that goes with it.
ifneq ($(wildcard $(KVM_MACHINE)/kernel.stamp),)
$(B)/with-kvm: | $(KVM_MACHINE)/base.cpio $(MACHINE_VMLINUX)
endif

.PHONY: kvm-machine
kvm-machine: $(B)/with-kvm $(KVM_MACHINE)/base.cpio $(MACHINE_VMLINUX) ## Prepare the emulated machine with a /dev/kvm
