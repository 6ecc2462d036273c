/* SPDX-License-Identifier: MIT */
/*
 * Runs in the Linux that alias-audit looks at, and says what that kernel itself knows:
 *
 *   inside tables    the frames that /proc/kpageflags calls page tables, one a line
 *   inside memfd     maps a memfd of 16 pages twice, writable and executable; prints a line
 *                    "PFN WRITABLE-VA EXECUTABLE-VA" for each page, and "mapped"; after a signal
 *                    unmaps them, and prints "unmapped"
 *   inside storm N   keeps N processes that sleep, and forks and ends others, for ever
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE        4096u
#define PAGES       16u
#define KPF_PGTABLE (1ull << 26)

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void print_tables(void)
{
	static uint64_t flags[PAGE];
	int fd = open("/proc/kpageflags", O_RDONLY);
	uint64_t pfn = 0;
	ssize_t n;

	if (fd < 0)
		fail("/proc/kpageflags");
	while ((n = read(fd, flags, sizeof(flags))) > 0)
		for (size_t i = 0; i < (size_t)n / 8; i++, pfn++)
			if (flags[i] & KPF_PGTABLE)
				printf("%" PRIx64 "\n", pfn);
	close(fd);
}

static uint64_t pfn_of(const void *page)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	if (fd < 0 || pread(fd, &entry, 8, (off_t)((uintptr_t)page / PAGE * 8)) != 8)
		fail("/proc/self/pagemap");
	close(fd);
	return entry & ((1ull << 55) - 1);
}

static void wake(int signal_nr)
{
	(void)signal_nr;
}

static void map_twice(void)
{
	int fd = memfd_create("twice", 0);
	volatile char *writable, *executable;

	if (fd < 0 || ftruncate(fd, PAGES * PAGE))
		fail("memfd_create");
	writable = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	executable = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	if (writable == MAP_FAILED || executable == MAP_FAILED)
		fail("mmap");
	for (size_t i = 0; i < PAGES; i++) {
		writable[i * PAGE] = 1;
		if (executable[i * PAGE] != 1)
			fail("the second mapping");
		printf("%" PRIx64 " %p %p\n", pfn_of((const char *)writable + i * PAGE),
		       (void *)(writable + i * PAGE), (void *)(executable + i * PAGE));
	}
	signal(SIGUSR1, wake);
	puts("mapped");
	fflush(stdout);
	pause();
	munmap((void *)executable, PAGES * PAGE);
	puts("unmapped");
	fflush(stdout);
	pause();
}

static void storm(int sleepers)
{
	for (int i = 0; i < sleepers; i++)
		if (fork() == 0)
			for (;;)
				pause();
	puts("storm");
	fflush(stdout);
	for (;;) {
		pid_t pid = fork();

		if (pid == 0) {
			volatile char *memory = malloc(1 << 20);

			for (size_t i = 0; memory && i < 1 << 20; i += PAGE)
				memory[i] = 1;
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "tables"))
		print_tables();
	else if (!strcmp(what, "memfd"))
		map_twice();
	else if (!strcmp(what, "storm") && argc > 2)
		storm(atoi(argv[2]));
	else
		return 64;
	return 0;
}
