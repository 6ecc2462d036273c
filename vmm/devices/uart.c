/* SPDX-License-Identifier: MIT */
#include "devices/uart.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "devices/bus.h"
#include "devices/console.h"
#include "machine_map.h"
#include "say.h"
#include "stop.h"

/* Registers by offset; names as in the data sheet of the PC16550D. */
enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define IER_RX       0x01
#define IER_TX       0x02
#define IER_MASK     0x0f
#define IIR_NONE     0x01
#define IIR_TX       0x02
#define IIR_RX       0x04
#define IIR_FIFO     0xc0
#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02
#define LCR_DLAB     0x80
#define MCR_DTR      0x01
#define MCR_RTS      0x02
#define MCR_OUT1     0x04
#define MCR_OUT2     0x08
#define MCR_LOOP     0x10
#define MCR_MASK     0x1f
#define LSR_DATA     0x01
#define LSR_TX_EMPTY 0x60 /* holding and shift register */
#define MSR_CTS      0x10
#define MSR_DSR      0x20
#define MSR_RI       0x40
#define MSR_DCD      0x80

#define QUEUE_SIZE 256u /* larger than the chip's 16, so that pasting needs few wake-ups */

struct uart {
	struct uart_config to;
	int room_fd; /* eventfd */

	/* Keeps output in order. Held while the console may make a vCPU wait for long; taken before
	 * `lock`, and never by the main thread. */
	pthread_mutex_t output_lock;
	pthread_mutex_t lock; /* guards all below; never held while waiting */
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	bool tx_pending; /* the interrupt "transmitter empty" is pending */
	bool line;       /* level of the interrupt line as KVM knows it */
	bool want_room;  /* signal room_fd when there is room */
	uint8_t queue[QUEUE_SIZE];
	unsigned head, nr;
};

static uint8_t interrupt_cause(const struct uart *uart)
{
	if (uart->ier & IER_RX && uart->nr > 0)
		return IIR_RX;
	if (uart->ier & IER_TX && uart->tx_pending)
		return IIR_TX;
	return IIR_NONE;
}

/* KVM is told of changes only, so a guest that polls costs no system call here. */
static void update_line(struct uart *uart)
{
	bool level = interrupt_cause(uart) != IIR_NONE;

	if (level == uart->line)
		return;
	uart->line = level;
	if (irq_line_set(&uart->to.irq, level) < 0)
		stop_on_error(uart->to.stop, "KVM_IRQ_LINE of the console");
}

static void push_byte(struct uart *uart, uint8_t byte)
{
	if (uart->nr < QUEUE_SIZE)
		uart->queue[(uart->head + uart->nr++) % QUEUE_SIZE] = byte;
}

/* The guest gets no input until it raises RTS or enables the interrupt: drivers empty the FIFO when
 * they start, which would lose it. */
static bool is_listening(const struct uart *uart)
{
	return !(uart->mcr & MCR_LOOP) && (uart->mcr & MCR_RTS || uart->ier & IER_RX);
}

static void tell_room(struct uart *uart)
{
	uint64_t one = 1;

	if (!uart->want_room || !is_listening(uart) || uart->nr > QUEUE_SIZE / 2)
		return;
	uart->want_room = false;
	if (TEMP_FAILURE_RETRY(write(uart->room_fd, &one, sizeof(one))) < 0)
		say_errno("eventfd of the console");
}

static uint8_t pop_byte(struct uart *uart)
{
	uint8_t byte;

	if (uart->nr == 0)
		return 0;
	byte = uart->queue[uart->head];
	uart->head = (uart->head + 1) % QUEUE_SIZE;
	uart->nr--;
	return byte;
}

