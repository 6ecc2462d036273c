/* SPDX-License-Identifier: MIT */
/* The filters that are made for each kind of thread, run by the rules of seccomp(2). */
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "devices/terminal.h"
#include "sandbox/landlock.h"
#include "sandbox/rules.h"
#include "sandbox/trap.h"
#include "status.h"
#include "suites.h"

#define PID          4711
#define NR_OF(array) (sizeof(array) / sizeof((array)[0]))
#define X32          0x40000000

static const struct sandbox_needs nothing = {0}, strict = {.strict = true};
static const struct sandbox_needs everything = {.stats = "/x", .control = "/y"};

static struct sock_fprog filters[SANDBOX_NR_THREADS];

static void compile(const struct sandbox_needs *needs)
{
	for (unsigned i = 0; i < SANDBOX_NR_THREADS; i++) {
		free(filters[i].filter);
		ck_assert_int_eq(sandbox_compile(i, needs, PID, &filters[i]), 0);
	}
}

static void tear_down(void)
{
	for (unsigned i = 0; i < SANDBOX_NR_THREADS; i++) {
		free(filters[i].filter);
		filters[i].filter = NULL;
	}
}

static bool jump(const struct sock_filter *insn, uint32_t a)
{
	switch (BPF_OP(insn->code)) {
	case BPF_JEQ:
		return a == insn->k;
	case BPF_JGT:
		return a > insn->k;
	case BPF_JGE:
		return a >= insn->k;
	case BPF_JSET:
		return a & insn->k;
	default:
		ck_abort_msg("jump 0x%x", insn->code);
	}
}

/* The program's answer; *steps: after how many instructions. */
static uint32_t answer(const struct sock_fprog *program, const struct seccomp_data *data,
		       unsigned *steps)
{
	uint32_t a = 0;

	*steps = 0;
	for (unsigned pc = 0; pc < program->len; pc++) {
		const struct sock_filter *insn = &program->filter[pc];

		++*steps;
		switch (insn->code) {
		case BPF_RET | BPF_K:
			return insn->k;
		case BPF_LD | BPF_W | BPF_ABS:
			ck_assert_uint_le(insn->k, sizeof(*data) - sizeof(a));
			memcpy(&a, (const char *)data + insn->k, sizeof(a));
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= insn->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += insn->k;
			break;
		default:
			ck_assert_uint_eq(BPF_CLASS(insn->code), BPF_JMP);
			pc += jump(insn, a) ? insn->jt : insn->jf;
		}
	}
	ck_abort_msg("the program has no end");
}

static bool allows(enum sandbox_thread thread, struct seccomp_data data)
{
	unsigned steps;
	uint32_t action;

	if (!data.arch)
		data.arch = AUDIT_ARCH_X86_64;
	action = answer(&filters[thread], &data, &steps);
	ck_assert(action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_TRAP);
	return action == SECCOMP_RET_ALLOW;
}

#define ALLOWS(thread, call, ...)                                                                  \
	allows(thread, (struct seccomp_data){.nr = (call), .args = {__VA_ARGS__}})

START_TEST(nobody_ever)
{
	static const int calls[] = {
		SYS_execve,     SYS_execveat,  SYS_fork,          SYS_vfork,
		SYS_clone,      SYS_clone3,    SYS_socket,        SYS_connect,
		SYS_bind,       SYS_listen,    SYS_ptrace,        SYS_kill,
		SYS_tkill,      SYS_open,      SYS_openat2,       SYS_creat,
		SYS_mount,      SYS_unshare,   SYS_setns,         SYS_prctl,
		SYS_seccomp,    SYS_bpf,       SYS_userfaultfd,   SYS_io_uring_setup,
		SYS_setuid,     SYS_setresuid, SYS_capset,        SYS_io_uring_register,
		SYS_modify_ldt, SYS_shmat,     SYS_memfd_create,  SYS_process_vm_writev,
		SYS_symlink,    SYS_link,      SYS_chmod,         SYS_chown,
		SYS_pidfd_open, SYS_dup2,      SYS_pkey_mprotect, SYS_process_vm_readv,
	};
	static const struct sandbox_needs *const needs[] = {&nothing, &strict, &everything};

	for (size_t n = 0; n < NR_OF(needs); n++) {
		compile(needs[n]);
		for (unsigned t = 0; t < SANDBOX_NR_THREADS; t++)
			for (size_t i = 0; i < NR_OF(calls); i++)
				ck_assert_msg(!ALLOWS(t, calls[i]), "%u: call %d", t, calls[i]);
	}
}
END_TEST

