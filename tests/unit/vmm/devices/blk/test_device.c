/* SPDX-License-Identifier: MIT */
/* The whole device as the machine makes it, driven through its registers. KVM is played by this
 * file: the linker sends ioctl() here. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/kvm.h>
#include "driver.h"
#include "devices/bus.h"
#include "devices/virtio_host.h"
#include "stop.h"
#include "registers.h"
#include "suites.h"
#include "devices/blk/virtio_blk.h"
#include "devices/virtio_mmio.h"

#define VM_FD    12345
#define FEATURES (VERSION_1 | 1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define RUNNING  (ACK | DRIVER | FEAT_OK | DRIVER_OK)

static struct driver drv;
static struct bus mmio;
static struct stop stop;
static struct virtio_blk *blk;
static char path[64];

static struct {
	struct kvm_irqfd irqfd; /* as assigned last */
	struct kvm_ioeventfd ioeventfd;
	unsigned nr_irqfds, nr_ioeventfds;
	unsigned long fail; /* this request fails */
} kvm;

int __wrap_ioctl(int fd, unsigned long request, ...);
int __real_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (fd != VM_FD)
		return __real_ioctl(fd, request, arg);
	if (request == kvm.fail) {
		errno = ENOSPC;
		return -1;
	}
	if (request == KVM_IRQFD) {
		kvm.irqfd = *(struct kvm_irqfd *)arg;
		kvm.nr_irqfds += kvm.irqfd.flags & KVM_IRQFD_FLAG_DEASSIGN ? -1u : 1;
	} else {
		ck_assert_uint_eq(request, KVM_IOEVENTFD);
		kvm.ioeventfd = *(struct kvm_ioeventfd *)arg;
		kvm.nr_ioeventfds += kvm.ioeventfd.flags & KVM_IOEVENTFD_FLAG_DEASSIGN ? -1u : 1;
	}
	return 0;
}

