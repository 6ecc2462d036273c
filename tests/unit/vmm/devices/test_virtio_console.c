/* SPDX-License-Identifier: MIT */
/* The virtio console through its registers and queues, as a guest's driver has it. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include <linux/kvm.h>
#include <linux/virtio_console.h>
#include "devices/blk/driver.h"
#include "devices/blk/registers.h"
#include "devices/console.h"
#include "devices/virtio_console.h"
#include "devices/virtio_host.h"
#include "devices/virtio_mmio.h"
#include "fake_kvm.h"
#include "stop.h"
#include "suites.h"

#define GSI      13
#define RING     16
#define IN_GPA   0x20000ull /* buffers of the receive queue */
#define IN_SIZE  64u
#define OUT_GPA  0x40000ull
#define RECEIVE  0
#define TRANSMIT 1
#define SIZE     (1ull << VIRTIO_CONSOLE_F_SIZE)

static struct driver in, out; /* one queue each; `in` has the memory of both */
static struct bus bus;
static struct stop stop;
static struct console *console;
static struct virtio_console *virtio;
static int printed; /* the reading end of what is standard output here */
static int irq_fd;

static int kvm(int fd, unsigned long request, void *arg)
{
	const struct kvm_irqfd *irqfd = arg;

	(void)fd;
	if (request != KVM_IRQFD)
		return FAKE_PASS;
	ck_assert_uint_eq(irqfd->gsi, GSI);
	irq_fd = (int)irqfd->fd;
	return 0;
}

static void first_char(void *ctx)
{
	(void)ctx;
}

static void create(const struct terminal_size *size)
{
	struct virtio_host host = {.mem = &in.mem, .mmio = &bus, .stop = &stop};

	bus = (struct bus){0};
	virtio = virtio_console_create(&host, console, size, MMIO_BASE, GSI);
	ck_assert_ptr_nonnull(virtio);
}

static void set_up(void)
{
	int fds[2];

	fake_kvm = kvm;
	driver_init(&in, RING);
	out = in;
	out.layout = (struct virtqueue_layout){
		.num = RING, .desc = 0x5000, .avail = 0x6000, .used = 0x7000};
	out.desc = driver_at(&in, 0x5000);
	out.avail = driver_at(&in, 0x6000);
	out.used = driver_at(&in, 0x7000);
	ck_assert_int_eq(pipe2(fds, O_NONBLOCK), 0);
	dup2(fds[1], STDOUT_FILENO);
	close(fds[1]);
	printed = fds[0];
	ck_assert_int_eq(stop_init(&stop), 0);
	console = console_create(stop.fd, first_char, NULL);
	ck_assert_ptr_nonnull(console);
	create(NULL);
}

static void tear_down(void)
{
	virtio_console_destroy(virtio);
	console_destroy(console);
	stop_free(&stop);
	close(printed);
	driver_free(&in);
}

/* Both queues, as a driver does it: then DRIVER_OK. */
static uint32_t start_driver(uint64_t features)
{
	reg_write(&bus, VIRTIO_MMIO_STATUS, 0);
	reg_write(&bus, VIRTIO_MMIO_STATUS, ACK | DRIVER);
	reg_write_features(&bus, VERSION_1 | features);
	reg_write(&bus, VIRTIO_MMIO_STATUS, ACK | DRIVER | FEAT_OK);
	reg_write_layout(&bus, RECEIVE, &in.layout);
	reg_write(&bus, VIRTIO_MMIO_QUEUE_READY, 1);
	reg_write_layout(&bus, TRANSMIT, &out.layout);
	reg_write(&bus, VIRTIO_MMIO_QUEUE_READY, 1);
	reg_write(&bus, VIRTIO_MMIO_STATUS, ACK | DRIVER | FEAT_OK | DRIVER_OK);
	return reg_read(&bus, VIRTIO_MMIO_STATUS);
}

static void acknowledge(uint32_t interrupts)
{
	uint64_t count;

	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_INTERRUPT_STATUS) & interrupts, interrupts);
	reg_write(&bus, VIRTIO_MMIO_INTERRUPT_ACK, interrupts);
	ck_assert_int_eq(read(irq_fd, &count, sizeof(count)), sizeof(count));
}

/* With the terminal's size, which it reads when it is told to. Returns the device's status. */
static uint32_t bring_up(void)
{
	uint32_t status = start_driver(SIZE);

	if (!(status & BROKEN))
		acknowledge(VIRTIO_MMIO_INT_CONFIG);
	reg_read(&bus, VIRTIO_MMIO_CONFIG);
	return status;
}

