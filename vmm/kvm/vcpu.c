/* SPDX-License-Identifier: MIT */
#include "kvm/vcpu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "kvm/vm.h"
#include "say.h"

#define CR0_PE   1ull
#define CR0_PG   (1ull << 31)
#define CR4_PAE  (1ull << 5)
#define CR4_PGE  (1ull << 7)
#define EFER_LME (1ull << 8)
#define EFER_LMA (1ull << 10)
#define RFLAGS_1 2ull /* the bit that is always set */

#define MSR_MTRR_DEF_TYPE    0x2ffu
#define MTRR_ENABLE          (1ull << 11)
#define MTRR_TYPE_WRITE_BACK 6ull

int vcpu_create(struct vcpu *vcpu, int vm_fd, size_t run_size)
{
	void *run;

	vcpu->fd = ioctl(vm_fd, KVM_CREATE_VCPU, vcpu->index);
	if (vcpu->fd < 0)
		return say_errno("KVM_CREATE_VCPU %u", vcpu->index);
	run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run == MAP_FAILED)
		return say_errno("mmap of the run page of vCPU %u", vcpu->index);
	vcpu->run = run;
	vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS; /* each exit brings them */
	vcpu->run_size = run_size;
	return 0;
}

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){
		.limit = UINT32_MAX,
		.selector = selector,
		.type = type,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};
}

int vcpu_set_entry(struct vcpu *vcpu, uint32_t rip, uint32_t start_info_gpa)
{
	struct kvm_regs regs = {.rip = rip, .rbx = start_info_gpa, .rflags = RFLAGS_1};
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return say_errno("KVM_GET_SREGS");
	sregs.cr0 |= CR0_PE;
	sregs.cs = flat_segment(0x08, 0xb); /* code, execute and read, accessed */
	sregs.ds = flat_segment(0x10, 0x3); /* data, read and write, accessed */
	sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.ds;
	sregs.tr = (struct kvm_segment){.limit = 0x67, .type = 0xb, .present = 1};
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0)
		return say_errno("KVM_SET_SREGS");
	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0)
		return say_errno("KVM_SET_REGS");
	return 0;
}

int vcpu_set_entry_64(struct vcpu *vcpu, const struct vcpu_entry_64 *entry)
{
	struct kvm_regs regs = {.rip = entry->rip, .rsi = entry->rsi, .rflags = RFLAGS_1};
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return say_errno("KVM_GET_SREGS");
	sregs.cr0 |= CR0_PE | CR0_PG;
	sregs.cr3 = entry->cr3;
	sregs.cr4 |= CR4_PAE;
	sregs.efer |= EFER_LME | EFER_LMA;
	sregs.cs = flat_segment(0x10, 0xb);
	sregs.cs.db = 0;
	sregs.cs.l = 1;
	sregs.ds = flat_segment(0x18, 0x3);
	sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.ds;
	sregs.tr = (struct kvm_segment){.limit = 0x67, .type = 0xb, .present = 1};
	sregs.gdt = (struct kvm_dtable){.base = entry->gdt, .limit = entry->gdt_limit};
	sregs.idt = (struct kvm_dtable){.limit = 0};
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0)
		return say_errno("KVM_SET_SREGS");
	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0)
		return say_errno("KVM_SET_REGS");
	return 0;
}

int vcpu_set_mtrrs(struct vcpu *vcpu)
{
	struct kvm_msrs *msrs = calloc(1, sizeof(*msrs) + sizeof(msrs->entries[0]));
	int nr_set, err = 0;

	if (!msrs)
		return say_errno("memory for MSRs");
	msrs->nmsrs = 1;
	msrs->entries[0].index = MSR_MTRR_DEF_TYPE;
	msrs->entries[0].data = MTRR_ENABLE | MTRR_TYPE_WRITE_BACK;
	nr_set = ioctl(vcpu->fd, KVM_SET_MSRS, msrs);
	if (nr_set < 0) {
		err = say_errno("KVM_SET_MSRS of the MTRRs");
	} else if (nr_set < 1) {
		say("KVM_SET_MSRS of the MTRRs: KVM refuses the value");
		err = -EINVAL;
	}
	free(msrs);
	return err;
}

/* immediate_exit stops a thread that is about to enter KVM_RUN, the signal one that is in it. The
 * thread clears the flag before it checks for a reason to stay out, and the reason is always set
 * before the kick. */
void vcpu_kick(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(vcpu->thread, VCPU_KICK_SIGNAL);
}

int vcpu_continue_io(struct vcpu *vcpu, bool *completed)
{
	int ret;

	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	ret = ioctl(vcpu->fd, KVM_RUN, 0);
	if (ret < 0 && errno != EINTR)
		return say_errno("KVM_RUN to complete I/O");
	*completed = ret < 0 || vcpu->run->exit_reason == KVM_EXIT_DEBUG;
	return 0;
}

int vcpu_complete_io(struct vcpu *vcpu)
{
	bool completed = false;
	int err = vcpu_continue_io(vcpu, &completed);

	if (err || completed)
		return err;
	say("KVM_RUN to complete I/O was not interrupted");
	return -EIO;
}

bool vcpu_flush_tlb(struct vcpu *vcpu)
{
	uint64_t tick = flush_clock_tick(&vcpu->vm->flush_clock);
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0) {
		say_errno("KVM_GET_SREGS");
		return false;
	}
	/* KVM does not take this bit, which it may give: outside of long mode a processor ignores
	 * it. */
	if (!(sregs.efer & EFER_LMA))
		sregs.cs.l = 0;
	for (int i = 0; i < 2; i++) {
		sregs.cr4 ^= CR4_PGE;
		if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0) {
			say_errno("KVM_SET_SREGS to flush a TLB");
			return false;
		}
	}
	flush_stamp_set(&vcpu->flushed, tick);
	count_one(&vcpu->stats.tlb_flushes);
	return true;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (vcpu->run)
		munmap(vcpu->run, vcpu->run_size);
	if (vcpu->fd >= 0)
		close(vcpu->fd);
}
