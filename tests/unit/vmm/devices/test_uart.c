/* SPDX-License-Identifier: MIT */
/* The 16550 through the port bus, as a guest sees it. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <string.h>
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

START_TEST(receives)
{
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

/* More than fits is taken later, in order, and the main thread is told when. */
START_TEST(a_full_queue)
{
	uint8_t bytes[300];
	size_t taken, got = 0;
	uint64_t count;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i;
	taken = uart_receive(uart, bytes, sizeof(bytes));
	ck_assert_uint_gt(taken, 0);
	ck_assert_uint_lt(taken, sizeof(bytes));
	ck_assert_int_eq(read(uart_room_fd(uart), &count, 8), -1);
	while (got < sizeof(bytes)) {
		ck_assert_uint_eq(in(LSR)&1, 1);
		ck_assert_uint_eq(in(DATA), (uint8_t)got++);
		if (read(uart_room_fd(uart), &count, 8) == 8)
			taken += uart_receive(uart, bytes + taken, sizeof(bytes) - taken);
	}
	ck_assert_uint_eq(taken, sizeof(bytes));
	ck_assert_uint_eq(in(LSR)&1, 0);
}
END_TEST

START_TEST(clearing_makes_room)
{
	uint8_t bytes[300] = {0};
	uint64_t count;

	ck_assert_uint_lt(uart_receive(uart, bytes, sizeof(bytes)), sizeof(bytes));
	outb(IIR, 0x03);
	ck_assert_uint_eq(in(LSR)&1, 0);
	ck_assert_int_eq(read(uart_room_fd(uart), &count, 8), 8);
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
	tcase_add_test(tc, wide_accesses);
	return tc;
}