static void notify(unsigned queue)
{
	reg_write(&bus, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

static void give_buffers(unsigned first, unsigned nr)
{
	for (unsigned i = first; i < first + nr; i++) {
		driver_desc(&in, i, IN_GPA + i * IN_SIZE, IN_SIZE, VRING_DESC_F_WRITE, 0);
		driver_offer(&in, (uint16_t)i);
	}
	notify(RECEIVE);
}

static size_t type_in(const char *text, size_t nr)
{
	struct input_sink sink = virtio_console_input(virtio);

	return sink.receive(sink.dev, (const uint8_t *)text, nr);
}

static bool readable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

static void expect_printed(const char *text)
{
	char got[8192] = "";
	ssize_t n = read(printed, got, sizeof(got) - 1);

	ck_assert_int_eq(n, (ssize_t)strlen(text));
	ck_assert_str_eq(got, text);
}

START_TEST(says_what_it_is)
{
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_DEVICE_ID), 3);
	ck_assert(reg_read_features(&bus) == (VERSION_1 | SIZE));
	for (unsigned queue = 0; queue < 3; queue++) {
		reg_write(&bus, VIRTIO_MMIO_QUEUE_SEL, queue);
		ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_QUEUE_NUM_MAX), queue < 2 ? 256 : 0);
	}
}
END_TEST

START_TEST(prints)
{
	ck_assert(!virtio_console_has_driver(virtio));
	ck_assert_uint_eq(bring_up(), ACK | DRIVER | FEAT_OK | DRIVER_OK);
	ck_assert(virtio_console_has_driver(virtio));
	memcpy(driver_at(&in, OUT_GPA), "hello world\nagain\n", 18);
	driver_desc(&out, 3, OUT_GPA, 6, VRING_DESC_F_NEXT, 4);
	driver_desc(&out, 4, OUT_GPA + 6, 6, 0, 0);
	driver_offer(&out, 3);
	driver_desc(&out, 5, OUT_GPA + 12, 6, 0, 0);
	driver_offer(&out, 5);
	notify(TRANSMIT);
	expect_printed("hello world\nagain\n");
	ck_assert_uint_eq(driver_nr_used(&out), 2);
	ck_assert_uint_eq(driver_used(&out).id, 3);
	ck_assert_uint_eq(driver_used(&out).id, 5);
	ck_assert(readable(irq_fd));
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
}
END_TEST

/* A driver of Linux drops what it receives before it is through with its initialization, although
 * it has given buffers: it is told to read the configuration, and does that when it is. */
START_TEST(input_waits_until_the_driver_listens)
{
	int room_fd = virtio_console_input(virtio).room_fd;

	ck_assert_uint_eq(type_in("early", 5), 0);
	ck_assert_uint_eq(start_driver(SIZE), ACK | DRIVER | FEAT_OK | DRIVER_OK);
	give_buffers(0, 2);
	ck_assert_uint_eq(type_in("early", 5), 0);
	reg_read(&bus, VIRTIO_MMIO_CONFIG); /* of its own accord, the interrupt unseen */
	ck_assert_uint_eq(type_in("early", 5), 0);
	ck_assert(!readable(room_fd));
	acknowledge(VIRTIO_MMIO_INT_CONFIG);
	ck_assert(!readable(room_fd));
	reg_read(&bus, VIRTIO_MMIO_CONFIG);
	ck_assert(readable(room_fd));
	ck_assert_uint_eq(type_in("early", 5), 5);
	ck_assert_uint_eq(driver_used(&in).len, 5);
	/* The next driver, too. */
	ck_assert_uint_eq(start_driver(SIZE), ACK | DRIVER | FEAT_OK | DRIVER_OK);
	ck_assert_uint_eq(type_in("early", 5), 0);
}
END_TEST

/* None is taken before the driver has given buffers; then the main thread is told. A driver that
 * does without the terminal's size can't tell when it listens. */
