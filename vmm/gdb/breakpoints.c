/* SPDX-License-Identifier: MIT */
/* Breakpoints: which kinds this host's KVM has, the debug registers, and how a vCPU goes on. */
#include "gdb/target.h"

#include <string.h>
#include <sys/ioctl.h>
#include "kvm/probe_vm.h"
#include "kvm/vm.h"
#include "say.h"

#define DR7_GLOBAL(i)    (2ull << 2 * (i))
#define DR7_RW_LEN(i, v) ((uint64_t)(v) << (16 + 4 * (i)))
#define INT3_AT          (PROBE_VM_CODE + 1)

/* Runs `nop; int3` with these settings. Does KVM exit at the int3? */
static bool stops_at_int3(int kvm_fd, struct kvm_guest_debug debug, unsigned exception)
{
	static const uint8_t code[] = {0x90, 0xcc};
	struct probe_vm vm;
	bool stopped = probe_vm_begin(&vm, kvm_fd, code, sizeof(code)) &&
		       ioctl(vm.vcpu.fd, KVM_SET_GUEST_DEBUG, &debug) == 0 &&
		       probe_vm_run(&vm) == 0 && vm.vcpu.run->exit_reason == KVM_EXIT_DEBUG &&
		       vm.vcpu.run->debug.arch.exception == exception &&
		       vm.vcpu.run->debug.arch.pc == INT3_AT;

	probe_vm_end(&vm);
	return stopped;
}

/* Makes KVM leave RIP at an `out` to port 0x7e, as at all others. */
static void have_rip_at_out(const struct vm *vm)
{
	struct kvm_enable_cap quirk = {.cap = KVM_CAP_DISABLE_QUIRKS,
				       .args = {KVM_X86_QUIRK_OUT_7E_INC_RIP}};

	if (ioctl(vm->fd, KVM_ENABLE_CAP, &quirk) < 0)
		say_errno("KVM_CAP_DISABLE_QUIRKS: breakpoints are passed over where DX is 0x7e");
}

void gdb_target_init(struct gdb_target *target, struct vm *vm, const struct image *image,
		     int kvm_fd)
{
	const struct kvm_guest_debug int3 = {.control =
						     KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP};
	const struct kvm_guest_debug hardware = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP,
		.arch.debugreg = {[0] = INT3_AT, [7] = DR7_GLOBAL(0)},
	};

	memset(target, 0, sizeof(*target));
	target->vm = vm;
	target->nr_segments = image->nr;
	memcpy(target->segment, image->segment, sizeof(target->segment));
	target->int3 = stops_at_int3(kvm_fd, int3, GDB_EXCEPTION_INT3);
	target->hardware = stops_at_int3(kvm_fd, hardware, GDB_EXCEPTION_DEBUG);
	if (!target->int3)
		have_rip_at_out(vm);
}

bool gdb_get_registers(const struct gdb_target *target, unsigned vcpu, struct gdb_registers *out)
{
	int fd = target->vm->vcpus[vcpu].fd;

	return ioctl(fd, KVM_GET_REGS, &out->regs) == 0 &&
	       ioctl(fd, KVM_GET_SREGS, &out->sregs) == 0 && ioctl(fd, KVM_GET_FPU, &out->fpu) == 0;
}

bool gdb_set_registers(const struct gdb_target *target, unsigned vcpu,
		       const struct gdb_registers *from)
{
	int fd = target->vm->vcpus[vcpu].fd;

	return ioctl(fd, KVM_SET_REGS, &from->regs) == 0 && ioctl(fd, KVM_SET_FPU, &from->fpu) == 0;
}

/* --- debug registers -------------------------------------------------------------------------- */

static struct gdb_hardware *find_hardware(struct gdb_target *target, enum gdb_break kind,
					  uint64_t va, uint64_t len)
{
	for (unsigned i = 0; i < GDB_MAX_HARDWARE; i++) {
		struct gdb_hardware *slot = &target->hardware_slot[i];

		if (slot->used && slot->kind == kind && slot->va == va && slot->len == len)
			return slot;
	}
	return NULL;
}