/* Of all calls that there are, so many can be made at all, with the right arguments. Whoever adds
 * one should think of SECURITY.md. */
START_TEST(how_many)
{
	static const struct {
		unsigned thread, calls;
		const struct sandbox_needs *needs;
	} cases[] = {
		{SANDBOX_MAIN, 31, &nothing}, {SANDBOX_MAIN, 43, &everything},
		{SANDBOX_VCPU, 20, &nothing}, {SANDBOX_VCPU, 21, &strict},
		{SANDBOX_DISK, 20, &nothing}, {SANDBOX_UFFD, 21, &nothing},
	};

	for (size_t i = 0; i < NR_OF(cases); i++) {
		unsigned nr = 0;

		compile(cases[i].needs);
		for (int call = 0; call < 1024; call++)
			nr += ALLOWS(cases[i].thread, call) ||
			      (call == SYS_ioctl && ALLOWS(cases[i].thread, call, 0, TCSETS)) ||
			      (call == SYS_tgkill && ALLOWS(cases[i].thread, call, PID)) ||
			      (call == SYS_mmap &&
			       ALLOWS(cases[i].thread, call, 0, 0, 0, MAP_ANONYMOUS));
		ck_assert_msg(nr == cases[i].calls, "case %zu: %u calls", i, nr);
	}
}
END_TEST

START_TEST(other_ways_into_the_kernel)
{
	compile(&everything);
	for (unsigned t = 0; t < SANDBOX_NR_THREADS; t++) {
		ck_assert(ALLOWS(t, SYS_write));
		ck_assert(!ALLOWS(t, SYS_write | X32));
		ck_assert(!allows(t, (struct seccomp_data){.nr = 4, .arch = AUDIT_ARCH_I386}));
		ck_assert(!allows(t,
				  (struct seccomp_data){.nr = SYS_write, .arch = AUDIT_ARCH_I386}));
		ck_assert(ALLOWS(t, -1)); /* skipped by a debugger */
	}
}
END_TEST

START_TEST(requests_to_kvm)
{
	static const unsigned long of_vcpus[] = {
		KVM_RUN,       KVM_GET_REGS,        KVM_SET_REGS,        KVM_GET_SREGS,
		KVM_SET_SREGS, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, KVM_TRANSLATE};
	static const unsigned long of_nobody[] = {
		KVM_CREATE_VM,       KVM_CREATE_VCPU, KVM_CREATE_IRQCHIP,  KVM_CREATE_DEVICE,
		KVM_SET_MSRS,        KVM_SET_CPUID2,  KVM_SET_SIGNAL_MASK, KVM_ENABLE_CAP,
		KVM_SET_GUEST_DEBUG, TIOCSTI,         USERFAULTFD_IOC_NEW, UFFDIO_COPY,
		UFFDIO_REGISTER};

	compile(&nothing);
	for (unsigned t = 0; t < SANDBOX_NR_THREADS; t++) {
		for (size_t i = 0; i < NR_OF(of_vcpus); i++)
			ck_assert_int_eq(ALLOWS(t, SYS_ioctl, 3, of_vcpus[i]), t == SANDBOX_VCPU);
		for (size_t i = 0; i < NR_OF(of_nobody); i++)
			ck_assert(!ALLOWS(t, SYS_ioctl, 3, of_nobody[i]));
		ck_assert_int_eq(ALLOWS(t, SYS_ioctl, 3, UFFDIO_WRITEPROTECT), t != SANDBOX_DISK);
		ck_assert(!ALLOWS(t, SYS_ioctl, 3, KVM_SET_USER_MEMORY_REGION));
		/* The kernel takes the lower half of it. */
		ck_assert_int_eq(ALLOWS(t, SYS_ioctl, 3, 7ull << 32 | KVM_RUN), t == SANDBOX_VCPU);
	}
	compile(&strict);
	ck_assert(ALLOWS(SANDBOX_VCPU, SYS_ioctl, 3, KVM_SET_USER_MEMORY_REGION));
	ck_assert(!ALLOWS(SANDBOX_MAIN, SYS_ioctl, 3, KVM_SET_USER_MEMORY_REGION));
	ck_assert(!ALLOWS(SANDBOX_VCPU, SYS_ioctl, 3, UFFDIO_WRITEPROTECT));
}
END_TEST

