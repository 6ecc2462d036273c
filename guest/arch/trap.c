/* SPDX-License-Identifier: MIT */
#include "trap.h"

#include "apic.h"
#include "console.h"
#include "cpu.h"
#include "layout.h"
#include "panic.h"
#include "percpu.h"

#define NR_VECTORS   256u
#define NR_TRAPS     32u
#define GATE_PRESENT 0x8e00u /* interrupt gate, ring 0 */

struct idt_gate {
	uint16_t offset_low, selector, attributes, offset_mid;
	uint32_t offset_high, reserved;
};

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, io_map;
} __attribute__((packed));

/* The tables that a CPU's segment registers refer to. */
static struct cpu_tables {
	uint64_t gdt[6];
	struct tss tss;
} __attribute__((aligned(64))) tables[MAX_CPUS];

/* Common to all CPUs. Handlers are registered before they can be called, so no lock is needed. */
static struct idt_gate idt[NR_VECTORS];
static struct {
	trap_handler *handler;
	bool keep_irqs;
} traps[NR_TRAPS];
static struct {
	irq_handler *handler;
	void *arg;
} irqs[NR_VECTORS];
static unsigned next_gsi_vector = VECTOR_GSI;

extern const char trap_stubs[], about_to_halt[], end_of_halt[]; /* entry.S */
void trap_dispatch(struct trap_frame *frame);

static const char *const trap_names[NR_TRAPS] = {
	"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "#9",  "#TS",
	"#NP", "#SS", "#GP", "#PF", "#15", "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
	"#22", "#23", "#24", "#25", "#26", "#27", "#HV", "#VC", "#SX", "#31",
};

void register_trap(unsigned vector, trap_handler *handler, bool keep_irqs)
{
	BUG_ON(vector >= NR_TRAPS || vector == VECTOR_NMI || vector == VECTOR_DF ||
	       vector == VECTOR_MC || traps[vector].handler);
	traps[vector].handler = handler;
	traps[vector].keep_irqs = keep_irqs;
}

void register_ipi(unsigned vector, irq_handler *handler, void *arg)
{
	BUG_ON(vector < NR_TRAPS || vector >= NR_VECTORS || irqs[vector].handler);
	irqs[vector].arg = arg;
	irqs[vector].handler = handler;
}

bool register_irq(unsigned gsi, irq_handler *handler, void *arg)
{
	if (next_gsi_vector >= VECTOR_WAKE)
		return false;
	register_ipi(next_gsi_vector, handler, arg);
	return ioapic_route(gsi, next_gsi_vector++, cpu_by_id(0)->apic_id);
}

/* Prints the registers first, so that the reason is the last line. */
static _Noreturn void panic_trap(const struct trap_frame *f)
{
	char text[KPRINTF_MAX];
	size_t len = ksnprintf(text, sizeof(text),
			       "guest: rax %016lx rbx %016lx rcx %016lx rdx %016lx\n"
			       "guest: rsi %016lx rdi %016lx rbp %016lx rsp %016lx\n"
			       "guest: r8  %016lx r9  %016lx r10 %016lx r11 %016lx\n"
			       "guest: r12 %016lx r13 %016lx r14 %016lx r15 %016lx\n",
			       f->rax, f->rbx, f->rcx, f->rdx, f->rsi, f->rdi, f->rbp, f->rsp,
			       f->r8, f->r9, f->r10, f->r11, f->r12, f->r13, f->r14, f->r15);

	console_write_unlocked(text, len);
	panic("%s at RIP %#lx addr %#lx error %#lx on CPU %u, cr3 %#lx rflags %#lx",
	      trap_names[f->vector], f->rip, f->vector == VECTOR_PF ? read_cr2() : 0, f->error,
	      this_cpu()->id, read_cr3(), f->rflags);
}

/* Called by entry.S for every vector, with interrupts off. */
void trap_dispatch(struct trap_frame *frame)
{
	uint64_t vector = frame->vector;

	if (vector < NR_TRAPS) {
		if (!traps[vector].handler)
			panic_trap(frame);
		if (traps[vector].keep_irqs)
			irq_restore(frame->rflags);
		traps[vector].handler(frame);
		irq_disable();
		return;
	}
	if (frame->rip == (uint64_t)about_to_halt)
		frame->rip = (uint64_t)end_of_halt;
	if (vector == VECTOR_SPURIOUS)
		return;
	if (!irqs[vector].handler)
		panic("interrupt %lu without a handler", vector);
	irqs[vector].handler(irqs[vector].arg);
	apic_eoi();
}

static void fill_idt(void)
{
	static const uint8_t ist_of[NR_TRAPS] = {
		[VECTOR_NMI] = 1, [VECTOR_DF] = 2, [VECTOR_MC] = 3};

	for (unsigned v = 0; v < NR_VECTORS; v++) {
		uint64_t stub = (uint64_t)trap_stubs + 16 * v;

		idt[v] = (struct idt_gate){
			.offset_low = stub,
			.selector = SELECTOR_CODE,
			.attributes = GATE_PRESENT | (v < NR_TRAPS ? ist_of[v] : 0),
			.offset_mid = stub >> 16,
			.offset_high = stub >> 32,
		};
	}
}

void traps_init_cpu(struct percpu *cpu, void *ist_stacks)
{
	struct cpu_tables *t = &tables[cpu->id];
	uint64_t tss = (uint64_t)&t->tss;
	struct table_register gdtr = {sizeof(t->gdt) - 1, (uint64_t)t->gdt};
	struct table_register idtr = {sizeof(idt) - 1, (uint64_t)idt};

	for (unsigned i = 0; i < 3; i++)
		t->tss.ist[i] = (uint64_t)ist_stacks + (i + 1) * IST_SIZE;
	t->tss.io_map = sizeof(t->tss);
	t->gdt[SELECTOR_CODE / 8] = 0x00af9b000000ffff;
	t->gdt[SELECTOR_DATA / 8] = 0x00cf93000000ffff;
	t->gdt[SELECTOR_TSS / 8] = (sizeof(t->tss) - 1) | (tss & 0xffffff) << 16 | 0x89ul << 40 |
				   (tss >> 24 & 0xff) << 56;
	t->gdt[SELECTOR_TSS / 8 + 1] = tss >> 32;
	if (!idt[0].attributes)
		fill_idt();
	__asm__ volatile("lgdt %0" : : "m"(gdtr));
	__asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS));
	__asm__ volatile("lidt %0" : : "m"(idtr));
}
