/* SPDX-License-Identifier: MIT */
/* The disk's thread with a real io_uring. A pipe for an image makes requests that are in flight for
 * exactly as long as the test likes; /dev/full makes a disk that is full. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include "devices/blk/worker.h"
#include "driver.h"
#include "kvm/host.h"
#include "suites.h"

#define FEATURES (1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define SECTORS  2048

static struct driver drv;
static struct blk_worker worker;
static struct blk_image image;
static int used_fd;
static int broken_fd;
static int failed_fd; /* -1: io_uring must not fail */

static void used(void *ctx)
{
	(void)ctx;
	eventfd_write(used_fd, 1);
}

static void broken(void *ctx, const char *why)
{
	(void)ctx;
	(void)why;
	eventfd_write(broken_fd, 1);
}

static void failed(void *ctx, int error)
{
	(void)ctx;
	if (failed_fd < 0)
		ck_abort_msg("io_uring failed: %s", strerror(error));
	eventfd_write(failed_fd, (eventfd_t)error);
}

static const struct blk_worker_ops ops = {.used = used, .broken = broken, .failed = failed};

static void setup(void)
{
	driver_init(&drv, 256);
	used_fd = eventfd(0, EFD_CLOEXEC);
	broken_fd = eventfd(0, EFD_CLOEXEC);
	failed_fd = -1;
}

static void teardown(void)
{
	close(used_fd);
	close(broken_fd);
	driver_free(&drv);
}

static void begin(int image_fd)
{
	const struct blk_disk disk = {.name = "test", .sectors = SECTORS, .id = "disk0"};

	ck_assert_int_ge(image_fd, 0);
	image = (struct blk_image){.fd = image_fd, .sectors = SECTORS};
	ck_assert_int_eq(blk_worker_create(&worker, NULL, &image, &disk, &ops, NULL), 0);
	ck_assert_int_eq(blk_worker_start(&worker, &drv.mem, &drv.layout, FEATURES), 0);
}

static void end(void)
{
	blk_worker_destroy(&worker);
	close(image.fd);
}

static int temporary_file(void)
{
	char name[] = "/tmp/unit-virtio.XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	unlink(name);
	ck_assert_int_eq(ftruncate(fd, SECTORS * 512), 0);
	return fd;
}

/* Waits as a driver does, for interrupts. */
static void wait_used(unsigned nr)
{
	while (driver_nr_used(&drv) < nr) {
		eventfd_t value;

		ck_assert_int_eq(eventfd_read(used_fd, &value), 0);
	}
}

static void fill(uint8_t *data, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(seed * 31 + i * 7 + i / 256);
}

/* Every sector of the disk, 256 requests at a time, written, then read by the host, changed by it,
 * and read back. */