static enum gdb_result insert_hardware(struct gdb_target *target, enum gdb_break kind, uint64_t va,
				       uint64_t len)
{
	/* The processor has no watchpoints for reads only. */
	if (!target->hardware || kind == GDB_WATCH_READ)
		return GDB_UNSUPPORTED;
	if ((len != 1 && len != 2 && len != 4 && len != 8) || va % len)
		return GDB_FAILED;
	if (find_hardware(target, kind, va, len))
		return GDB_OK;
	for (unsigned i = 0; i < GDB_MAX_HARDWARE; i++) {
		if (target->hardware_slot[i].used)
			continue;
		target->hardware_slot[i] = (struct gdb_hardware){
			.used = true, .kind = kind, .va = va, .len = (uint8_t)len};
		return GDB_OK;
	}
	return GDB_FAILED;
}

enum gdb_result gdb_insert(struct gdb_target *target, unsigned vcpu, enum gdb_break kind,
			   uint64_t va, uint64_t len)
{
	if (kind == GDB_SOFTWARE)
		return gdb_insert_software(target, vcpu, va);
	/* For code the length is always 1, whatever the length of the instruction. */
	return insert_hardware(target, kind, va, kind == GDB_HARDWARE ? 1 : len);
}

enum gdb_result gdb_remove(struct gdb_target *target, enum gdb_break kind, uint64_t va,
			   uint64_t len)
{
	struct gdb_hardware *slot;

	if (kind == GDB_SOFTWARE)
		return gdb_remove_software(target, va);
	slot = find_hardware(target, kind, va, kind == GDB_HARDWARE ? 1 : len);
	if (slot)
		slot->used = false;
	return GDB_OK;
}

void gdb_remove_all(struct gdb_target *target)
{
	while (target->nr_software > 0 &&
	       gdb_remove_software(target, target->software[0].va) == GDB_OK)
		;
	memset(target->hardware_slot, 0, sizeof(target->hardware_slot));
}

static void fill_debug_registers(const struct gdb_target *target, struct kvm_guest_debug *debug)
{
	static const uint8_t len_bits[] = {[1] = 0, [2] = 1, [4] = 3, [8] = 2};

	for (unsigned i = 0; i < GDB_MAX_HARDWARE; i++) {
		const struct gdb_hardware *slot = &target->hardware_slot[i];
		unsigned rw = slot->kind == GDB_HARDWARE      ? 0
			      : slot->kind == GDB_WATCH_WRITE ? 1
							      : 3;

		if (!slot->used)
			continue;
		debug->control |= KVM_GUESTDBG_USE_HW_BP;
		debug->arch.debugreg[i] = slot->va;
		debug->arch.debugreg[7] |=
			DR7_GLOBAL(i) | DR7_RW_LEN(i, len_bits[slot->len] << 2 | rw);
	}
}

bool gdb_arm(struct gdb_target *target, unsigned vcpu, uint32_t how)
{
	struct kvm_guest_debug debug = {.control = KVM_GUESTDBG_ENABLE | how};

	if (target->int3)
		debug.control |= KVM_GUESTDBG_USE_SW_BP;
	if (how & KVM_GUESTDBG_SINGLESTEP)
		target->stepped |= 1ull << vcpu;
	/* Makes KVM exit for the exceptions of a TF that is left over, too. */
	if (target->stepped >> vcpu & 1)
		debug.control |= KVM_GUESTDBG_USE_HW_BP;
	fill_debug_registers(target, &debug);
	if (ioctl(target->vm->vcpus[vcpu].fd, KVM_SET_GUEST_DEBUG, &debug) == 0)
		return true;
	say_errno("KVM_SET_GUEST_DEBUG of vCPU %u", vcpu);
	return false;
}

void gdb_disarm(const struct gdb_target *target, unsigned vcpu)
{
	const struct kvm_guest_debug none = {0};

	if (ioctl(target->vm->vcpus[vcpu].fd, KVM_SET_GUEST_DEBUG, &none) < 0)
		say_errno("KVM_SET_GUEST_DEBUG of vCPU %u", vcpu);
}
