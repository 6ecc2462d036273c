/* SPDX-License-Identifier: MIT */
/* vCPUs stop at breakpoints, and go on. */
#include "gdb/internal.h"

#include <sys/ioctl.h>
#include <unistd.h>
#include "gdb/gdb.h"
#include "kvm/vm.h"
#include "say.h"
#include "status.h"
#include "stop.h"

#define RFLAGS_TF    (1ull << 8)
#define DR6_HARDWARE 15u /* which hardware breakpoint or watchpoint it was */

/* What vCPUs have met by then is forgotten, as one stop is reported at a time: RIP is at their
 * breakpoints, which they meet again. But a watchpoint is met after the access, and that of a
 * second vCPU at the same time is never told of. */
void gdb_stop_all(struct gdb *gdb)
{
	debug_stop_vcpus(gdb->target.vm, ALL_VCPUS);
	atomic_store(&gdb->hits, 0);
	gdb->running = 0;
}

void gdb_go_on(struct gdb *gdb, unsigned vcpu, uint32_t how)
{
	if (gdb->stepping >> vcpu & 1)
		how |= KVM_GUESTDBG_SINGLESTEP;
	if (!gdb_arm(&gdb->target, vcpu, how))
		stop_request(gdb->target.vm->stop, VMM_EX_OSERR);
}

void gdb_resume(struct gdb *gdb, uint64_t vcpus, uint64_t stepping)
{
	gdb->stepping = stepping;
	for (unsigned i = 0; i < gdb->target.vm->nr_vcpus; i++)
		if (vcpus >> i & 1)
			gdb_go_on(gdb, i, 0);
	gdb->running = vcpus;
	debug_release_vcpus(gdb->target.vm, vcpus);
}

void gdb_detach(struct gdb *gdb)
{
	gdb_stop_all(gdb);
	gdb_remove_all(&gdb->target);
	for (unsigned i = 0; i < gdb->target.vm->nr_vcpus; i++)
		gdb_disarm(&gdb->target, i);
	debug_release_vcpus(gdb->target.vm, ALL_VCPUS);
}

/* If it is stopped meanwhile, this is forgotten, too. */
static void stop_self(struct gdb *gdb, struct vcpu *vcpu, const struct gdb_hit *hit)
{
	uint64_t one = 1;

	gdb->hit[vcpu->index] = *hit;
	if (debug_stop_self(gdb->target.vm, vcpu, &gdb->hits) &&
	    write(gdb->hit_fd, &one, sizeof(one)) < 0)
		stop_on_error(vcpu->vm->stop, "eventfd of the debugger");
}

/* Clears a TF that an earlier step has left. While a vCPU makes a step, KVM does not show TF. */
static bool clear_left_over(void *ctx, struct vcpu *vcpu, const struct kvm_regs *now)
{
	const struct gdb *gdb = ctx;
	struct kvm_regs regs = *now;

	if (!(regs.rflags & RFLAGS_TF) || !(gdb->target.stepped >> vcpu->index & 1))
		return false;
	regs.rflags &= ~RFLAGS_TF;
	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0)
		stop_on_error(vcpu->vm->stop, "KVM_SET_REGS to clear TF");
	return true;
}

/* KVM_EXIT_DEBUG. */
static void debug_exit(struct gdb *gdb, struct vcpu *vcpu)
{
	struct gdb_hit hit = {.arch = vcpu->run->debug.arch};

	if (clear_left_over(gdb, vcpu, &vcpu->run->s.regs.regs) &&
	    hit.arch.exception == GDB_EXCEPTION_DEBUG && !(hit.arch.dr6 & DR6_HARDWARE))
		return;
	hit.at_break =
		hit.arch.exception == GDB_EXCEPTION_INT3 && gdb_break_at(&gdb->target, hit.arch.pc);
	stop_self(gdb, vcpu, &hit);
}

/* An access to a port: a breakpoint's, if RIP is at one, where it stays; else the guest's own. */
static bool pio_exit(struct gdb *gdb, struct vcpu *vcpu)
{
	const struct gdb_hit hit = {.at_break = true};
	const uint64_t rip = vcpu->run->s.regs.regs.rip;
	struct kvm_regs regs;

	if (clear_left_over(gdb, vcpu, &vcpu->run->s.regs.regs))
		vcpu->run->s.regs.regs.rflags &= ~RFLAGS_TF; /* an upcall sets it back */
	if (gdb->target.int3 || !gdb_break_at(&gdb->target, rip))
		return false;
	if (vcpu_complete_io(vcpu) < 0 || ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0) {
		stop_request(vcpu->vm->stop, VMM_EX_OSERR);
		return true;
	}
	regs.rip = rip;
	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0)
		stop_on_error(vcpu->vm->stop, "KVM_SET_REGS at a breakpoint");
	else
		stop_self(gdb, vcpu, &hit);
	return true;
}

static bool is_debuggers(void *ctx, struct vcpu *vcpu)
{
	if (vcpu->run->exit_reason == KVM_EXIT_IO)
		return pio_exit(ctx, vcpu);
	if (vcpu->run->exit_reason != KVM_EXIT_DEBUG)
		return false;
	debug_exit(ctx, vcpu);
	return true;
}

void gdb_attach(struct gdb *gdb, struct vm *vm, const struct image *image, int kvm_fd)
{
	static const struct debug_ops debug_ops = {.exit = is_debuggers,
						   .clear_left_over = clear_left_over};

	gdb_target_init(&gdb->target, vm, image, kvm_fd);
	vm->debug_ops = &debug_ops;
	vm->debugger = gdb;
	debug_stop_vcpus(vm, ALL_VCPUS);
}