static uint8_t read_iir(struct uart *uart)
{
	uint8_t cause = interrupt_cause(uart);

	if (cause == IIR_TX)
		uart->tx_pending = false;
	return cause | (uart->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

/* In loopback the outputs of MCR come back as the inputs of MSR. */
static uint8_t read_msr(const struct uart *uart)
{
	if (!(uart->mcr & MCR_LOOP))
		return MSR_DCD | MSR_DSR | MSR_CTS;
	return (uart->mcr & MCR_RTS ? MSR_CTS : 0) | (uart->mcr & MCR_DTR ? MSR_DSR : 0) |
	       (uart->mcr & MCR_OUT1 ? MSR_RI : 0) | (uart->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static uint8_t read_register(struct uart *uart, unsigned reg)
{
	bool dlab = uart->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		return dlab ? uart->dll : pop_byte(uart);
	case REG_IER:
		return dlab ? uart->dlm : uart->ier;
	case REG_IIR_FCR:
		return read_iir(uart);
	case REG_LCR:
		return uart->lcr;
	case REG_MCR:
		return uart->mcr;
	case REG_LSR:
		return LSR_TX_EMPTY | (uart->nr > 0 ? LSR_DATA : 0);
	case REG_MSR:
		return read_msr(uart);
	default:
		return uart->scr;
	}
}

static uint64_t uart_read(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len)
{
	struct uart *uart = dev;
	uint64_t value = 0;

	(void)vcpu;
	pthread_mutex_lock(&uart->lock);
	for (unsigned i = 0; i < len; i++)
		value |= (uint64_t)read_register(uart, off + i) << (8 * i);
	update_line(uart);
	tell_room(uart);
	pthread_mutex_unlock(&uart->lock);
	return value;
}

/* The byte is sent at once. The line falls and rises again, since interrupt controllers see edges.
 * Returns whether the byte goes to the console. */
static bool transmit_byte(struct uart *uart, uint8_t byte)
{
	uart->tx_pending = false;
	update_line(uart);
	uart->tx_pending = true;
	if (!(uart->mcr & MCR_LOOP))
		return true;
	push_byte(uart, byte);
	return false;
}

static void write_ier(struct uart *uart, uint8_t value)
{
	if (value & ~uart->ier & IER_TX)
		uart->tx_pending = true;
	uart->ier = value & IER_MASK;
}

/* Returns whether `value` goes to the console. */
static bool write_register(struct uart *uart, unsigned reg, uint8_t value)
{
	bool dlab = uart->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		if (!dlab)
			return transmit_byte(uart, value);
		uart->dll = value;
		break;
	case REG_IER:
		if (dlab)
			uart->dlm = value;
		else
			write_ier(uart, value);
		break;
	case REG_IIR_FCR:
		uart->fcr = value;
		if (value & FCR_CLEAR_RX)
			uart->nr = 0;
		break;
	case REG_LCR:
		uart->lcr = value;
		break;
	case REG_MCR:
		uart->mcr = value & MCR_MASK;
		break;
	case REG_SCR:
		uart->scr = value;
		break;
	}
	return false;
}

static void uart_write(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len, uint64_t value)
{
	struct uart *uart = dev;
	bool out = false;

	(void)vcpu;
	pthread_mutex_lock(&uart->output_lock);
	pthread_mutex_lock(&uart->lock);
	for (unsigned i = 0; i < len; i++)
		out |= write_register(uart, off + i, value >> (8 * i));
	update_line(uart);
	tell_room(uart);
	pthread_mutex_unlock(&uart->lock);
	/* The data register is the first, so the byte is the lowest. */
	if (out)
		console_put(uart->to.console, (uint8_t)value);
	pthread_mutex_unlock(&uart->output_lock);
}

static void uart_written(void *dev)
{
	struct uart *uart = dev;

	console_end(uart->to.console);
}

static const struct bus_ops uart_ops = {
	.read = uart_read,
	.write = uart_write,
	.written = uart_written,
};

size_t uart_receive(struct uart *uart, const uint8_t *bytes, size_t nr)
{
	size_t taken = 0;

	pthread_mutex_lock(&uart->lock);
	while (is_listening(uart) && taken < nr && uart->nr < QUEUE_SIZE)
		push_byte(uart, bytes[taken++]);
	uart->want_room = taken < nr;
	update_line(uart);
	pthread_mutex_unlock(&uart->lock);
	return taken;
}

int uart_room_fd(const struct uart *uart)
{
	return uart->room_fd;
}

static size_t receive_input(void *dev, const uint8_t *bytes, size_t nr)
{
	return uart_receive(dev, bytes, nr);
}

struct input_sink uart_input(struct uart *uart)
{
	return (struct input_sink){.receive = receive_input, .dev = uart, .room_fd = uart->room_fd};
}

struct uart *uart_create(const struct uart_config *config)
{
	struct uart *uart = calloc(1, sizeof(*uart));
	struct bus_region region = {
		.base = UART_PORT, .size = UART_NR_PORTS, .ops = &uart_ops, .dev = uart};

	if (!uart) {
		say_errno("memory for the console");
		return NULL;
	}
	uart->to = *config;
	pthread_mutex_init(&uart->output_lock, NULL);
	pthread_mutex_init(&uart->lock, NULL);
	uart->room_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (uart->room_fd < 0) {
		say_errno("eventfd");
	} else if (bus_add(config->pio, &region)) {
		say("no room on the port bus for the console");
	} else {
		return uart;
	}
	uart_destroy(uart);
	return NULL;
}

void uart_destroy(struct uart *uart)
{
	if (!uart)
		return;
	if (uart->room_fd >= 0)
		close(uart->room_fd);
	pthread_mutex_destroy(&uart->lock);
	pthread_mutex_destroy(&uart->output_lock);
	free(uart);
}