START_TEST(memory_is_never_code)
{
	const struct sandbox_needs *const needs[] = {&nothing, &strict};

	for (size_t n = 0; n < NR_OF(needs); n++) {
		compile(needs[n]);
		for (unsigned t = 0; t < SANDBOX_NR_THREADS; t++) {
			bool may_protect = needs[n]->strict && t == SANDBOX_VCPU;

			ck_assert(ALLOWS(t, SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1));
			ck_assert(!ALLOWS(t, SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1));
			ck_assert(!ALLOWS(t, SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, 3));
			ck_assert_int_eq(ALLOWS(t, SYS_mprotect, 0, 4096, PROT_READ), may_protect);
			ck_assert(!ALLOWS(t, SYS_mprotect, 0, 4096, PROT_READ | PROT_EXEC));
		}
	}
}
END_TEST

START_TEST(signals_stay_inside)
{
	compile(&everything);
	for (unsigned t = 0; t < SANDBOX_NR_THREADS; t++) {
		ck_assert(ALLOWS(t, SYS_tgkill, PID, 1, 9));
		ck_assert(!ALLOWS(t, SYS_tgkill, PID + 1, 1, 9));
		ck_assert(!ALLOWS(t, SYS_tgkill, PID | 1ull << 32, 1, 9));
	}
}
END_TEST

START_TEST(by_the_options)
{
	static const int of_stats[] = {SYS_openat, SYS_rename, SYS_fchmod, SYS_umask};
	static const int of_control[] = {SYS_accept4, SYS_recvfrom, SYS_sendto, SYS_getsockopt};
	const struct sandbox_needs *const needs[] = {
		&nothing, &(struct sandbox_needs){.stats = "/x"},
		&(struct sandbox_needs){.control = "/y"}, &everything};

	for (size_t n = 0; n < NR_OF(needs); n++) {
		compile(needs[n]);
		for (unsigned t = 0; t < SANDBOX_NR_THREADS; t++) {
			bool stats = t == SANDBOX_MAIN && needs[n]->stats;
			bool control = t == SANDBOX_MAIN && needs[n]->control;

			for (size_t i = 0; i < NR_OF(of_stats); i++)
				ck_assert_int_eq(ALLOWS(t, of_stats[i]), stats);
			for (size_t i = 0; i < NR_OF(of_control); i++)
				ck_assert_int_eq(ALLOWS(t, of_control[i]), control);
			ck_assert_int_eq(ALLOWS(t, SYS_unlink), stats || control);
			ck_assert(!ALLOWS(t, SYS_fcntl)); /* stdio would need it */
		}
	}
}
END_TEST

