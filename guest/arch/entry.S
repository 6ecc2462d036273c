/* SPDX-License-Identifier: MIT */
/*
 * What each vector of the IDT leads to: a frame of one shape (struct trap_frame), then
 * trap_dispatch(). There is no user mode, so GS is always the kernel's.
 */
	.text

/* 256 stubs of 16 bytes. Vectors 8, 10-14, 17, 21, 29 and 30 come with an error code. */
	.balign 16
	.globl trap_stubs
trap_stubs:
	.set	vector, 0
	.rept	256
	.balign 16
	.if	(vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || \
		(vector == 21) || (vector == 29) || (vector == 30)
	.else
	push	$0
	.endif
	push	$vector
	jmp	trap_entry
	.set	vector, vector + 1
	.endr

trap_entry:
	push	%rax
	push	%rbx
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%rbp
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	cld
	mov	%rsp, %rdi
	call	trap_dispatch
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rbp
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%rcx
	pop	%rbx
	pop	%rax
	add	$16, %rsp		/* vector, error */
	iretq

/* The processor takes no interrupt between `sti` and `hlt`. But where the guest leaves for the host
 * just there, not every machine remembers that when it comes back (QEMU's SVM doesn't: VMRUN does
 * not load the interrupt shadow). An interrupt that is taken there returns to the end, for what it
 * came for would be slept through: trap_dispatch(). */
	.globl irq_enable_and_halt, about_to_halt, end_of_halt
irq_enable_and_halt:
	sti
about_to_halt:
	hlt
end_of_halt:
	ret

	.section .note.GNU-stack, "", @progbits
