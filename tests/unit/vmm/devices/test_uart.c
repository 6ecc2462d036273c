/* SPDX-License-Identifier: MIT */
/* The 16550 through the port bus, as a guest sees it. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "devices/console.h"
#include "fake_kvm.h"
#include "devices/bus.h"
#include "machine_map.h"
#include "stop.h"
#include "suites.h"
#include "devices/uart.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };

/* The interrupt line as KVM would know it, and how often it rose. */
static unsigned line, rises;

static int irq_line(int fd, unsigned long request, void *arg)
{
	const struct kvm_irq_level *irq = arg;

	(void)fd;
	if (request != KVM_IRQ_LINE)
		return FAKE_PASS;
	ck_assert_uint_eq(irq->irq, UART_GSI);
	ck_assert_uint_ne(irq->level, line);
	line = irq->level;
	rises += line;
	return 0;
}

static struct bus pio;
static struct stop stop;
static struct console *console;
static struct uart *uart;
static unsigned first_chars;
static int out; /* the reading end of what is standard output here */

static void first_char(void *ctx)
{
	ck_assert_ptr_eq(ctx, &first_chars);
	first_chars++;
}

static void set_up(void)
{
	struct uart_config config = {.pio = &pio, .irq = {.gsi = UART_GSI}, .stop = &stop};
	int fds[2];

	pio = (struct bus){0};
	line = rises = first_chars = 0;
	fake_kvm = irq_line;
	ck_assert_int_eq(pipe2(fds, O_NONBLOCK), 0);
	dup2(fds[1], STDOUT_FILENO);
	close(fds[1]);
	out = fds[0];
	ck_assert_int_eq(stop_init(&stop), 0);
	console = console_create(stop.fd, first_char, &first_chars);
	ck_assert_ptr_nonnull(console);
	config.console = console;
	uart = uart_create(&config);
	ck_assert_ptr_nonnull(uart);
}

static void tear_down(void)
{
	uart_destroy(uart);
	console_destroy(console);
	stop_free(&stop);
	close(out);
}

static uint8_t in(unsigned reg)
{
	uint64_t value;

	ck_assert(bus_read(&pio, NULL, UART_PORT + reg, 1, &value));
	return value;
}

static void outb(unsigned reg, uint8_t value)
{
	ck_assert(bus_write(&pio, NULL, UART_PORT + reg, 1, value));
	bus_written(&pio, UART_PORT + reg);
}

START_TEST(prints)
{
	char text[16] = "";

	for (const char *c = "hello\n"; *c; c++)
		outb(DATA, *c);
	ck_assert_int_eq(read(out, text, sizeof(text)), 6);
	ck_assert_str_eq(text, "hello\n");
	ck_assert_uint_eq(in(LSR), 0x60);
	ck_assert_uint_eq(rises, 0);
	ck_assert_uint_eq(first_chars, 1);
}
END_TEST

START_TEST(divisor_latch)
{
	char byte;

	outb(LCR, 0x83);
	outb(DATA, 1);
	outb(IER, 2);
	ck_assert_uint_eq(in(DATA), 1);
	ck_assert_uint_eq(in(IER), 2);
	outb(LCR, 3);
	ck_assert_uint_eq(in(LCR), 3);
	ck_assert_uint_eq(in(IER), 0);
	console_drain(console);
	ck_assert_int_eq(read(out, &byte, 1), -1);
	ck_assert_uint_eq(first_chars, 0);
}
END_TEST

/* RTS, which says that the guest listens. */
static void listen_to_input(void)
{
	outb(MCR, 0x02);
}

START_TEST(receives)
{
	listen_to_input();
	ck_assert_uint_eq(in(LSR)&1, 0);
	ck_assert_uint_eq(uart_receive(uart, (const uint8_t *)"ab", 2), 2);
	ck_assert_uint_eq(line, 0); /* nobody asked for interrupts */
	outb(IER, 1);
	ck_assert_uint_eq(line, 1);
	ck_assert_uint_eq(in(IIR), 0x04);
	ck_assert_uint_eq(in(LSR)&1, 1);
	ck_assert_uint_eq(in(DATA), 'a');
	ck_assert_uint_eq(line, 1);
	ck_assert_uint_eq(in(DATA), 'b');
	ck_assert_uint_eq(line, 0);
	ck_assert_uint_eq(in(IIR), 0x01);
	ck_assert_uint_eq(in(DATA), 0);
	ck_assert_uint_eq(rises, 1);
}
END_TEST

START_TEST(transmitter_empty)
{
	outb(IER, 2);
	ck_assert_uint_eq(line, 1);
	ck_assert_uint_eq(in(IIR), 0x02);
	ck_assert_uint_eq(line, 0); /* reading it is the acknowledgement */
	ck_assert_uint_eq(in(IIR), 0x01);
	outb(DATA, 'x');
	ck_assert_uint_eq(line, 1);
	outb(DATA, 'y'); /* falls and rises, so that it is an edge */
	ck_assert_uint_eq(rises, 3);
	outb(IER, 0);
	ck_assert_uint_eq(line, 0);
}
END_TEST

START_TEST(received_data_comes_first)
{
	outb(IIR, 0x01);
	outb(IER, 3);
	ck_assert_uint_eq(uart_receive(uart, (const uint8_t *)"a", 1), 1);
	ck_assert_uint_eq(in(IIR), 0xc4);
	ck_assert_uint_eq(in(DATA), 'a');
	ck_assert_uint_eq(in(IIR), 0xc2);
	ck_assert_uint_eq(in(IIR), 0xc1);
}
END_TEST