/* What it costs to enter the guest: a bound on the filter's length, not on any time. */
START_TEST(entering_the_guest_is_decided_early)
{
	struct seccomp_data run = {
		.nr = SYS_ioctl, .arch = AUDIT_ARCH_X86_64, .args = {7, KVM_RUN, 0}};
	const struct sandbox_needs *const needs[] = {&nothing, &strict, &everything};
	unsigned steps;

	for (size_t n = 0; n < NR_OF(needs); n++) {
		compile(needs[n]);
		ck_assert_uint_eq(answer(&filters[SANDBOX_VCPU], &run, &steps), SECCOMP_RET_ALLOW);
		ck_assert_uint_le(steps, 24);
	}
}
END_TEST

#ifndef __SANITIZE_ADDRESS__ /* it makes calls of its own, in a signal handler too */

/* In a child that confines itself: its exit status, and what it said. */
static int run_confined(void (*call)(void), char *text, size_t size)
{
	struct sandbox *sandbox;
	size_t len = 0;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		dup2(fds[1], 2);
		sandbox_trap_install(terminal_restore);
		sandbox = sandbox_create(&nothing);
		if (!sandbox || sandbox_enter(sandbox, SANDBOX_UFFD))
			_exit(1);
		call();
		syscall(SYS_exit_group, 0);
	}
	close(fds[1]);
	while ((n = read(fds[0], text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(fds[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void nothing_forbidden(void)
{
	syscall(SYS_gettid);
}

static void create_a_socket(void)
{
	syscall(SYS_socket, 1, 2, 0);
}

static void no_such_call(void)
{
	syscall(500, 0x123456789ull, 0, -1l);
}

static void the_32_bit_way(void)
{
	long nr = 20; /* getpid() there */

	__asm__ volatile("int $0x80" : "+a"(nr) : : "memory", "r8", "r9", "r10", "r11");
}

START_TEST(a_stopped_call_is_named)
{
	static const struct {
		void (*call)(void);
		int status;
		const char *says;
	} cases[] = {
		{nothing_forbidden, 0, ""},
		{create_a_socket, VMM_EX_SANDBOX,
		 "vmm: the sandbox has stopped a thread (uffd) at a system call that it has no "
		 "business with: socket(0x1, 0x2, 0x0)\n"},
		{no_such_call, VMM_EX_SANDBOX,
		 "vmm: the sandbox has stopped a thread (uffd) at a system call that it has no "
		 "business with: number 0x1f4(0x123456789, 0x0, 0xffffffffffffffff)\n"},
		{the_32_bit_way, VMM_EX_SANDBOX, "business with: 32-bit number 0x14("},
	};
	char text[512];

	ck_assert_int_eq(run_confined(cases[_i].call, text, sizeof(text)), cases[_i].status);
	if (cases[_i].call == the_32_bit_way)
		ck_assert_ptr_nonnull(strstr(text, cases[_i].says));
	else
		ck_assert_str_eq(text, cases[_i].says);
}
END_TEST

#endif

/* A container's own filter is not the kernel's lack. */
static void expect_told(int error, const char *says)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
		const char *why = "";

		if (!ctx || seccomp_rule_add(ctx, SCMP_ACT_ERRNO(error), SCMP_SYS(seccomp), 0) ||
		    seccomp_load(ctx))
			_exit(2);
		_exit(sandbox_is_possible(&why) || !strstr(why, says));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}

/* `ulimit -f` is about the user's files. */
START_TEST(filters_under_a_limit_of_files)
{
	const struct rlimit none = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	compile(&everything);
	ck_assert(ALLOWS(SANDBOX_MAIN, SYS_write));
}
END_TEST

START_TEST(filters_that_are_forbidden)
{
	expect_told(EPERM, "is forbidden here");
	expect_told(ENOSYS, "filter of a container hides it");
	expect_told(EINVAL, "this kernel has no filters");
}
END_TEST

/* What a sandbox says in a process in which the call fails so; "" if it was made. */
static void create_without(int call, int error, char *text, size_t size)
{
	const struct sandbox_needs needs = {.stats = "/tmp/stats.json"};
	FILE *said = tmpfile();
	int status;
	pid_t pid;

	ck_assert_ptr_nonnull(said);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

		if (!ctx || seccomp_rule_add(ctx, SCMP_ACT_ERRNO(error), call, 0) ||
		    seccomp_load(ctx) || dup2(fileno(said), STDERR_FILENO) < 0)
			_exit(2);
		_exit(sandbox_create(&needs) != NULL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) != 2);
	rewind(said);
	text[fread(text, 1, size - 1, said)] = '\0';
	fclose(said);
	ck_assert_int_eq(WEXITSTATUS(status), !*text);
}

/* A part of Landlock is refused before there is a guest, and by name. */
START_TEST(landlock_that_is_forbidden)
{
	static const struct {
		int call;
		const char *name;
	} calls[] = {
		{SCMP_SYS(landlock_add_rule), "landlock_add_rule(2)"},
		{SCMP_SYS(landlock_restrict_self), "landlock_restrict_self(2)"},
	};
	char text[512], says[128];

	if (!landlock_abi())
		return;
	snprintf(says, sizeof(says), "vmm: %s is forbidden here", calls[_i].name);
	create_without(calls[_i].call, EPERM, text, sizeof(text));
	ck_assert_msg(!strncmp(text, says, strlen(says)), "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "--no-sandbox"));
	create_without(calls[_i].call, ENOMEM, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "Cannot allocate memory"));
}
END_TEST

/* Whether that can be written to in a child process that may write nothing else. */
static bool is_let_write(const char *path)
{
	int ruleset = landlock_create(landlock_abi()), status;
	pid_t pid;

	ck_assert_int_eq(landlock_allow_write(ruleset, landlock_abi(), path), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || landlock_enter(ruleset))
			_exit(2);
		_exit(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0);
	}
	close(ruleset);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) != 2);
	return WEXITSTATUS(status) == 0;
}