START_TEST(a_real_disk)
{
	enum { BYTES = 4096 };
	uint8_t expected[BYTES], found[BYTES];
	int fd = temporary_file();

	begin(fd);
	for (uint16_t i = 0; i < 256; i++) {
		fill(driver_data(&drv, i), BYTES, i);
		driver_request(&drv, i, VIRTIO_BLK_T_OUT, i * (BYTES / 512), BYTES);
	}
	blk_worker_kick(&worker);
	wait_used(256);
	for (uint16_t i = 0; i < 256; i++) {
		ck_assert_uint_eq(driver_status(&drv, i), VIRTIO_BLK_S_OK);
		fill(expected, BYTES, i);
		ck_assert_int_eq(pread(fd, found, BYTES, i * BYTES), BYTES);
		ck_assert_mem_eq(found, expected, BYTES);
		fill(found, BYTES, i + 1000);
		ck_assert_int_eq(pwrite(fd, found, BYTES, i * BYTES), BYTES);
	}
	drv.seen += 256;
	for (uint16_t i = 0; i < 256; i++)
		driver_request(&drv, i, VIRTIO_BLK_T_IN, i * (BYTES / 512), BYTES);
	blk_worker_kick(&worker);
	wait_used(256);
	for (uint16_t i = 0; i < 256; i++) {
		ck_assert_uint_eq(driver_status(&drv, i), VIRTIO_BLK_S_OK);
		fill(expected, BYTES, i + 1000);
		ck_assert_mem_eq(driver_data(&drv, i), expected, BYTES);
		ck_assert_uint_eq(driver_used(&drv).len, BYTES + 1);
	}
	driver_request(&drv, 0, VIRTIO_BLK_T_FLUSH, 0, 0);
	blk_worker_kick(&worker);
	wait_used(1);
	ck_assert_uint_eq(driver_status(&drv, 0), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(worker.core.stats.bytes_written, 256 * BYTES);
	end();
}
END_TEST

START_TEST(what_was_available_before_the_start_is_served)
{
	driver_request(&drv, 0, VIRTIO_BLK_T_IN, 0, 512);
	begin(temporary_file());
	wait_used(1);
	ck_assert_uint_eq(driver_status(&drv, 0), VIRTIO_BLK_S_OK);
	end();
}
END_TEST

START_TEST(a_full_disk)
{
	begin(open("/dev/full", O_RDWR | O_CLOEXEC));
	driver_request(&drv, 0, VIRTIO_BLK_T_OUT, 0, 4096);
	blk_worker_kick(&worker);
	wait_used(1);
	ck_assert_uint_eq(driver_status(&drv, 0), VIRTIO_BLK_S_IOERR);
	end();
}
END_TEST

START_TEST(an_image_that_was_cut_off)
{
	int fd = temporary_file();

	begin(fd);
	ck_assert_int_eq(ftruncate(fd, 1024), 0);
	driver_request(&drv, 0, VIRTIO_BLK_T_IN, 0, 1024);
	driver_request(&drv, 1, VIRTIO_BLK_T_IN, 1, 1024);
	driver_request(&drv, 2, VIRTIO_BLK_T_IN, 2, 1024);
	blk_worker_kick(&worker);
	wait_used(3);
	ck_assert_uint_eq(driver_status(&drv, 0), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(driver_status(&drv, 1), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(driver_status(&drv, 2), VIRTIO_BLK_S_IOERR);
	end();
}
END_TEST

START_TEST(a_broken_queue_is_told_once)
{
	eventfd_t value;

	begin(temporary_file());
	driver_offer(&drv, 1000);
	blk_worker_kick(&worker);
	ck_assert_int_eq(eventfd_read(broken_fd, &value), 0);
	/* Kicks are of no use now. Stopping waits for the thread, so it has seen this one. */
	blk_worker_kick(&worker);
	blk_worker_stop(&worker);
	ck_assert_uint_eq(value, 1);
	ck_assert_int_eq(poll(&(struct pollfd){.fd = broken_fd, .events = POLLIN}, 1, 0), 0);

	drv.avail->idx = 0;
	ck_assert_int_eq(blk_worker_start(&worker, &drv.mem, &drv.layout, FEATURES), 0);
	driver_request(&drv, 0, VIRTIO_BLK_T_IN, 0, 512);
	blk_worker_kick(&worker);
	wait_used(1);
	ck_assert_uint_eq(driver_status(&drv, 0), VIRTIO_BLK_S_OK);
	end();
}
END_TEST

static void *stop_thread(void *arg)
{
	(void)arg;
	blk_worker_stop(&worker);
	return NULL;
}

/* Until the worker was told to stop. */
static void wait_wanted(enum blk_worker_state state)
{
	enum blk_worker_state want;

	do {
		sched_yield();
		pthread_mutex_lock(&worker.lock);
		want = worker.want;
		pthread_mutex_unlock(&worker.lock);
	} while (want != state);
}

/* Two reads wait for a pipe that is empty: the stop must wait for them, and takes nothing new. */
START_TEST(a_stop_waits_for_what_is_in_flight)
{
	uint8_t bytes[1024];
	pthread_t thread;
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	begin(ends[0]);
	driver_request(&drv, 0, VIRTIO_BLK_T_IN, 0, 512);
	driver_request(&drv, 1, VIRTIO_BLK_T_IN, 1, 512);
	blk_worker_kick(&worker);
	while (atomic_load(&worker.core.stats.requests) < 2)
		sched_yield();
	ck_assert_int_eq(pthread_create(&thread, NULL, stop_thread, NULL), 0);
	wait_wanted(BLK_WORKER_IDLE);
	pthread_mutex_lock(&worker.lock);
	ck_assert_int_eq(worker.is, BLK_WORKER_RUN);
	pthread_mutex_unlock(&worker.lock);
	ck_assert_uint_eq(driver_nr_used(&drv), 0);

	driver_request(&drv, 2, VIRTIO_BLK_T_IN, 0, 512);
	blk_worker_kick(&worker);
	fill(bytes, sizeof(bytes), 5);
	ck_assert_int_eq(write(ends[1], bytes, 512), 512);
	wait_used(1);
	ck_assert_int_eq(write(ends[1], bytes, 512), 512);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	/* No waiting here: on return from the stop both are answered. */
	ck_assert_uint_eq(driver_nr_used(&drv), 2);
	ck_assert_uint_eq(driver_status(&drv, 0), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(driver_status(&drv, 1), VIRTIO_BLK_S_OK);
	blk_worker_kick(&worker);
	close(ends[1]);
	end();
	ck_assert_uint_eq(driver_status(&drv, 2), NOT_ANSWERED);
}
END_TEST

/* More than may be under way at a time, and none of it ends by itself. The stop leaves off at once
 * what has not been started, and the rest of what has. */
START_TEST(a_stop_does_not_wait_for_the_whole_queue)
{
	const unsigned nr = BLK_CORE_MOVING / BLK_OP_BYTES;
	pthread_t thread;
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	begin(ends[0]);
	for (uint16_t i = 0; i <= nr; i++)
		driver_request(&drv, i, VIRTIO_BLK_T_IN, 0, BLK_OP_BYTES);
	blk_worker_kick(&worker);
	while (atomic_load(&worker.core.stats.requests) <= nr)
		sched_yield();
	ck_assert_int_eq(pthread_create(&thread, NULL, stop_thread, NULL), 0);
	wait_used(1);
	ck_assert_uint_eq(driver_status(&drv, (uint16_t)nr), VIRTIO_BLK_S_IOERR);
	for (unsigned i = 0; i < nr; i++) {
		ck_assert_int_eq(write(ends[1], "", 1), 1);
		wait_used(2 + i);
	}
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	for (uint16_t i = 0; i <= nr; i++)
		ck_assert_uint_eq(driver_status(&drv, i), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(worker.core.stats.bytes_read, nr);
	close(ends[1]);
	end();
}
END_TEST

/* Bytes come in dribs and drabs, as from a pipe: one request, many short reads. */
START_TEST(short_reads_of_a_real_ring)
{
	uint8_t bytes[2048];
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	begin(ends[0]);
	driver_request(&drv, 0, VIRTIO_BLK_T_IN, 0, sizeof(bytes));
	blk_worker_kick(&worker);
	fill(bytes, sizeof(bytes), 9);
	for (unsigned done = 0; done < sizeof(bytes); done += 256) {
		ck_assert_int_eq(write(ends[1], bytes + done, 256), 256);
		while (atomic_load(&worker.core.stats.bytes_read) < done + 256)
			sched_yield();
	}
	wait_used(1);
	ck_assert_uint_eq(driver_status(&drv, 0), VIRTIO_BLK_S_OK);
	ck_assert_mem_eq(driver_data(&drv, 0), bytes, sizeof(bytes));
	ck_assert_uint_eq(worker.core.stats.continued, 7);
	close(ends[1]);
	end();
}
END_TEST

/* What the kernel would be told to do. */
START_TEST(durable_writes_are_asked_for)
{
	struct iovec iov = {0};
	struct blk_op op = {.kind = BLK_WRITE, .durable = _i, .iov = &iov, .nr_iov = 1};
	struct blk_uring uring;

	ck_assert_int_eq(blk_uring_init(&uring, -1, -1), 0);
	ck_assert_int_eq(blk_uring_start(&uring, &op), 0);
	ck_assert_uint_eq(uring.ring.sq.sqes[0].opcode, IORING_OP_WRITEV);
	ck_assert_int_eq(uring.ring.sq.sqes[0].rw_flags, _i ? RWF_DSYNC : 0);
	blk_uring_free(&uring);
}
END_TEST

/* Nobody may wait for a ring that is gone: not a driver that resets the disk, not the end. */
START_TEST(a_ring_that_fails)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	eventfd_t error;

	failed_fd = eventfd(0, EFD_CLOEXEC); /* the thread reads it, so before there is one */
	begin(temporary_file());
	/* The system call that is under way ends with a kick, the next one fails. */
	ck_assert_int_ge(dup3(null, worker.uring.ring.ring_fd, O_CLOEXEC), 0);
	driver_request(&drv, 0, VIRTIO_BLK_T_IN, 0, 512);
	blk_worker_kick(&worker);
	ck_assert_int_eq(eventfd_read(failed_fd, &error), 0);
	ck_assert_uint_eq(error, EOPNOTSUPP);
	blk_worker_stop(&worker);
	ck_assert_int_eq(blk_worker_start(&worker, &drv.mem, &drv.layout, FEATURES), 0);
	blk_worker_stop(&worker);
	end();
	ck_assert_uint_eq(driver_nr_used(&drv), 0);
	close(failed_fd);
	close(null);
}
END_TEST

/* From here on io_uring_setup() fails so in this process, which is the test's own. */
static void forbid_uring(int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static const struct {
	int error;
	const char *cure;
} refusals[] = {
	{EPERM, "kernel.io_uring_disabled=0"},
	{ENOSYS, "CONFIG_IO_URING"},
	{ENOMEM, "ulimit -l"},
	{EINVAL, HOST_LINUX_FLOOR},
};

START_TEST(an_io_uring_that_is_not_to_be_had)
{
	const struct blk_disk disk = {.name = "test", .sectors = SECTORS};
	char said[512] = "";
	int ends[2], saved = dup(STDERR_FILENO);

	forbid_uring(refusals[_i].error);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	dup2(ends[1], STDERR_FILENO);
	image.fd = temporary_file();
	ck_assert_int_eq(blk_worker_create(&worker, NULL, &image, &disk, &ops, NULL),
			 -refusals[_i].error);
	dup2(saved, STDERR_FILENO);
	ck_assert_int_gt(read(ends[0], said, sizeof(said) - 1), 0);
	ck_assert_ptr_nonnull(strstr(said, refusals[_i].cure));
	/* One sentence. */
	ck_assert_ptr_eq(strchr(said, '\n'), said + strlen(said) - 1);
	close(saved);
	close(ends[0]);
	close(ends[1]);
	close(image.fd);
}
END_TEST

static int result_of(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int result;

	ck_assert_int_eq(io_uring_submit(ring), 1);
	ck_assert_int_eq(io_uring_wait_cqe(ring, &cqe), 0);
	result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return result;
}

/* Whoever gets at it: no filter of system calls would see what it is asked for. */
START_TEST(a_ring_does_nothing_else)
{
	struct blk_uring uring;
	struct io_uring *ring = &uring.ring;
	int fd = temporary_file();

	ck_assert_int_eq(blk_uring_init(&uring, fd, used_fd), 0);
	io_uring_prep_fsync(io_uring_get_sqe(ring), fd, 0);
	ck_assert_int_eq(result_of(ring), 0);
	io_uring_prep_openat(io_uring_get_sqe(ring), AT_FDCWD, "/dev/null", O_RDONLY, 0);
	ck_assert_int_eq(result_of(ring), -EACCES);
	io_uring_prep_close(io_uring_get_sqe(ring), fd);
	ck_assert_int_eq(result_of(ring), -EACCES);
	io_uring_prep_nop(io_uring_get_sqe(ring));
	ck_assert_int_eq(result_of(ring), -EACCES);
	ck_assert_int_lt(io_uring_register_files(ring, &fd, 1), 0);
	blk_uring_free(&uring);
	close(fd);
}
END_TEST

TCase *worker_tests(void)
{
	TCase *tests = tcase_create("worker");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_real_disk);
	tcase_add_test(tests, what_was_available_before_the_start_is_served);
	tcase_add_test(tests, a_full_disk);
	tcase_add_test(tests, an_image_that_was_cut_off);
	tcase_add_test(tests, a_broken_queue_is_told_once);
	tcase_add_test(tests, a_stop_waits_for_what_is_in_flight);
	tcase_add_test(tests, a_stop_does_not_wait_for_the_whole_queue);
	tcase_add_test(tests, short_reads_of_a_real_ring);
	tcase_add_loop_test(tests, durable_writes_are_asked_for, 0, 2);
	tcase_add_test(tests, a_ring_that_fails);
	tcase_add_loop_test(tests, an_io_uring_that_is_not_to_be_had, 0, 4);
	tcase_add_test(tests, a_ring_does_nothing_else);
	return tests;
}