START_TEST(input_waits_for_buffers)
{
	int room_fd = virtio_console_input(virtio).room_fd;
	uint64_t count;

	ck_assert_uint_eq(type_in("early", 5), 0);
	if (_i == 0)
		start_driver(0);
	else
		bring_up();
	ck_assert_int_eq(read(room_fd, &count, sizeof(count)), sizeof(count));
	ck_assert_uint_eq(type_in("early", 5), 0);
	ck_assert(!readable(room_fd));
	give_buffers(0, 1);
	ck_assert(readable(room_fd));
	ck_assert(!readable(irq_fd));
	ck_assert_uint_eq(type_in("early", 5), 5);
	ck_assert_uint_eq(driver_used(&in).len, 5);
	ck_assert_mem_eq(driver_at(&in, IN_GPA), "early", 5);
	ck_assert(readable(irq_fd));
	give_buffers(1, 2);
	ck_assert_uint_eq(type_in("a", 1), 1);
	ck_assert_uint_eq(type_in("bc", 2), 2);
	ck_assert_uint_eq(driver_used(&in).len, 1);
	ck_assert_uint_eq(driver_used(&in).len, 2);
	ck_assert_mem_eq(driver_at(&in, IN_GPA + 2 * IN_SIZE), "bc", 2);
	/* After a reset nothing goes to the old queue. */
	give_buffers(3, 1);
	reg_write(&bus, VIRTIO_MMIO_STATUS, 0);
	ck_assert_uint_eq(type_in("d", 1), 0);
	ck_assert_uint_eq(driver_nr_used(&in), 0);
}
END_TEST

/* What there is no room for is taken later, in order, and the main thread is told when. */
START_TEST(flow_control)
{
	int room_fd = virtio_console_input(virtio).room_fd;
	char text[3 * IN_SIZE + 1];
	size_t taken;
	uint64_t count;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)i;
	bring_up();
	give_buffers(0, 2);
	taken = type_in(text, sizeof(text));
	ck_assert_uint_eq(taken, 2 * IN_SIZE);
	ck_assert(!readable(room_fd));
	give_buffers(2, 2);
	ck_assert_int_eq(read(room_fd, &count, sizeof(count)), sizeof(count));
	taken += type_in(text + taken, sizeof(text) - taken);
	ck_assert_uint_eq(taken, sizeof(text));
	ck_assert_mem_eq(driver_at(&in, IN_GPA), text, sizeof(text));
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(driver_used(&in).len, IN_SIZE);
	ck_assert_uint_eq(driver_used(&in).len, 1);
	give_buffers(4, 1);
	ck_assert(!readable(room_fd)); /* nobody waits for that */
}
END_TEST

START_TEST(a_terminal_and_its_size)
{
	struct terminal_size size = {.columns = 80, .rows = 25};

	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_CONFIG), 0);
	virtio_console_destroy(virtio);
	create(&size);
	bring_up();
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_CONFIG), 25 << 16 | 80);
	size = (struct terminal_size){.columns = 132, .rows = 50};
	virtio_console_resize(virtio, &size);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_CONFIG), 50 << 16 | 132);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_CONFIG_GENERATION), 1);
	acknowledge(VIRTIO_MMIO_INT_CONFIG);
}
END_TEST

static void expect_broken(void)
{
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_STATUS) & BROKEN, BROKEN);
	/* By a reset it is whole again. */
	memset(in.avail, 0, 64);
	memset(out.avail, 0, 64);
	memset(in.used, 0, 64);
	in.seen = 0;
	ck_assert_uint_eq(bring_up(), ACK | DRIVER | FEAT_OK | DRIVER_OK);
	give_buffers(0, 1);
	type_in("x", 1);
	ck_assert_uint_eq(driver_used(&in).len, 1);
}

START_TEST(a_broken_queue_for_output)
{
	bring_up();
	driver_desc(&out, 0, HIGH_GPA + SLOT_SIZE, 5, 0, 0);
	driver_offer(&out, 0);
	notify(TRANSMIT);
	driver_offer(&out, 1);
	notify(TRANSMIT);
	ck_assert_uint_eq(driver_nr_used(&out), 0);
	expect_broken();
}
END_TEST

START_TEST(a_broken_queue_for_input)
{
	bring_up();
	if (_i == 0) /* a buffer that can't be written */
		driver_desc(&in, 0, IN_GPA, IN_SIZE, 0, 0);
	else /* a chain that loops */
		driver_desc(&in, 0, IN_GPA, IN_SIZE, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 0);
	driver_offer(&in, 0);
	notify(RECEIVE);
	ck_assert_uint_eq(type_in("x", 1), 0);
	ck_assert_uint_eq(type_in("y", 1), 0);
	notify(RECEIVE);
	ck_assert_uint_eq(driver_nr_used(&in), 0);
	expect_broken();
}
END_TEST