/* It may be made in the folder where it will be, by whatever links. */
START_TEST(what_links_lead_to)
{
	char folder[] = "/tmp/unit-vmm-XXXXXX", further[64], made[64], link[64], other[64];

	if (!landlock_abi())
		return;
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(further, sizeof(further), "%s/further", folder);
	snprintf(made, sizeof(made), "%s/made", folder);
	snprintf(link, sizeof(link), "%s/further/link", folder);
	snprintf(other, sizeof(other), "%s/further/other", folder);
	ck_assert_int_eq(mkdir(further, 0700), 0);
	ck_assert_int_eq(symlink("other", link), 0);
	ck_assert_int_eq(symlink("../made", other), 0);
	ck_assert(is_let_write(link));
	ck_assert_int_eq(unlink(made), 0);
	ck_assert(is_let_write(other));
	ck_assert_int_eq(unlink(made), 0);
	ck_assert_int_eq(unlink(other), 0);
	ck_assert_int_eq(unlink(link), 0);
	ck_assert_int_eq(rmdir(further), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

TCase *sandbox_tests(void)
{
	TCase *tc = tcase_create("sandbox");

	tcase_add_checked_fixture(tc, NULL, tear_down);
	tcase_add_test(tc, nobody_ever);
	tcase_add_test(tc, how_many);
	tcase_add_test(tc, other_ways_into_the_kernel);
	tcase_add_test(tc, requests_to_kvm);
	tcase_add_test(tc, memory_is_never_code);
	tcase_add_test(tc, signals_stay_inside);
	tcase_add_test(tc, by_the_options);
	tcase_add_test(tc, entering_the_guest_is_decided_early);
	tcase_add_test(tc, filters_under_a_limit_of_files);
	tcase_add_test(tc, filters_that_are_forbidden);
	tcase_add_test(tc, what_links_lead_to);
	tcase_add_loop_test(tc, landlock_that_is_forbidden, 0, 2);
#ifndef __SANITIZE_ADDRESS__
	tcase_add_loop_test(tc, a_stopped_call_is_named, 0, 4);
#endif
	return tc;
}
