/* SPDX-License-Identifier: MIT */
#include "pin/tracking/uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "alias_abi.h"
#include "kvm/vm.h"
#include "stop.h"
#include "kvm/thread.h"

#define STACK_SIZE 32768u

#define RETRY_MS  1
#define TRIES_MAX 100u

struct uffd_wp {
	struct stop *stop;
	const struct sandbox *sandbox; /* of the thread */
	const struct memory *mem;
	int stop_fd; /* eventfd: ends the thread */
	pthread_t thread;

	pthread_mutex_t lock; /* guards all below */
	int fd;          /* except for the thread's own reads; -1 when the thread has closed it */
	bool failed;     /* write tracking has ended: nothing can be armed */
	uint64_t *armed; /* one bit for each frame; large and sparse, so mostly not resident */
	size_t nr_armed;
	uint64_t *noted; /* frames written since they were armed, each once */
	size_t capacity; /* of `noted`, >= nr_armed + nr_noted: the thread never allocates */
	/* Written under the lock (release), before the write that it stands for goes on; read
	 * without the lock (acquire), so that the usual case costs little. */
	atomic_size_t nr_noted;
};

int uffd_open(const char **why)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

#ifdef USERFAULTFD_IOC_NEW
	if (fd < 0 && errno == EPERM) {
		int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

		if (dev >= 0) {
			fd = ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
			close(dev);
		} else {
			errno = EPERM;
		}
	}
#endif
	if (fd < 0) {
		*why = errno == EPERM ? "userfaultfd needs root, CAP_SYS_PTRACE, access to "
					"/dev/userfaultfd, or sysctl vm.unprivileged_userfaultfd=1"
				      : "this kernel has no userfaultfd";
		return -1;
	}
	if (ioctl(fd, UFFDIO_API, &api) < 0) {
		*why = "userfaultfd of this kernel cannot write-protect";
		close(fd);
		return -1;
	}
	return fd;
}

static uint64_t hva_to_pfn(const struct memory *mem, uint64_t hva)
{
	for (unsigned i = 0; i < mem->nr; i++) {
		const struct memory_slot *slot = &mem->slot[i];
		uint64_t offset = hva - (uintptr_t)slot->hva;

		if (offset < slot->size)
			return (slot->gpa + offset) / ALIAS_PAGE_SIZE;
	}
	return UINT64_MAX;
}