START_TEST(queues_out_of_memory)
{
	in.layout.desc = HIGH_GPA + SLOT_SIZE;
	ck_assert_uint_eq(bring_up() & BROKEN, BROKEN);
	notify(RECEIVE);
	notify(TRANSMIT);
	ck_assert_uint_eq(type_in("x", 1), 0);
}
END_TEST

/* As long as the run lasts a standard output that takes nothing holds the guest up; then no more.
 */
START_TEST(the_end_is_not_held_up)
{
	bring_up();
	memset(driver_at(&in, OUT_GPA), 'x', SLOT_SIZE - OUT_GPA);
	driver_desc(&out, 0, OUT_GPA, (uint32_t)(SLOT_SIZE - OUT_GPA), 0, 0);
	driver_offer(&out, 0);
	stop_request(&stop, 0);
	notify(TRANSMIT); /* more than the pipe takes */
}
END_TEST

#define MUCH 5000u

/* A guest's vCPU: takes its input, repeats it, and reads the size that changes. */
static void *repeat_much(void *arg)
{
	unsigned *wrong = arg;
	uint8_t next = 0;

	bring_up();
	give_buffers(0, RING);
	for (unsigned taken = 0; taken < MUCH;) {
		struct vring_used_elem elem;

		reg_read(&bus, VIRTIO_MMIO_CONFIG);
		if (driver_nr_used(&in) == 0)
			continue;
		elem = driver_used(&in);
		for (unsigned i = 0; i < elem.len; i++, next++)
			*wrong +=
				((uint8_t *)driver_at(&in, IN_GPA + elem.id * IN_SIZE))[i] != next;
		taken += elem.len;
		driver_desc(&out, 0, IN_GPA + elem.id * IN_SIZE, elem.len, 0, 0);
		driver_offer(&out, 0);
		notify(TRANSMIT);
		give_buffers(elem.id, 1);
	}
	return NULL;
}

/* Main thread and vCPU at once; what goes wrong is seen by ThreadSanitizer, too. */
START_TEST(threads)
{
	struct input_sink sink = virtio_console_input(virtio);
	struct pollfd room = {.fd = sink.room_fd, .events = POLLIN};
	struct terminal_size size = {.rows = 25};
	uint8_t text[MUCH];
	char printed_now[MUCH];
	unsigned wrong = 0, back = 0;
	pthread_t vcpu;
	uint64_t count;

	for (size_t i = 0; i < MUCH; i++)
		text[i] = (uint8_t)i;
	ck_assert_int_eq(pthread_create(&vcpu, NULL, repeat_much, &wrong), 0);
	for (size_t sent = 0; sent < MUCH; size.columns++) {
		size_t nr = MUCH - sent < 2 * IN_SIZE ? MUCH - sent : 2 * IN_SIZE;
		size_t taken = sink.receive(sink.dev, text + sent, nr);

		sent += taken;
		virtio_console_resize(virtio, &size);
		if (taken < nr)
			ck_assert_int_eq(poll(&room, 1, -1), 1);
		if (taken < nr)
			ck_assert_int_eq(read(sink.room_fd, &count, sizeof(count)), sizeof(count));
	}
	pthread_join(vcpu, NULL);
	ck_assert_uint_eq(wrong, 0);
	ck_assert(console_drain(console));
	while (back < MUCH) {
		ssize_t n = read(printed, printed_now + back, MUCH - back);

		ck_assert_int_gt(n, 0);
		back += (unsigned)n;
	}
	ck_assert_mem_eq(printed_now, text, MUCH);
}
END_TEST

TCase *virtio_console_tests(void)
{
	TCase *tc = tcase_create("virtio-console");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, says_what_it_is);
	tcase_add_test(tc, prints);
	tcase_add_test(tc, input_waits_until_the_driver_listens);
	tcase_add_loop_test(tc, input_waits_for_buffers, 0, 2);
	tcase_add_test(tc, flow_control);
	tcase_add_test(tc, a_terminal_and_its_size);
	tcase_add_test(tc, a_broken_queue_for_output);
	tcase_add_loop_test(tc, a_broken_queue_for_input, 0, 2);
	tcase_add_test(tc, queues_out_of_memory);
	tcase_add_test(tc, the_end_is_not_held_up);
	tcase_add_test(tc, threads);
	return tc;
}
