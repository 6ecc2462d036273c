/* SPDX-License-Identifier: MIT */
#include "trace.h"

#include <elf.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define BREAKPOINT  0xccu
#define STACK_WORDS 64

/* Where the program lies, and where its main() is; known from its exec on. */
struct layout {
	uint64_t base, text, text_end, main;
	long code; /* that the breakpoint at main() hides; 0 when it is gone */
};

/* --- the filter ------------------------------------------------------------------------------- */

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
/* Goes on with the next if equal, else skips `skip`. */
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define RETURN(what)        BPF_STMT(BPF_RET | BPF_K, what)

/* Lower half of args[1]: what ioctl and fcntl are asked for. */
static void install_filter(const struct call *only)
{
	struct sock_filter every[] = {RETURN(SECCOMP_RET_TRACE)};
	struct sock_filter some[] = {
		LOAD(nr),
		UNLESS(0, 3),
		LOAD(args[1]),
		UNLESS(0, 1),
		RETURN(SECCOMP_RET_TRACE),
		RETURN(SECCOMP_RET_ALLOW),
	};
	struct sock_filter plain[] = {
		LOAD(nr),
		UNLESS(0, 1),
		RETURN(SECCOMP_RET_TRACE),
		RETURN(SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 1, .filter = every};

	if (only && only->nr == SYS_ioctl) {
		some[1].k = (uint32_t)only->nr;
		some[3].k = only->request;
		program = (struct sock_fprog){.len = 6, .filter = some};
	} else if (only) {
		plain[1].k = (uint32_t)only->nr;
		program = (struct sock_fprog){.len = 4, .filter = plain};
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		err(2, "seccomp");
}

/* --- the program ------------------------------------------------------------------------------ */

pid_t trace_start(const struct trace *trace, trace_prepare *prepare, void *ctx,
		  const char *const argv[])
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		err(2, "fork");
	if (pid == 0) {
		prepare(ctx);
		if (personality(ADDR_NO_RANDOMIZE) < 0)
			err(2, "personality");
		raise(SIGSTOP);
		install_filter(trace->only);
		execv(argv[0], (char *const *)argv);
		err(2, "%s", argv[0]);
	}
	if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
		errx(2, "the child did not stop");
	if (ptrace(PTRACE_SEIZE, pid, 0L,
		   PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |
			   PTRACE_O_EXITKILL))
		err(2, "ptrace");
	kill(pid, SIGCONT);
	return pid;
}

/* The address of main() as the file has it. */
static uint64_t find_main(const char *program)
{
	int fd = open(program, O_RDONLY | O_CLOEXEC);
	uint64_t found = 0;
	struct stat st;
	const Elf64_Ehdr *elf;
	const Elf64_Shdr *section;

	if (fd < 0 || fstat(fd, &st))
		err(2, "%s", program);
	elf = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (elf == MAP_FAILED)
		err(2, "%s", program);
	close(fd);
	section = (const Elf64_Shdr *)((const char *)elf + elf->e_shoff);
	for (unsigned i = 0; i < elf->e_shnum; i++) {
		const Elf64_Sym *symbol =
			(const Elf64_Sym *)((const char *)elf + section[i].sh_offset);
		const char *names;

		if (section[i].sh_type != SHT_SYMTAB)
			continue;
		names = (const char *)elf + section[section[i].sh_link].sh_offset;
		for (size_t n = section[i].sh_size / sizeof(*symbol); n > 0; n--, symbol++)
			if (!strcmp(names + symbol->st_name, "main"))
				found = symbol->st_value;
	}
	munmap((void *)elf, (size_t)st.st_size);
	if (!found)
		errx(2, "%s has no symbol main", program);
	return found;
}

static void find_layout(pid_t pid, const char *program, struct layout *layout)
{
	char path[64], line[512], *file = realpath(program, NULL);
	unsigned long start, end, offset;
	char rights[8];
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!file || !maps)
		err(2, "%s", path);
	*layout = (struct layout){0};
	while (fgets(line, sizeof(line), maps)) {
		/* The loader's mappings are there too. */
		if (!strstr(line, file) ||
		    sscanf(line, "%lx-%lx %7s %lx", &start, &end, rights, &offset) != 4)
			continue;
		if (offset == 0)
			layout->base = start;
		if (rights[2] == 'x') {
			layout->text = start;
			layout->text_end = end;
		}
	}
	fclose(maps);
	free(file);
	layout->main = layout->base + find_main(program);
}

static void set_breakpoint(pid_t pid, struct layout *layout)
{
	errno = 0;
	layout->code = ptrace(PTRACE_PEEKTEXT, pid, layout->main, 0L);
	if (errno ||
	    ptrace(PTRACE_POKETEXT, pid, layout->main, (layout->code & ~0xffl) | (long)BREAKPOINT))
		err(2, "breakpoint");
}

/* True if the thread had come to it. */
static bool pass_breakpoint(pid_t pid, struct layout *layout)
{
	struct user_regs_struct regs;

	if (!layout->code || ptrace(PTRACE_GETREGS, pid, 0L, &regs) || regs.rip != layout->main + 1)
		return false;
	regs.rip--;
	ptrace(PTRACE_POKETEXT, pid, layout->main, layout->code);
	ptrace(PTRACE_SETREGS, pid, 0L, &regs);
	layout->code = 0;
	return true;
}

/* --- its calls -------------------------------------------------------------------------------- */

