/* SPDX-License-Identifier: MIT */
#include "sandbox/trap.h"

#include <linux/audit.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>
#include "fatal.h"
#include "status.h"

#define NR_CALLS     512
#define LAST_WAIT_MS 1000

/* si_code, by asm-generic/siginfo.h; the C library has it from 2.38 on. */
#define BY_SECCOMP 1

/* By number; written once, before other threads exist. The library's look-up allocates memory,
 * which a signal handler must not do. */
static const char *calls[NR_CALLS];
static _Thread_local const char *thread_name = "main";
static void (*restore)(void);

struct line {
	char text[256];
	size_t len;
};

static void append_text(struct line *line, const char *text)
{
	size_t len = strlen(text);

	if (len > sizeof(line->text) - line->len)
		len = sizeof(line->text) - line->len;
	memcpy(line->text + line->len, text, len);
	line->len += len;
}

static void append_hex(struct line *line, uint64_t value)
{
	char text[19];
	char *digit = text + sizeof(text) - 1;

	*digit = '\0';
	do
		*--digit = "0123456789abcdef"[value % 16];
	while (value /= 16);
	*--digit = 'x';
	*--digit = '0';
	append_text(line, digit);
}

static void append_call(struct line *line, const siginfo_t *info, const ucontext_t *context)
{
	const greg_t *regs = context->uc_mcontext.gregs;
	unsigned nr = (unsigned)info->si_syscall;

	if (info->si_arch == AUDIT_ARCH_X86_64 && nr < NR_CALLS && calls[nr]) {
		append_text(line, calls[nr]);
	} else {
		append_text(line, info->si_arch == AUDIT_ARCH_X86_64 ? "" : "32-bit ");
		append_text(line, "number ");
		append_hex(line, nr);
	}
	append_text(line, "(");
	append_hex(line, (uint64_t)regs[REG_RDI]);
	append_text(line, ", ");
	append_hex(line, (uint64_t)regs[REG_RSI]);
	append_text(line, ", ");
	append_hex(line, (uint64_t)regs[REG_RDX]);
	append_text(line, ")");
}

static void on_sigsys(int signal, siginfo_t *info, void *context)
{
	struct pollfd err = {.fd = STDERR_FILENO, .events = POLLOUT};
	struct line line = {.len = 0};

	if (info->si_code != BY_SECCOMP) { /* sent by a process */
		restore();
		(void)raise(signal); /* SA_RESETHAND: this ends the process when we return */
		return;
	}
	append_text(&line, "vmm: the sandbox has stopped a thread (");
	append_text(&line, thread_name);
	append_text(&line, ") at a system call that it has no business with: ");
	append_call(&line, info, context);
	append_text(&line, "\n");
	restore();
	/* A reader of standard error that takes nothing must not keep the process from ending. */
	if (poll(&err, 1, LAST_WAIT_MS) == 1 && write(STDERR_FILENO, line.text, line.len) < 0)
		_exit(VMM_EX_SANDBOX);
	_exit(VMM_EX_SANDBOX);
}

void sandbox_trap_install(void (*before_end)(void))
{
	struct sigaction action = {.sa_sigaction = on_sigsys,
				   .sa_flags = SA_SIGINFO | SA_RESETHAND};

	for (int nr = 0; nr < NR_CALLS; nr++)
		calls[nr] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr);
	restore = before_end;
	sigaction(SIGSYS, &action, NULL);
}

void sandbox_trap_here(enum sandbox_thread thread)
{
	static const char *const names[SANDBOX_NR_THREADS] = {
		[SANDBOX_MAIN] = "main",
		[SANDBOX_VCPU] = "vcpu",
		[SANDBOX_DISK] = "disk",
		[SANDBOX_UFFD] = "uffd",
	};
	thread_name = names[thread];
	fatal_unblock_crashes();
}
