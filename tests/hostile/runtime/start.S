/* SPDX-License-Identifier: MIT */
/*
 * From the PVH entry (vCPU 0) and from the trampoline (vCPU 1) to C in long mode, on boot tables that
 * no pinned root leads to; and what the IDT leads to.
 */
#define DIRECT	   0xffff888000000000
#define PA(symbol) ((symbol) - DIRECT)

#define CR0_BITS  0x80010033 /* PG WP NE ET MP PE */
#define CR4_BITS  0x000002a0 /* OSFXSR PGE PAE */
#define MSR_EFER  0xc0000080
#define EFER_BITS 0x00000900 /* NXE LME */

	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 8, 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad PA(pvh_start)
	.long 10, 4, 1		/* ALIAS_NOTE_GUEST */
	.asciz "aliastrap"
	.balign 4
	.long 1			/* ALIAS_ABI_VERSION */

	.section .text.boot, "ax", @progbits
	.code32
	.globl pvh_start
pvh_start:
	cld
	xor	%esi, %esi		/* vCPU 0 */
	jmp	to_long_mode

ap_start32:
	mov	$0x18, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	cld
	mov	$1, %esi		/* vCPU 1 */

to_long_mode:
	lgdt	PA(gdtr)
	mov	$CR4_BITS, %eax
	mov	%eax, %cr4
	mov	$PA(boot_l4), %eax
	mov	%eax, %cr3
	mov	$MSR_EFER, %ecx
	mov	$EFER_BITS, %eax
	xor	%edx, %edx
	wrmsr
	mov	$CR0_BITS, %eax
	mov	%eax, %cr0
	ljmp	$0x10, $PA(in_long_mode)

	.code64
in_long_mode:
	movabs	$in_high_half, %rax
	jmp	*%rax
in_high_half:
	xor	%eax, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	xor	%ebp, %ebp
	lgdt	high_gdtr(%rip)
	lidt	idtr(%rip)
	test	%esi, %esi
	jnz	1f
	lea	stack0_end(%rip), %rsp
	call	hostile_start
	ud2
1:	lea	stack1_end(%rip), %rsp
	call	hostile_start1
	ud2

/* Copied to 0x8000: CS = 0x800, IP = 0. */
	.section .rodata
	.code16
	.globl trampoline, trampoline_end
trampoline:
	cli
	lgdtl	%cs:(trampoline_gdtr - trampoline)
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$0x08, $PA(ap_start32)
	.balign 4
trampoline_gdtr:
	.word	gdt_end - gdt - 1
	.long	PA(gdt)
trampoline_end:
	.code64

	.text
/* A fault of TRY() (r10 says so) goes on where r11 points; any other ends the guest. */
	.globl on_tried_fault, on_upcall_entry, on_other_fault
on_tried_fault:
	movabs	$0x7472795f73746f72, %rax
	cmp	%rax, %r10
	jne	on_other_fault
	add	$8, %rsp
	mov	%r11, (%rsp)
	iretq

on_other_fault:
	mov	$0xa11e, %edx
	mov	$3, %eax
	out	%eax, %dx
	ud2

on_upcall_entry:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%rbx
	push	%rbp
	mov	%rsp, %rbp
	and	$-16, %rsp
	call	hostile_upcall
	mov	%rbp, %rsp
	pop	%rbp
	pop	%rbx
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%rcx
	pop	%rax
	iretq

	.data
	.balign 8
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* 0x08: 32-bit code */
	.quad	0x00af9b000000ffff	/* 0x10: 64-bit code */
	.quad	0x00cf93000000ffff	/* 0x18: data */
gdt_end:
	.balign 4
gdtr:
	.word	gdt_end - gdt - 1
	.long	PA(gdt)
	.balign 4
high_gdtr:
	.word	gdt_end - gdt - 1
	.quad	gdt
	.balign 4
	.globl idtr
idtr:
	.word	32 * 16 - 1
	.quad	idt

/* The first GiB in 2 MiB pages, at 0 and at DIRECT. */
	.balign 4096
	.globl boot_l4
boot_l4:
	.quad	PA(boot_l3) + 3
	.fill	272, 8, 0
	.quad	PA(boot_l3) + 3
	.fill	238, 8, 0
boot_l3:
	.quad	PA(boot_l2) + 3
	.fill	511, 8, 0
boot_l2:
	.set	page, 0
	.rept	512
	.quad	page + 0x83
	.set	page, page + 0x200000
	.endr

	.bss
	.balign 4096
	.globl idt
idt:	.skip	4096
	.skip	8192
stack0_end:
	.skip	8192
stack1_end:

	.section .note.GNU-stack, "", @progbits
