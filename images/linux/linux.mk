# SPDX-License-Identifier: MIT
# A Linux as guest: the kernel that the emulated machine has, with an initramfs of busybox. They lie
# where with-kvm leaves them behind unless it is told to carry them.

LINUX         := $(KVM_MACHINE)/linux
LINUX_KERNEL  := $(KVM_MACHINE)/vmlinuz
LINUX_ROOT    := $(LINUX)/initramfs

$(LINUX_ROOT): images/linux/make-initramfs images/modules.sh images/linux/init $(KVM_MACHINE)/kernel.stamp
	@mkdir -p $(@D)
	$(ALONE) $< $(KVM_MACHINE)/modules $@

# A disk that tests boot from.
$(LINUX)/root.img: images/linux/make-root images/linux/root-init
	@mkdir -p $(@D)
	$(ALONE) $< $@

.PHONY: linux linux-guest linux-boot
linux-guest: $(LINUX_ROOT) $(MACHINE_VMLINUX) $(LINUX)/root.img

linux: deps ## Boot an unmodified Linux under vmm: a shell, or CMD='commands'
	@$(MAKE) -s --no-print-directory all kvm-machine linux-guest
	@images/linux/run $(B) $(LINUX_KERNEL) $(LINUX_ROOT)

linux-boot: deps ## What a boot of Linux costs under vmm, and under QEMU's microvm
	@$(MAKE) -s --no-print-directory all kvm-machine $(LINUX_ROOT)
	@tests/compare/linux-boot