/* The first word of the stack that could be a return address into the program. */
static uint64_t find_caller(pid_t pid, uint64_t rsp, const struct layout *layout)
{
	uint64_t words[STACK_WORDS] = {0};
	struct iovec to = {.iov_base = words, .iov_len = sizeof(words)};
	struct iovec from = {.iov_base = (void *)(uintptr_t)rsp, .iov_len = sizeof(words)};

	if (process_vm_readv(pid, &to, 1, &from, 1, 0) <= 0)
		return 0;
	for (unsigned i = 0; i < STACK_WORDS; i++)
		if (words[i] >= layout->text && words[i] < layout->text_end)
			return words[i] - layout->base;
	return 0;
}

/* brk() refuses by telling the break as it is. */
static uint64_t find_break(pid_t pid)
{
	char path[64], line[512];
	unsigned long start, end, found = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		err(2, "%s", path);
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, "[heap]") && sscanf(line, "%lx-%lx", &start, &end) == 2)
			found = end;
	fclose(maps);
	return found;
}

/* A close() that fails has closed the descriptor all the same. So it is made, and then gets this
 * answer. */
static void fail_close(pid_t pid, int error)
{
	struct user_regs_struct regs;
	int status;

	if (ptrace(PTRACE_SYSCALL, pid, 0L, 0L) || waitpid(pid, &status, __WALL) != pid ||
	    !WIFSTOPPED(status) || ptrace(PTRACE_GETREGS, pid, 0L, &regs))
		err(2, "close");
	regs.rax = (uint64_t) - (int64_t)error;
	if (ptrace(PTRACE_SETREGS, pid, 0L, &regs))
		err(2, "PTRACE_SETREGS");
}

static void meet_call(const struct trace *trace, pid_t pid, const struct layout *layout)
{
	struct user_regs_struct regs;
	uint64_t args[6];
	struct call call;
	int error;

	if (!layout->main || layout->code || ptrace(PTRACE_GETREGS, pid, 0L, &regs))
		return;
	memcpy(args, (uint64_t[]){regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9},
	       sizeof(args));
	call = (struct call){
		.nr = (long)regs.orig_rax,
		.request = call_request(pid, (long)regs.orig_rax, args),
		.rip = regs.rip - layout->base,
		.caller = find_caller(pid, regs.rsp, layout),
	};
	error = trace->at_call(trace->ctx, pid, &call);
	if (!error)
		return;
	if (call.nr == SYS_close) {
		fail_close(pid, error);
		return;
	}
	regs.orig_rax = -1ull;
	regs.rax = call.nr == SYS_brk ? find_break(pid) : (uint64_t) - (int64_t)error;
	if (ptrace(PTRACE_SETREGS, pid, 0L, &regs))
		err(2, "PTRACE_SETREGS");
}

static void note_crash(struct trace *trace, pid_t pid, const struct layout *layout)
{
	const size_t max = sizeof(trace->crash) / sizeof(trace->crash[0]);
	struct user_regs_struct regs;
	size_t nr = 1;

	if (ptrace(PTRACE_GETREGS, pid, 0L, &regs))
		return;
	memset(trace->crash, 0, sizeof(trace->crash));
	trace->crash[0] = regs.rip - layout->base;
	for (uint64_t at = regs.rsp; nr < max && at < regs.rsp + 4096; at += sizeof(uint64_t)) {
		uint64_t word;

		errno = 0;
		word = (uint64_t)ptrace(PTRACE_PEEKDATA, pid, at, 0L);
		if (!errno && word >= layout->text && word < layout->text_end)
			trace->crash[nr++] = word - layout->base;
	}
}

/* What a stopped thread is to go on with: a signal, or 0. */
static int meet_stop(struct trace *trace, pid_t pid, const char *program, int status,
		     struct layout *layout)
{
	int signal = WSTOPSIG(status), event = status >> 16;

	if (event == PTRACE_EVENT_SECCOMP) {
		meet_call(trace, pid, layout);
		return 0;
	}
	if (event == PTRACE_EVENT_EXEC) {
		find_layout(pid, program, layout);
		set_breakpoint(pid, layout);
		return 0;
	}
	if (!event && (signal == SIGSEGV || signal == SIGBUS || signal == SIGABRT))
		note_crash(trace, pid, layout);
	if (event || (signal == SIGTRAP && pass_breakpoint(pid, layout)))
		return 0;
	return signal;
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void note_end(struct trace *trace, int status)
{
	trace->signalled = WIFSIGNALED(status);
	trace->status = trace->signalled ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void trace_run(struct trace *trace, pid_t pid, const char *program)
{
	const struct sigaction action = {.sa_handler = on_alarm};
	struct layout layout = {0};

	sigaction(SIGALRM, &action, NULL);
	trace->timed_out = false;
	/* Again and again: the first may come while we don't wait. */
	setitimer(ITIMER_REAL, &(struct itimerval){{1, 0}, {trace->limit_s, 0}}, NULL);
	for (;;) {
		int status;
		pid_t who = waitpid(-1, &status, __WALL);

		if (who < 0 && errno == EINTR) {
			trace->timed_out = true;
			kill(pid, SIGKILL);
			continue;
		}
		if (who < 0)
			err(2, "waitpid");
		if (WIFSTOPPED(status)) {
			int signal = meet_stop(trace, who, program, status, &layout);

			ptrace(PTRACE_CONT, who, 0L, (long)signal);
		} else if (who == pid) {
			note_end(trace, status);
			break;
		}
	}
	setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
}