START_TEST(loopback)
{
	char byte;

	outb(MCR, 0x1f);
	ck_assert_uint_eq(in(MSR), 0xf0);
	outb(MCR, 0x12);
	ck_assert_uint_eq(in(MSR), 0x10);
	outb(DATA, 'l');
	ck_assert_uint_eq(in(DATA), 'l');
	outb(MCR, 0x0b);
	ck_assert_uint_eq(in(MSR), 0xb0);
	console_drain(console);
	ck_assert_int_eq(read(out, &byte, 1), -1);
}
END_TEST

/* A megabyte: what does not fit is taken later, in order, and the main thread is told when. */
START_TEST(a_full_queue)
{
	static uint8_t bytes[1 << 20];
	size_t taken, got = 0, wrong = 0;
	uint64_t count, status = 0, byte = 0;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i % 251);
	listen_to_input();
	taken = uart_receive(uart, bytes, sizeof(bytes));
	ck_assert_uint_gt(taken, 0);
	ck_assert_uint_lt(taken, sizeof(bytes));
	ck_assert_int_eq(read(uart_room_fd(uart), &count, 8), -1);
	/* in() is not for a million times: Check keeps account of each assertion. */
	while (got < sizeof(bytes) && !wrong) {
		bus_read(&pio, NULL, UART_PORT + LSR, 1, &status);
		bus_read(&pio, NULL, UART_PORT + DATA, 1, &byte);
		wrong += !(status & 1) || byte != bytes[got++];
		if (got % 16 == 0 && read(uart_room_fd(uart), &count, 8) == 8)
			taken += uart_receive(uart, bytes + taken, sizeof(bytes) - taken);
	}
	ck_assert_msg(!wrong, "byte %zu is not the one that was sent", got - 1);
	ck_assert_uint_eq(taken, sizeof(bytes));
	ck_assert_uint_eq(in(LSR)&1, 0);
}
END_TEST

START_TEST(clearing_makes_room)
{
	uint8_t bytes[300] = {0};
	uint64_t count;

	listen_to_input();
	ck_assert_uint_lt(uart_receive(uart, bytes, sizeof(bytes)), sizeof(bytes));
	outb(IIR, 0x03);
	ck_assert_uint_eq(in(LSR)&1, 0);
	ck_assert_int_eq(read(uart_room_fd(uart), &count, 8), 8);
}
END_TEST

/* What came before the guest's driver has begun is not emptied out with the FIFO, nor taken for
 * what it sends to itself in loopback. */
START_TEST(input_waits_for_the_driver)
{
	static const struct {
		uint8_t reg, value;
	} wakes[] = {{MCR, 0x02}, {IER, 0x01}};
	const uint8_t early[] = "early";
	uint64_t count;

	ck_assert_uint_eq(uart_receive(uart, early, 5), 0);
	outb(IIR, 0x03);
	outb(MCR, 0x12);
	ck_assert_uint_eq(uart_receive(uart, early, 5), 0);
	ck_assert_uint_eq(in(LSR)&1, 0);
	outb(MCR, 0);
	ck_assert_int_eq(read(uart_room_fd(uart), &count, 8), -1);
	outb(wakes[_i].reg, wakes[_i].value);
	ck_assert_int_eq(read(uart_room_fd(uart), &count, 8), 8);
	ck_assert_uint_eq(uart_receive(uart, early, 5), 5);
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(in(DATA), early[i]);
}
END_TEST

/* A pipe of one page that holds anything is not writable any more. */
static bool is_full(int pipe)
{
	int nr;

	ck_assert_int_eq(ioctl(pipe, FIONREAD, &nr), 0);
	return nr > 0;
}

/* Several times what the pipe and the console have room for. */
static void *print_much(void *arg)
{
	for (int i = 0; i < 20000; i++)
		outb(DATA, '.');
	return arg;
}

/* The main thread goes on although a vCPU waits for standard output. */
START_TEST(input_while_output_is_stuck)
{
	pthread_t vcpu;
	size_t taken = 0;

	fcntl(out, F_SETPIPE_SZ, 4096);
	listen_to_input();
	ck_assert_int_eq(pthread_create(&vcpu, NULL, print_much, NULL), 0);
	/* Until it has written all that there is room for, and waits. */
	while (!is_full(out))
		usleep(1000);
	usleep(10000);
	while (taken < 100)
		taken += uart_receive(uart, (const uint8_t *)"x", 1);
	stop_request(&stop, 0);
	ck_assert_int_eq(pthread_join(vcpu, NULL), 0);
}
END_TEST

START_TEST(wide_accesses)
{
	uint64_t value;

	ck_assert(bus_write(&pio, NULL, UART_PORT + MSR, 2, 0xab00));
	ck_assert_uint_eq(in(SCR), 0xab);
	ck_assert(bus_read(&pio, NULL, UART_PORT + LCR, 4, &value));
	ck_assert_uint_eq(value, 0xb0600000u);
	ck_assert(!bus_read(&pio, NULL, UART_PORT + SCR, 2, &value));
}
END_TEST

TCase *uart_tests(void)
{
	TCase *tc = tcase_create("uart");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, prints);
	tcase_add_test(tc, divisor_latch);
	tcase_add_test(tc, receives);
	tcase_add_test(tc, transmitter_empty);
	tcase_add_test(tc, received_data_comes_first);
	tcase_add_test(tc, loopback);
	tcase_add_test(tc, a_full_queue);
	tcase_add_test(tc, clearing_makes_room);
	tcase_add_loop_test(tc, input_waits_for_the_driver, 0, 2);
	tcase_add_test(tc, input_while_output_is_stuck);
	tcase_add_test(tc, wide_accesses);
	return tc;
}
