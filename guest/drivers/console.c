/* SPDX-License-Identifier: MIT */
/*
 * The 16550. Each access to a port exits to the host, so there are few: only the FIFO is set up,
 * and the line status is read once for up to 16 characters (the FIFO's size).
 */
#include "console.h"

#include "cpu.h"
#include "panic.h"
#include "platform.h"
#include "spinlock.h"
#include "trap.h"

#define COM1 0x3f8

enum uart_reg { UART_DATA, UART_IER, UART_FCR, UART_LCR, UART_MCR, UART_LSR };

#define IER_DATA    0x01u
#define FCR_ENABLE  0x01u
#define MCR_DTR_RTS 0x03u
#define MCR_OUT2    0x08u /* on a PC: enables the interrupt line */
#define LSR_DATA    0x01u
#define LSR_EMPTY   0x20u
#define FIFO_SIZE   16u
#define RING_SIZE   256u /* power of two */

/* Written on the boot CPU before the others start. */
static uint16_t port = COM1;

/* For output. */
static struct spinlock lock = SPINLOCK_INIT;
static bool fifo_on;

/* Input: the interrupt handler writes at `tail`, console_getc() reads at `head`, both on the boot
 * CPU and with interrupts off. */
static struct {
	uint8_t bytes[RING_SIZE];
	uint32_t head, tail;
	bool on;
	bool full; /* no more interrupts: the rest waits in the device */
} ring;

void console_set_port(uint16_t p)
{
	port = p;
}

static void write_all(const char *text, size_t len)
{
	if (!fifo_on) {
		outb(port + UART_FCR, FCR_ENABLE);
		fifo_on = true;
	}
	while (len) {
		size_t n = len < FIFO_SIZE ? len : FIFO_SIZE;

		while (!(inb(port + UART_LSR) & LSR_EMPTY))
			cpu_relax();
		outsb(port + UART_DATA, text, n);
		text += n;
		len -= n;
	}
}

void console_write_unlocked(const char *text, size_t len)
{
	for (unsigned tries = 1000000; tries && !spin_trylock(&lock); tries--)
		cpu_relax();
	write_all(text, len);
	spin_unlock(&lock);
}

void kvprintf(const char *fmt, va_list args)
{
	char text[KPRINTF_MAX];
	size_t len = kvsnprintf(text, sizeof(text), fmt, args);

	spin_lock(&lock);
	write_all(text, len < sizeof(text) ? len : sizeof(text) - 1);
	spin_unlock(&lock);
}

void kprintf(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	kvprintf(fmt, args);
	va_end(args);
}

/* Reads characters from the device as long as the ring has room. */
static void receive(void *arg)
{
	(void)arg;
	while (ring.tail - ring.head < RING_SIZE) {
		if (!(inb(port + UART_LSR) & LSR_DATA))
			return;
		ring.bytes[ring.tail++ % RING_SIZE] = inb(port + UART_DATA);
	}
	ring.full = true;
	outb(port + UART_IER, 0);
}

static void turn_input_on(void)
{
	if (!register_irq(platform.console_gsi, receive, NULL))
		panic("no interrupt for the console's GSI %u", platform.console_gsi);
	outb(port + UART_MCR, MCR_DTR_RTS | MCR_OUT2);
	outb(port + UART_IER, IER_DATA);
	ring.on = true;
}

uint8_t console_getc(void)
{
	uint64_t flags;
	uint8_t byte;

	if (!ring.on)
		turn_input_on();
	flags = irq_save();
	while (ring.head == ring.tail) {
		irq_enable_and_halt();
		irq_disable();
	}
	byte = ring.bytes[ring.head++ % RING_SIZE];
	if (ring.full && ring.tail - ring.head <= RING_SIZE / 2) {
		ring.full = false;
		outb(port + UART_IER, IER_DATA); /* it interrupts at once if it has something */
	}
	irq_restore(flags);
	return byte;
}
