/* SPDX-License-Identifier: MIT */
#include "apic.h"

#include "cpu.h"
#include "panic.h"
#include "pgtable.h"
#include "platform.h"
#include "trap.h"

#define APIC_BASE_X2APIC (1ul << 10)
#define APIC_BASE_ENABLE (1ul << 11)
#define MSR_X2APIC       0x800u
#define CPUID_1_ECX_X2   (1u << 21)

/* Registers, by their number as x2APIC MSR. In memory (xAPIC) they are 16 bytes apart. */
enum apic_reg {
	APIC_ID = 0x02,
	APIC_TPR = 0x08,
	APIC_EOI = 0x0b,
	APIC_SVR = 0x0f,
	APIC_ICR = 0x30,
	APIC_ICR_HIGH = 0x31, /* xAPIC only */
	APIC_LINT0 = 0x35,
};

#define SVR_ENABLE     0x100u
#define LVT_MASKED     0x10000u
#define ICR_INIT       0x4500u
#define ICR_SIPI       0x4600u
#define ICR_FIXED      0x4000u
#define ICR_OTHERS     0xc0000u
#define ICR_XAPIC_BUSY 0x1000u

#define IOAPIC_VERSION  1u
#define IOAPIC_REDIR    0x10u
#define PIC_MASTER_DATA 0x21
#define PIC_SLAVE_DATA  0xa1

/* Written by apic_init(), constant afterwards. */
static volatile uint32_t *xapic; /* NULL: x2APIC */
static volatile uint32_t *ioapic;

static uint32_t apic_read(enum apic_reg reg)
{
	return xapic ? xapic[reg * 4] : (uint32_t)rdmsr(MSR_X2APIC + reg);
}

static void apic_write(enum apic_reg reg, uint32_t value)
{
	if (xapic)
		xapic[reg * 4] = value;
	else
		wrmsr(MSR_X2APIC + reg, value);
}

void apic_init(void)
{
	if (!(cpuid(1).ecx & CPUID_1_ECX_X2))
		xapic = map_device(rdmsr(MSR_APIC_BASE) & PTE_ADDR, PAGE_SIZE);
	ioapic = map_device(platform.ioapic_gpa, PAGE_SIZE);
	outb(PIC_MASTER_DATA, 0xff);
	outb(PIC_SLAVE_DATA, 0xff);
}

uint32_t apic_init_cpu(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;
	uint32_t id;

	wrmsr(MSR_APIC_BASE, base);
	if (!xapic)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_LINT0, LVT_MASKED);
	apic_write(APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
	id = apic_read(APIC_ID);
	return xapic ? id >> 24 : id;
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

static void write_icr(uint32_t apic_id, uint32_t command)
{
	uint64_t flags;

	if (!xapic) {
		/* A write to this MSR is not ordered after earlier stores. */
		__asm__ volatile("mfence\n\tlfence" : : : "memory");
		wrmsr(MSR_X2APIC + APIC_ICR, (uint64_t)apic_id << 32 | command);
		return;
	}
	flags = irq_save();
	while (apic_read(APIC_ICR) & ICR_XAPIC_BUSY)
		cpu_relax();
	apic_write(APIC_ICR_HIGH, apic_id << 24);
	apic_write(APIC_ICR, command);
	irq_restore(flags);
}

void apic_send_ipi(uint32_t apic_id, uint8_t vector)
{
	write_icr(apic_id, ICR_FIXED | vector);
}

void apic_send_to_others(uint8_t vector)
{
	write_icr(0, ICR_OTHERS | ICR_FIXED | vector);
}

void apic_send_init(uint32_t apic_id)
{
	write_icr(apic_id, ICR_INIT);
}

void apic_send_sipi(uint32_t apic_id, uint8_t page)
{
	write_icr(apic_id, ICR_SIPI | page);
}

/* The IOAPIC: the register's number goes into its first word, the value is in the fifth. Only boot
 * code and register_irq() call this, on one CPU. */
static uint32_t ioapic_read(unsigned reg)
{
	ioapic[0] = reg;
	return ioapic[4];
}

static void ioapic_write(unsigned reg, uint32_t value)
{
	ioapic[0] = reg;
	ioapic[4] = value;
}

bool ioapic_route(unsigned gsi, uint8_t vector, uint32_t apic_id)
{
	unsigned last_pin = ioapic_read(IOAPIC_VERSION) >> 16 & 0xff;

	if (gsi > last_pin || apic_id > 0xff)
		return false;
	ioapic_write(IOAPIC_REDIR + 2 * gsi + 1, apic_id << 24);
	ioapic_write(IOAPIC_REDIR + 2 * gsi, vector); /* fixed, physical, edge, active high */
	return true;
}
