/* SPDX-License-Identifier: MIT */
#include "kvm/vcpu.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include "kvm/vm.h"
#include "say.h"

#define CODE_BYTES   16u
#define RESET_VECTOR 0xfffffff0ull

static void dump_general(const struct kvm_regs *r)
{
	say("  rip %016llx  rflags %08llx", r->rip, r->rflags);
	say("  rax %016llx  rbx %016llx  rcx %016llx  rdx %016llx", r->rax, r->rbx, r->rcx, r->rdx);
	say("  rsi %016llx  rdi %016llx  rbp %016llx  rsp %016llx", r->rsi, r->rdi, r->rbp, r->rsp);
	say("  r8  %016llx  r9  %016llx  r10 %016llx  r11 %016llx", r->r8, r->r9, r->r10, r->r11);
	say("  r12 %016llx  r13 %016llx  r14 %016llx  r15 %016llx", r->r12, r->r13, r->r14, r->r15);
}

static void dump_special(const struct kvm_sregs *s)
{
	say("  cr0 %08llx  cr2 %016llx  cr3 %016llx  cr4 %08llx  efer %llx", s->cr0, s->cr2, s->cr3,
	    s->cr4, s->efer);
	say("  cs %04x base %llx %s  ss %04x  tr %04x  gdt %llx+%x  idt %llx+%x", s->cs.selector,
	    s->cs.base,
	    s->cs.l    ? "64-bit"
	    : s->cs.db ? "32-bit"
		       : "16-bit",
	    s->ss.selector, s->tr.selector, s->gdt.base, s->gdt.limit, s->idt.base, s->idt.limit);
}

/* The code at RIP, up to the end of its page. */
static void dump_code(const struct vcpu *vcpu, uint64_t va)
{
	struct kvm_translation translation = {.linear_address = va};
	char text[3 * CODE_BYTES + 1] = "";
	unsigned len = CODE_BYTES;
	const uint8_t *code;

	if (4096 - va % 4096 < len)
		len = 4096 - va % 4096;
	if (ioctl(vcpu->fd, KVM_TRANSLATE, &translation) < 0 || !translation.valid)
		return;
	code = memory_ptr(&vcpu->vm->mem, translation.physical_address, len);
	if (!code)
		return;
	for (unsigned i = 0; i < len; i++)
		sprintf(text + 3 * i, " %02x", code[i]);
	say("  code%s", text);
}

void vcpu_dump(const struct vcpu *vcpu)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0 ||
	    ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0) {
		say_errno("KVM_GET_REGS");
		return;
	}
	/* With SVM the state of a vCPU is lost at a shutdown, so KVM resets it. */
	say("registers of vCPU %u%s:", vcpu->index,
	    sregs.cs.base + regs.rip == RESET_VECTOR
		    ? ", after the reset that this processor makes of a shutdown"
		    : "");
	dump_general(&regs);
	dump_special(&sregs);
	dump_code(vcpu, sregs.cs.base + regs.rip);
}