/* The lock is held. */
static bool set_protection(const struct uffd_wp *uffd, uint64_t hva, bool protect)
{
	struct uffdio_writeprotect wp = {
		.range = {.start = hva, .len = ALIAS_PAGE_SIZE},
		.mode = protect ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(uffd->fd, UFFDIO_WRITEPROTECT, &wp) == 0;
}

static bool test_and_clear_armed(struct uffd_wp *uffd, uint64_t pfn)
{
	uint64_t bit = 1ull << (pfn % 64);
	bool was = uffd->armed[pfn / 64] & bit;

	uffd->armed[pfn / 64] &= ~bit;
	uffd->nr_armed -= was;
	return was;
}

static void note_dirtied(struct uffd_wp *uffd, uint64_t pfn)
{
	size_t nr = atomic_load_explicit(&uffd->nr_noted, memory_order_relaxed);

	uffd->noted[nr] = pfn;
	atomic_store_explicit(&uffd->nr_noted, nr + 1, memory_order_release);
}

static bool end_thread(const struct uffd_wp *uffd)
{
	uint64_t one = 1;

	return TEMP_FAILURE_RETRY(write(uffd->stop_fd, &one, sizeof(one))) == sizeof(one);
}

/* Ends write tracking: all armed frames count as written, since later writes would be missed. Then
 * the thread lets all waiting writes go on, by closing the userfaultfd. The lock is held. */
static void give_up_tracking(struct uffd_wp *uffd, const char *what)
{
	stop_on_error(uffd->stop, what);
	uffd->failed = true;
	for (uint64_t pfn = 0; uffd->nr_armed > 0; pfn++)
		if (test_and_clear_armed(uffd, pfn))
			note_dirtied(uffd, pfn);
	end_thread(uffd);
}

/* Lifts the protection, for which a writer waits; if that fails, write tracking ends. The lock is
 * held. */
static void lift_protection(struct uffd_wp *uffd, uint64_t hva)
{
	unsigned tries = 0;

	while (!uffd->failed && !set_protection(uffd, hva, false))
		if (++tries == TRIES_MAX)
			give_up_tracking(uffd, "UFFDIO_WRITEPROTECT, to let a write through");
		else
			poll(NULL, 0, RETRY_MS);
}

/* Notes the frame, and then lets the write go on. If a second vCPU waited for the same frame, it is
 * noted already. Both under the lock: after the note is taken the frame may be armed again, and
 * then its protection must stay. (Without the lock, only MADV_POPULATE_WRITE in uffd_wp_arm() would
 * prevent that.) */
static void note_write(struct uffd_wp *uffd, uint64_t hva)
{
	uint64_t pfn = hva_to_pfn(uffd->mem, hva);

	pthread_mutex_lock(&uffd->lock);
	if (pfn != UINT64_MAX && test_and_clear_armed(uffd, pfn))
		note_dirtied(uffd, pfn);
	lift_protection(uffd, hva);
	pthread_mutex_unlock(&uffd->lock);
}

void uffd_wp_mark_dirtied(struct uffd_wp *uffd, uint64_t pfn)
{
	const void *hva = memory_ptr(uffd->mem, pfn * ALIAS_PAGE_SIZE, ALIAS_PAGE_SIZE);

	if (!hva)
		return;
	pthread_mutex_lock(&uffd->lock);
	if (test_and_clear_armed(uffd, pfn)) { /* no other is protected: most of a balloon's */
		note_dirtied(uffd, pfn);
		lift_protection(uffd, (uintptr_t)hva);
	}
	pthread_mutex_unlock(&uffd->lock);
}

/* may fail for want of memory, which passes */
static bool wait_for_event(struct uffd_wp *uffd, struct pollfd fds[2])
{
	for (unsigned tries = 1; poll(fds, 2, -1) < 0; tries++) {
		if (tries == TRIES_MAX) {
			pthread_mutex_lock(&uffd->lock);
			give_up_tracking(uffd, "poll of the userfaultfd");
			pthread_mutex_unlock(&uffd->lock);
			return false;
		}
		poll(NULL, 0, RETRY_MS);
	}
	return true;
}

static void *uffd_thread(void *arg)
{
	struct uffd_wp *uffd = arg;
	struct pollfd fds[] = {
		{.fd = uffd->fd, .events = POLLIN},
		{.fd = uffd->stop_fd, .events = POLLIN},
	};

	while (!(fds[1].revents & POLLIN) && wait_for_event(uffd, fds)) {
		struct uffd_msg msg;

		while (read(uffd->fd, &msg, sizeof(msg)) == sizeof(msg))
			if (msg.event == UFFD_EVENT_PAGEFAULT)
				note_write(uffd, msg.arg.pagefault.address &
							 ~(uint64_t)(ALIAS_PAGE_SIZE - 1));
	}
	pthread_mutex_lock(&uffd->lock);
	close(uffd->fd);
	uffd->fd = -1;
	pthread_mutex_unlock(&uffd->lock);
	return NULL;
}

static bool register_range(const struct uffd_wp *uffd, uint8_t *start, uint8_t *end)
{
	struct uffdio_register reg = {
		.range = {.start = (uintptr_t)start, .len = end - start},
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	return start == end || ioctl(uffd->fd, UFFDIO_REGISTER, &reg) == 0;
}

/* Registers all memory but the shared pages, which are never page tables, and for which some
 * kernels can't do it. */
static bool register_memory(const struct uffd_wp *uffd)
{
	const struct memory *mem = uffd->mem;

	for (unsigned i = 0; i < mem->nr; i++) {
		const struct memory_slot *slot = &mem->slot[i];
		uint64_t shared = mem->shared_gpa - slot->gpa, start = 0;

		if (mem->shared_size && shared < slot->size) {
			if (!register_range(uffd, slot->hva, slot->hva + shared))
				return false;
			start = shared + mem->shared_size;
		}
		if (!register_range(uffd, slot->hva + start, slot->hva + slot->size))
			return false;
	}
	return true;
}

static bool start_thread(struct uffd_wp *uffd)
{
	struct thread_job job = {
		.sandbox = uffd->sandbox,
		.kind = SANDBOX_UFFD,
		.stack = STACK_SIZE,
		.run = uffd_thread,
		.arg = uffd,
	};

	return thread_start(&uffd->thread, &job) == 0;
}

static void free_uffd(struct uffd_wp *uffd)
{
	if (uffd->fd >= 0)
		close(uffd->fd);
	if (uffd->stop_fd >= 0)
		close(uffd->stop_fd);
	pthread_mutex_destroy(&uffd->lock);
	free(uffd->armed);
	free(uffd->noted);
	free(uffd);
}

struct uffd_wp *uffd_wp_start(const struct vm *vm, const char **why)
{
	const struct memory *mem = &vm->mem;
	struct uffd_wp *uffd = calloc(1, sizeof(*uffd));

	*why = "out of memory";
	if (!uffd)
		return NULL;
	uffd->stop = vm->stop;
	uffd->sandbox = vm->sandbox;
	uffd->mem = mem;
	uffd->stop_fd = -1;
	pthread_mutex_init(&uffd->lock, NULL);
	uffd->armed = calloc(memory_end_pfn(mem) / 64 + 1, sizeof(uint64_t));
	uffd->fd = uffd_open(why);
	if (uffd->fd < 0 || !uffd->armed)
		goto fail;
	if (!register_memory(uffd)) {
		*why = "userfaultfd cannot write-protect this memory";
		goto fail;
	}
	uffd->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (uffd->stop_fd < 0 || !start_thread(uffd)) {
		*why = "its thread cannot be started";
		goto fail;
	}
	return uffd;
fail:
	free_uffd(uffd);
	return NULL;
}

void uffd_wp_stop(struct uffd_wp *uffd)
{
	if (!uffd)
		return;
	if (end_thread(uffd))
		pthread_join(uffd->thread, NULL);
	free_uffd(uffd);
}

static bool reserve_note(struct uffd_wp *uffd)
{
	size_t need = uffd->nr_armed + 1 + atomic_load(&uffd->nr_noted);
	uint64_t *noted;

	if (need <= uffd->capacity)
		return true;
	noted = reallocarray(uffd->noted, need * 2, sizeof(*noted));
	if (!noted)
		return false;
	uffd->noted = noted;
	uffd->capacity = need * 2;
	return true;
}

bool uffd_wp_arm(struct uffd_wp *uffd, uint64_t pfn)
{
	void *hva = memory_ptr(uffd->mem, pfn * ALIAS_PAGE_SIZE, ALIAS_PAGE_SIZE);
	bool ok;

	/* Only a page that exists can be protected. */
	if (!hva || madvise(hva, ALIAS_PAGE_SIZE, MADV_POPULATE_WRITE))
		return false;
	pthread_mutex_lock(&uffd->lock);
	ok = !uffd->failed && reserve_note(uffd) && set_protection(uffd, (uintptr_t)hva, true);
	if (ok) {
		uffd->nr_armed += !(uffd->armed[pfn / 64] & 1ull << (pfn % 64));
		uffd->armed[pfn / 64] |= 1ull << (pfn % 64);
	}
	pthread_mutex_unlock(&uffd->lock);
	return ok;
}

void uffd_wp_disarm(struct uffd_wp *uffd, uint64_t pfn)
{
	void *hva = memory_ptr(uffd->mem, pfn * ALIAS_PAGE_SIZE, ALIAS_PAGE_SIZE);

	pthread_mutex_lock(&uffd->lock);
	if (test_and_clear_armed(uffd, pfn))
		lift_protection(uffd, (uintptr_t)hva);
	pthread_mutex_unlock(&uffd->lock);
}

size_t uffd_wp_dirtied(struct uffd_wp *uffd, uint64_t *pfns, size_t max)
{
	size_t n = 0;

	if (!atomic_load_explicit(&uffd->nr_noted, memory_order_acquire))
		return 0;
	pthread_mutex_lock(&uffd->lock);
	size_t nr = atomic_load_explicit(&uffd->nr_noted, memory_order_relaxed);

	while (n < max && nr > 0)
		pfns[n++] = uffd->noted[--nr];
	atomic_store_explicit(&uffd->nr_noted, nr, memory_order_relaxed);
	pthread_mutex_unlock(&uffd->lock);
	return n;
}