static void setup(void)
{
	int fd;

	memset(&kvm, 0, sizeof(kvm));
	driver_init(&drv, 256);
	mmio = (struct bus){0};
	ck_assert_int_eq(stop_init(&stop), 0);
	snprintf(path, sizeof(path), "/tmp/unit-virtio.XXXXXX");
	fd = mkostemp(path, O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
	close(fd);
}

static void teardown(void)
{
	ck_assert(!stop_requested(&stop));
	stop_free(&stop);
	unlink(path);
	driver_free(&drv);
}

/* The option must outlive the device. */
static int create(bool readonly)
{
	static struct disk_option disk;
	struct virtio_host host = {.mem = &drv.mem, .mmio = &mmio, .vm_fd = VM_FD, .stop = &stop};

	disk = (struct disk_option){.path = path, .readonly = readonly};
	return virtio_blk_create(&host, 3, &disk, MMIO_BASE, 9, &blk);
}

/* As a driver's handler does it: wait for an edge, read and acknowledge, look at the ring. */
static void wait_answer(uint16_t id)
{
	while (driver_nr_used(&drv) == 0) {
		uint64_t edges;

		if (read((int)kvm.irqfd.fd, &edges, sizeof(edges)) < 0)
			sched_yield(); /* it is non-blocking */
		reg_write(&mmio, VIRTIO_MMIO_INTERRUPT_ACK,
			  reg_read(&mmio, VIRTIO_MMIO_INTERRUPT_STATUS));
	}
	ck_assert_uint_eq(driver_used(&drv).id, id);
}

static void kick(void)
{
	reg_write(&mmio, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
}

START_TEST(it_is_wired_to_kvm)
{
	ck_assert_int_eq(create(false), 0);
	ck_assert_uint_eq(kvm.irqfd.gsi, 9);
	ck_assert(kvm.ioeventfd.addr == MMIO_BASE + VIRTIO_MMIO_QUEUE_NOTIFY);
	ck_assert_uint_eq(kvm.ioeventfd.len, 4);
	ck_assert_uint_eq(kvm.nr_irqfds, 1);
	ck_assert_uint_eq(kvm.nr_ioeventfds, 1);
	ck_assert_uint_eq(mmio.nr, 1);
	virtio_blk_destroy(blk);
	ck_assert_uint_eq(kvm.nr_irqfds, 0);
	ck_assert_uint_eq(kvm.nr_ioeventfds, 0);
}
END_TEST

START_TEST(a_disk_at_work)
{
	const char *text = "written by the guest";
	char found[32] = "";
	json_t *stats = json_object();
	int fd;

	ck_assert_int_eq(create(false), 0);
	ck_assert_uint_eq(reg_read(&mmio, VIRTIO_MMIO_CONFIG), (1 << 20) / 512);
	ck_assert_uint_eq(reg_bring_up(&mmio, FEATURES, &drv.layout), RUNNING);
	memcpy(driver_data(&drv, 0), text, strlen(text));
	driver_request(&drv, 0, VIRTIO_BLK_T_OUT, 5, 512);
	kick();
	wait_answer(0);
	ck_assert_uint_eq(driver_status(&drv, 0), VIRTIO_BLK_S_OK);
	driver_request(&drv, 1, VIRTIO_BLK_T_GET_ID, 0, 20);
	/* The same kick as it comes by the ioeventfd. */
	ck_assert_int_eq(write(kvm.ioeventfd.fd, &(uint64_t){1}, 8), 8);
	wait_answer(1);
	ck_assert_str_eq((char *)driver_data(&drv, 1), "disk3");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(pread(fd, found, strlen(text), 5 * 512), (ssize_t)strlen(text));
	close(fd);
	ck_assert_str_eq(found, text);

	virtio_blk_stats(blk, stats);
	ck_assert_int_eq(json_integer_value(json_object_get(stats, "requests")), 2);
	ck_assert_int_eq(json_integer_value(json_object_get(stats, "bytes_written")), 512);
	json_decref(stats);
	virtio_blk_destroy(blk);
}
END_TEST

START_TEST(a_readonly_disk)
{
	ck_assert_int_eq(chmod(path, 0400), 0);
	ck_assert_int_eq(create(true), 0);
	ck_assert(reg_read_features(&mmio) & 1ull << VIRTIO_BLK_F_RO);
	/* Whether the driver cares or not. */
	ck_assert_uint_eq(reg_bring_up(&mmio, FEATURES, &drv.layout), RUNNING);
	driver_request(&drv, 0, VIRTIO_BLK_T_OUT, 0, 512);
	kick();
	wait_answer(0);
	ck_assert_uint_eq(driver_status(&drv, 0), VIRTIO_BLK_S_IOERR);
	driver_request(&drv, 1, VIRTIO_BLK_T_IN, 0, 512);
	driver_request(&drv, 2, VIRTIO_BLK_T_FLUSH, 0, 0);
	kick();
	wait_answer(1);
	wait_answer(2);
	ck_assert_uint_eq(driver_status(&drv, 1), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(driver_status(&drv, 2), VIRTIO_BLK_S_OK);
	virtio_blk_destroy(blk);
}
END_TEST

/* The guest breaks its ring, sees that, resets and goes on. */
START_TEST(a_broken_queue_until_reset)
{
	ck_assert_int_eq(create(false), 0);
	reg_bring_up(&mmio, FEATURES, &drv.layout);
	driver_offer(&drv, 300);
	kick();
	while (!(reg_read(&mmio, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG))
		sched_yield();
	ck_assert_uint_eq(reg_read(&mmio, VIRTIO_MMIO_STATUS), RUNNING | BROKEN);
	drv.avail->idx = 0;
	ck_assert_uint_eq(reg_bring_up(&mmio, FEATURES, &drv.layout), RUNNING);
	driver_request(&drv, 0, VIRTIO_BLK_T_IN, 0, 512);
	kick();
	wait_answer(0);
	ck_assert_uint_eq(driver_status(&drv, 0), VIRTIO_BLK_S_OK);
	virtio_blk_destroy(blk);
}
END_TEST

START_TEST(a_queue_outside_of_memory)
{
	struct virtqueue_layout layout = {256, SLOT_SIZE, AVAIL_GPA, USED_GPA};

	ck_assert_int_eq(create(false), 0);
	ck_assert_uint_eq(reg_bring_up(&mmio, FEATURES, &layout), RUNNING | BROKEN);
	kick();
	ck_assert_uint_eq(reg_bring_up(&mmio, FEATURES, &drv.layout), RUNNING);
	driver_request(&drv, 0, VIRTIO_BLK_T_IN, 0, 512);
	kick();
	wait_answer(0);
	virtio_blk_destroy(blk);
}
END_TEST

/* Reset after reset with 256 requests in flight: each waits for them, so that what is written to
 * guest memory after it can only be the guest's. */
START_TEST(resets_with_requests_in_flight)
{
	uint8_t *ours = malloc(256 * DATA_SIZE);

	memset(ours, 0xa5, 256 * DATA_SIZE);
	ck_assert_int_eq(create(false), 0);
	for (unsigned round = 0; round < 50; round++) {
		drv.avail->idx = drv.used->idx = 0;
		drv.seen = 0;
		ck_assert_uint_eq(reg_bring_up(&mmio, FEATURES, &drv.layout), RUNNING);
		for (uint16_t i = 0; i < 256; i++)
			driver_request(&drv, i, i % 2 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT, i * 8,
				       4096);
		kick();
		reg_write(&mmio, VIRTIO_MMIO_STATUS, 0);
		ck_assert_uint_eq(reg_read(&mmio, VIRTIO_MMIO_STATUS), 0);
		memcpy(driver_data(&drv, 0), ours, 256 * DATA_SIZE);
		ck_assert_mem_eq(driver_data(&drv, 0), ours, 256 * DATA_SIZE);
	}
	virtio_blk_destroy(blk);
	/* The host's side has ended, too: nobody else is left who could write. */
	ck_assert_mem_eq(driver_data(&drv, 0), ours, 256 * DATA_SIZE);
	free(ours);
}
END_TEST

START_TEST(destroyed_with_requests_in_flight)
{
	unsigned answered = 0;

	ck_assert_int_eq(create(false), 0);
	reg_bring_up(&mmio, FEATURES, &drv.layout);
	for (uint16_t i = 0; i < 256; i++)
		driver_request(&drv, i, VIRTIO_BLK_T_OUT, i * 8, 4096);
	kick();
	virtio_blk_destroy(blk);
	/* What was taken is answered, all of it or none, and nothing is half done. */
	for (uint16_t i = 0; i < 256; i++)
		answered += driver_status(&drv, i) == VIRTIO_BLK_S_OK;
	ck_assert_uint_eq(answered, driver_nr_used(&drv));
}
END_TEST

START_TEST(what_can_fail_leaves_nothing_behind)
{
	static const unsigned long requests[] = {KVM_IRQFD, KVM_IOEVENTFD};
	int before = dup(0);
	int after;

	close(before);
	kvm.fail = requests[_i];
	ck_assert_int_eq(create(false), -ENOSPC);
	ck_assert_uint_eq(kvm.nr_irqfds, 0);
	ck_assert_uint_eq(mmio.nr, 0);
	after = dup(0);
	close(after);
	ck_assert_int_eq(after, before);

	/* The lock is gone, too. */
	kvm.fail = 0;
	ck_assert_int_eq(create(false), 0);
	virtio_blk_destroy(blk);
}
END_TEST

START_TEST(two_devices_for_one_image)
{
	struct virtio_blk *first;

	ck_assert_int_eq(create(false), 0);
	first = blk;
	ck_assert_int_eq(create(false), -EWOULDBLOCK);
	virtio_blk_destroy(first);
}
END_TEST

START_TEST(no_room_for_its_registers)
{
	struct bus_region taken = {
		.base = MMIO_BASE + 0x100, .size = 4, .ops = &virtio_mmio_bus_ops};

	ck_assert_int_eq(bus_add(&mmio, &taken), 0);
	ck_assert_int_eq(create(false), -EEXIST);
	ck_assert_uint_eq(kvm.nr_irqfds, 0);
	ck_assert_uint_eq(kvm.nr_ioeventfds, 0);
}
END_TEST

TCase *device_tests(void)
{
	TCase *tests = tcase_create("device");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, it_is_wired_to_kvm);
	tcase_add_test(tests, a_disk_at_work);
	tcase_add_test(tests, a_readonly_disk);
	tcase_add_test(tests, a_broken_queue_until_reset);
	tcase_add_test(tests, a_queue_outside_of_memory);
	tcase_add_test(tests, resets_with_requests_in_flight);
	tcase_add_test(tests, destroyed_with_requests_in_flight);
	tcase_add_loop_test(tests, what_can_fail_leaves_nothing_behind, 0, 2);
	tcase_add_test(tests, two_devices_for_one_image);
	tcase_add_test(tests, no_room_for_its_registers);
	return tests;
}
