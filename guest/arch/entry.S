/* SPDX-License-Identifier: MIT */
/*
 * What each vector of the IDT leads to: a frame of one shape (struct trap_frame), then
 * trap_dispatch(). There is no user mode, so GS is always the kernel's.
 */
	.cfi_sections .debug_frame
	.text

	.macro save reg
	push	%\reg
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \reg, 0
	.endm

	.macro restore reg
	pop	%\reg
	.cfi_adjust_cfa_offset -8
	.cfi_restore \reg
	.endm

/* 256 stubs of 16 bytes. Vectors 8, 10-14, 17, 21, 29 and 30 come with an error code. For a debugger
 * what was interrupted is the caller, whose RSP is behind RIP, CS and RFLAGS. */
	.balign 16
	.globl trap_stubs
trap_stubs:
	.cfi_startproc
	.cfi_signal_frame
	.cfi_offset rsp, 16
	.set	vector, 0
	.rept	256
	.balign 16
	.if	(vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || \
		(vector == 21) || (vector == 29) || (vector == 30)
	.cfi_def_cfa_offset 16
	.else
	.cfi_def_cfa_offset 8
	push	$0
	.cfi_def_cfa_offset 16
	.endif
	push	$vector
	.cfi_def_cfa_offset 24
	jmp	trap_entry
	.set	vector, vector + 1
	.endr
	.cfi_endproc

trap_entry:
	.cfi_startproc
	.cfi_signal_frame
	.cfi_def_cfa_offset 24
	.cfi_offset rsp, 16
	save	rax
	save	rbx
	save	rcx
	save	rdx
	save	rsi
	save	rdi
	save	rbp
	save	r8
	save	r9
	save	r10
	save	r11
	save	r12
	save	r13
	save	r14
	save	r15
	cld
	mov	%rsp, %rdi
	call	trap_dispatch
	restore	r15
	restore	r14
	restore	r13
	restore	r12
	restore	r11
	restore	r10
	restore	r9
	restore	r8
	restore	rbp
	restore	rdi
	restore	rsi
	restore	rdx
	restore	rcx
	restore	rbx
	restore	rax
	add	$16, %rsp		/* vector, error */
	.cfi_adjust_cfa_offset -16
	iretq
	.cfi_endproc

/* The processor takes no interrupt between `sti` and `hlt`. But where the guest leaves for the host
 * just there, not every machine remembers that when it comes back (QEMU's SVM doesn't: VMRUN does
 * not load the interrupt shadow). An interrupt that is taken there returns to the end, for what it
 * came for would be slept through: trap_dispatch(). */
	.globl irq_enable_and_halt, about_to_halt, end_of_halt
irq_enable_and_halt:
	.cfi_startproc
	sti
about_to_halt:
	hlt
end_of_halt:
	ret
	.cfi_endproc

	.section .note.GNU-stack, "", @progbits
