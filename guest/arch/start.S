/* SPDX-License-Identifier: MIT */
/*
 * From the PVH entry (boot CPU) and from the trampoline (all others) to C in long mode.
 *
 * The PVH entry: 32-bit protected mode, flat segments, paging off, ebx = struct hvm_start_info.
 */
#include "layout.h"

#define PA(symbol) ((symbol) - IMAGE_BASE)

#define CR0_BITS	0x80010033 /* PG WP NE ET MP PE */
#define CR4_BITS	0x000006a0 /* OSXMMEXCPT OSFXSR PGE PAE: libfdt may use SSE */
#define MSR_EFER	0xc0000080
#define EFER_BITS	0x00000900 /* NXE LME */
#define MSR_FS_BASE	0xc0000100
#define MSR_GS_BASE	0xc0000101

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
	mov	%ebx, %edi		/* start_info, first argument of guest_main() */
	xor	%esi, %esi		/* the boot CPU */
	jmp	to_long_mode

ap_start32:
	mov	$SELECTOR_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	cld
	mov	$1, %esi		/* another CPU */

to_long_mode:
	lgdt	PA(boot_gdtr)
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
	ljmp	$SELECTOR_CODE, $PA(in_long_mode)

	.code64
in_long_mode:
	movabs	$in_high_half, %rax
	jmp	*%rax
in_high_half:
	xor	%eax, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	%eax, %fs
	mov	%eax, %gs
	xor	%ebp, %ebp
	test	%esi, %esi
	jnz	1f
	mov	$percpu, %rbx
	mov	$boot_stack + STACK_SIZE, %rsp
	mov	$guest_main, %r12
	jmp	2f
1:	mov	ap_boot_cr3, %rax	/* the stack may lie beyond what the boot tables map */
	mov	%rax, %cr3
	mov	ap_boot_percpu, %rbx
	mov	ap_boot_stack, %rsp
	mov	$ap_main, %r12
2:	mov	%rbx, %rax
	mov	%rbx, %rdx
	shr	$32, %rdx
	mov	$MSR_GS_BASE, %ecx
	wrmsr
	mov	$MSR_FS_BASE, %ecx
	wrmsr
	call	*%r12
	ud2

/* Copied to TRAMPOLINE_GPA: CS = TRAMPOLINE_GPA >> 4, IP = 0. */
	.section .rodata
	.code16
	.globl trampoline, trampoline_end
trampoline:
	cli
	lgdtl	%cs:(trampoline_gdtr - trampoline)
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$SELECTOR_CODE32, $PA(ap_start32)
	.balign 4
trampoline_gdtr:
	.word	boot_gdt_end - boot_gdt - 1
	.long	PA(boot_gdt)
trampoline_end:
	.code64

	.balign 8
boot_gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* SELECTOR_CODE32 */
	.quad	0x00af9b000000ffff	/* SELECTOR_CODE */
	.quad	0x00cf93000000ffff	/* SELECTOR_DATA */
boot_gdt_end:
boot_gdtr:
	.word	boot_gdt_end - boot_gdt - 1
	.long	PA(boot_gdt)

/* The boot tables: the first BOOT_MAPPED bytes, in 2 MiB pages, at 0 and at DIRECT_BASE, and the first
 * GiB of them at IMAGE_BASE. No root that is pinned later leads here. */
	.section .data
	.balign 4096
	.globl boot_l4
boot_l4:
	.quad	PA(boot_l3_low) + 3
	.fill	272, 8, 0
	.quad	PA(boot_l3_low) + 3	/* slot 273: DIRECT_BASE */
	.fill	237, 8, 0
	.quad	PA(boot_l3_image) + 3	/* slot 511: IMAGE_BASE */
boot_l3_low:
	.set	table, 0
	.rept	BOOT_MAPPED >> 30
	.quad	PA(boot_l2) + table + 3
	.set	table, table + 4096
	.endr
	.fill	512 - (BOOT_MAPPED >> 30), 8, 0
boot_l3_image:
	.fill	510, 8, 0
	.quad	PA(boot_l2) + 3
	.fill	1, 8, 0
boot_l2:
	.set	page, 0
	.rept	BOOT_MAPPED >> 21
	.quad	page + 0x83		/* present, writable, large */
	.set	page, page + 0x200000
	.endr

	.section .note.GNU-stack, "", @progbits
