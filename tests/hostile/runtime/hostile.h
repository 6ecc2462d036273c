/* SPDX-License-Identifier: MIT */
/*
 * All that a hostile guest has: its page tables, the hypercall, a second vCPU. A guest is one C
 * file that includes this and has hostile_main(); it ends with one of
 *
 *   0  what the test claims held, as far as the guest can see
 *   1  it did not: the host did what it must not do
 *   2  the test could not be set up
 *   3  a fault that was not expected
 *
 * The image lies in the direct map, so that nothing of it is an alias. vCPU 0 runs hostile_main(),
 * on tables that are pinned by then: `tree` below.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "alias_abi.h"
#include "cpu.h"
#include "machine_map.h"
#include "observer.h"
#include "boot/pvh.h"

/* To the end of each guest: nothing is reached through a GOT, which these images do not have. */
#pragma GCC visibility push(hidden)

#define HELD      0u
#define BROKE     1u
#define NO_SET_UP 2u

#define DIRECT      0xffff888000000000ull /* slot 273 */
#define DIRECT_SIZE (1ull << 39)
#define VM_SLOT     300u
#define VM_BASE     0xffff960000000000ull /* slot 300 */

#define P  1ull
#define RW 2ull
#define PS 0x80ull
#define G  0x100ull

typedef uint64_t table_t[512] __attribute__((aligned(4096)));

/* --- the machine ------------------------------------------------------------------------------ */

_Noreturn static inline void finish(unsigned status)
{
	outl(POWEROFF_PORT, status);
	for (;;)
		__asm__ volatile("hlt");
}

static inline void say(const char *text)
{
	while (*text)
		outb(0x3f8, (uint8_t)*text++);
}

static inline void check_at(bool held, const char *what, unsigned otherwise)
{
	if (held)
		return;
	say(otherwise == BROKE ? "not so: " : "cannot be tried: ");
	say(what);
	say("\n");
	finish(otherwise);
}

/* What the host must do; what the test needs. */
#define check(condition)   check_at(condition, #condition, BROKE)
#define require(condition) check_at(condition, #condition, NO_SET_UP)

static inline void *direct(uint64_t gpa)
{
	return (void *)(DIRECT + gpa);
}

static inline uint64_t gpa_of(const void *p)
{
	return (uint64_t)p - DIRECT;
}

static inline uint64_t pfn_of(const void *p)
{
	return gpa_of(p) >> 12;
}

/* Of the command line. */
static inline const char *last_word(void)
{
	const struct pvh_start_info *info = direct(START_INFO_GPA);
	const char *word = direct(info->cmdline_paddr);

	for (const char *c = word; *c; c++)
		if (*c == ' ')
			word = c + 1;
	return word;
}

static inline bool word_is(const char *wanted)
{
	const char *word = last_word();

	while (*word && *word == *wanted)
		word++, wanted++;
	return *word == *wanted;
}

/* An entry that leads to this page. */
static inline uint64_t entry(const void *p, uint64_t bits)
{
	return gpa_of(p) | bits;
}

/* --- the hypercall ---------------------------------------------------------------------------- */

static inline struct alias_common_page *common(void)
{
	return direct(SHARED_GPA);
}

static inline struct alias_vcpu_page *page_of(unsigned cpu)
{
	return direct(SHARED_GPA + (cpu + 1ull) * ALIAS_PAGE_SIZE);
}

static inline unsigned this_cpu(void)
{
	uint32_t eax = 1, ebx, ecx, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	return ebx >> 24;
}

/* Where tables are write-protected a store that breaks a rule is not done. */
static inline bool tables_write_protected(void)
{
	return page_of(0)->features & ALIAS_WRITE_PROTECTED;
}

static inline void put(unsigned i, unsigned op, uint64_t pfn, unsigned level)
{
	page_of(this_cpu())->ops[i] = (struct alias_op){
		.pfn = pfn,
		.op = (uint16_t)op,
		.level = (uint16_t)level,
		.status = ALIAS_PENDING,
	};
}

/* The status of the call. */
static inline unsigned call(unsigned count, unsigned flags)
{
	struct alias_vcpu_page *page = page_of(this_cpu());

	page->count = count;
	page->flags = flags;
	page->call_status = ALIAS_PENDING;
	outl(HYPERCALL_PORT, ALIAS_CALL_PIN);
	return page->call_status;
}

static inline unsigned answer(unsigned i)
{
	return __atomic_load_n(&page_of(this_cpu())->ops[i].status, __ATOMIC_SEQ_CST);
}

/* One entry; its status, or that of the call if it is not OK. */
static inline unsigned one(unsigned op, uint64_t pfn, unsigned level, unsigned flags)
{
	unsigned status;

	put(0, op, pfn, level);
	status = call(1, flags);
	return status == ALIAS_OK ? answer(0) : status;
}

static inline unsigned pin(const void *table, unsigned level)
{
	return one(ALIAS_OP_PIN, pfn_of(table), level, 0);
}

static inline unsigned pin_up(const void *table, unsigned level)
{
	return one(ALIAS_OP_PIN, pfn_of(table), level, ALIAS_BATCH_UPCALL);
}

static inline unsigned unpin(const void *table)
{
	return one(ALIAS_OP_UNPIN, pfn_of(table), 0, 0);
}

/* The host syncs, and nothing else happens: that frame is not pinned. */
static inline void host_sync(void)
{
	one(ALIAS_OP_UNPIN, pfn_of(direct(0x100000)), 0, 0);
}

/* --- entries --------------------------------------------------------------------------------- */

/* The logs, where the host made room for them: behind the seventh range of memory. */
static inline struct alias_log_record *records_of(unsigned cpu)
{
	const struct pvh_start_info *info = direct(START_INFO_GPA);
	const struct pvh_memmap *map = direct(info->memmap_paddr);

	return direct(map[6].addr + map[6].size + cpu * (uint64_t)ALIAS_LOG_SIZE);
}

/* Writes the record that the change is to have, if the host wants a log. */
static inline void log_change(uint64_t gpa, uint64_t from, uint64_t to)
{
	struct alias_log *log = &page_of(this_cpu())->log;
	uint64_t head = log->head;

	if (head - __atomic_load_n(&log->tail, __ATOMIC_ACQUIRE) < ALIAS_LOG_RECORDS) {
		records_of(this_cpu())[head % ALIAS_LOG_RECORDS] =
			(struct alias_log_record){.pte_gpa = gpa, .from = from, .to = to};
		__atomic_store_n(&log->head, head + 1, __ATOMIC_RELEASE);
	} else {
		__atomic_store_n(&log->lost, log->lost + 1, __ATOMIC_RELEASE);
	}
}

/* An entry gets this value, without a record. False: the host has not let it. */
static inline bool set_unlogged(uint64_t *e, uint64_t value)
{
	bool done;

	TRY(done, "movq %2, (%1)\n\tmfence", "r"(e), "r"(value));
	return done;
}

/* The same, with one. */
static inline bool set(uint64_t *e, uint64_t value)
{
	struct alias_log *log = &page_of(this_cpu())->log;
	uint64_t old = *(volatile uint64_t *)e;
	bool done;

	__atomic_store_n(&log->changing, gpa_of(e), __ATOMIC_SEQ_CST);
	done = set_unlogged(e, value);
	if (common()->logging)
		log_change(gpa_of(e), old, value);
	__atomic_store_n(&log->changing, 0, __ATOMIC_RELEASE);
	return done;
}

/* `done`: a store has been done that breaks a rule. Where tables are write-protected it must not
 * have been. Elsewhere the host syncs. */
static inline void judge_forbidden(const uint64_t *e, uint64_t before, bool done)
{
	check(done == !tables_write_protected());
	if (tables_write_protected())
		check(*(const volatile uint64_t *)e == before);
	else
		host_sync();
}

static inline void forbidden(uint64_t *e, uint64_t value)
{
	uint64_t before = *(volatile uint64_t *)e;

	judge_forbidden(e, before, set(e, value));
}

/* --- the tables ------------------------------------------------------------------------------- */

/* A root with the direct map, and with one L1 table at VM_BASE. All pinned before hostile_main().
 */
static __attribute__((unused)) struct {
	table_t root, direct_l3, direct_l2, vm_l3, vm_l2, vm_l1;
} tree;

/* Frames to play with; zeroed, none pinned, none mapped outside of the direct map. */
static __attribute__((unused)) table_t spare[8];

static inline uint64_t vm_va(unsigned i)
{
	return VM_BASE + i * 4096ull;
}

/* The direct map alone. */
static inline void build_root(uint64_t *root)
{
	root[273] = entry(tree.direct_l3, P | RW);
}

static inline void build_tree(void)
{
	build_root(tree.root);
	tree.root[VM_SLOT] = entry(tree.vm_l3, P | RW);
	tree.direct_l3[0] = entry(tree.direct_l2, P | RW);
	for (unsigned i = 0; i < 512; i++)
		tree.direct_l2[i] = i * 0x200000ull | P | RW | PS;
	tree.vm_l3[0] = entry(tree.vm_l2, P | RW);
	tree.vm_l2[0] = entry(tree.vm_l1, P | RW);
}

static inline unsigned pin_tree(void)
{
	unsigned bad = 0;

	put(0, ALIAS_OP_PIN, pfn_of(tree.vm_l1), 1);
	put(1, ALIAS_OP_PIN, pfn_of(tree.vm_l2), 2);
	put(2, ALIAS_OP_PIN, pfn_of(tree.vm_l3), 3);
	put(3, ALIAS_OP_PIN, pfn_of(tree.direct_l2), 2);
	put(4, ALIAS_OP_PIN, pfn_of(tree.direct_l3), 3);
	put(5, ALIAS_OP_PIN, pfn_of(tree.root), 4);
	if (call(6, 0) != ALIAS_OK)
		return 6;
	for (unsigned i = 0; i < 6; i++)
		bad += answer(i) != ALIAS_OK;
	return bad;
}

static inline unsigned register_direct(uint64_t base, uint64_t size)
{
	struct alias_vcpu_page *page = page_of(this_cpu());

	page->direct_base = base;
	page->direct_size = size;
	page->call_status = ALIAS_PENDING;
	outl(HYPERCALL_PORT, ALIAS_CALL_REGISTER);
	return page->call_status;
}

/* --- TLBs ------------------------------------------------------------------------------------- */

/* Says to the observer (broken/) that this vCPU's TLB holds a writable entry of the frame: a
 * processor may have loaded it since the store before. `global`: survives loads of CR3. */
static inline void note_tlb(const void *frame, bool global)
{
	outl(OBSERVER_PORT, (uint32_t)pfn_of(frame) << 1 | global);
}

/* Maps the frame at vm_va(i) and has this vCPU use it. */
static inline void map_and_use(unsigned i, const void *frame, uint64_t bits)
{
	set(&tree.vm_l1[i], entry(frame, P | RW | bits));
	require(try_store(vm_va(i), 0));
	note_tlb(frame, bits & G);
}

/* Takes a mapping away as a guest does that tells the truth and leaves the flush for later. */
static inline void clear(uint64_t *e)
{
	__atomic_fetch_add(&common()->cleared, 1, __ATOMIC_SEQ_CST);
	set(e, 0);
}

/* --- the other vCPU --------------------------------------------------------------------------- */

static void (*cpu1_main)(void);
static volatile unsigned turn;

/* Two vCPUs take turns: who waits for n goes on when the other has said n. */
static inline void wait_turn(unsigned n)
{
	while (turn != n)
		relax();
}

static inline void next_turn(unsigned n)
{
	__atomic_store_n(&turn, n, __ATOMIC_SEQ_CST);
}

extern const char trampoline[], trampoline_end[];

/* All but vCPU 0 begin on the same stack. */
static inline void start_cpu(unsigned cpu, void (*fn)(void))
{
	char *low = direct(0x8000);

	cpu1_main = fn;
	for (size_t i = 0; i < (size_t)(trampoline_end - trampoline); i++)
		low[i] = trampoline[i];
	wrmsr(0x1b, rdmsr(0x1b) | 0xc00);                  /* x2APIC */
	wrmsr(0x830, (uint64_t)cpu << 32 | 0x4500);        /* INIT to that APIC id */
	wrmsr(0x830, (uint64_t)cpu << 32 | 0x4600 | 0x08); /* SIPI: 0x8000 */
}

static inline void start_cpu1(void (*fn)(void))
{
	start_cpu(1, fn);
}

/* --- where the observer stops a thread of the host -------------------------------------------- */

static inline volatile struct step *step(void)
{
	return direct(STEP_GPA);
}

static inline void step_arm(void)
{
	__atomic_store_n(&step()->armed, 1, __ATOMIC_SEQ_CST);
}

static inline void step_wait(void)
{
	while (!step()->there)
		relax();
}

static inline void step_go(void)
{
	__atomic_store_n(&step()->go, 1, __ATOMIC_SEQ_CST);
}

/* So many stores to write-protected frames have got to the host. */
static inline unsigned stores_met(void)
{
	return step()->stores;
}

/* --- entry ------------------------------------------------------------------------------------ */

/* The guest's own; NULL: an upcall that comes all the same ends it. (Volatile, as no compiler sees
 * how a call comes by here.) */
static void (*volatile upcall)(void);
static __attribute__((unused)) volatile unsigned nr_upcalls;

void hostile_upcall(void);
_Noreturn void hostile_start(void);
_Noreturn void hostile_start1(void);
extern uint64_t idt[][2];
extern const char on_tried_fault[], on_upcall_entry[], on_other_fault[];

void hostile_upcall(void)
{
	nr_upcalls++;
	check(upcall != NULL);
	upcall();
}

static inline void set_gate(unsigned vector, const char *handler)
{
	uint64_t at = (uint64_t)handler;

	idt[vector][0] =
		(at & 0xffff) | 0x10ull << 16 | 0x8e00ull << 32 | (at >> 16 & 0xffff) << 48;
	idt[vector][1] = at >> 32;
}

static void hostile_main(void);

_Noreturn void hostile_start(void)
{
	for (unsigned i = 0; i < 32; i++)
		set_gate(i, on_other_fault);
	set_gate(13, on_tried_fault);
	set_gate(14, on_tried_fault);
	set_gate(UPCALL_VECTOR, on_upcall_entry);
#ifndef NO_TREE
	build_tree();
	require(register_direct(DIRECT, DIRECT_SIZE) == ALIAS_OK);
	common()->logging = common()->log_wanted;
	require(pin_tree() == 0);
	load_cr3(gpa_of(tree.root));
#endif
	hostile_main();
	finish(HELD);
}

_Noreturn void hostile_start1(void)
{
#ifndef NO_TREE
	load_cr3(gpa_of(tree.root));
#endif
	cpu1_main();
	for (;;)
		__asm__ volatile("hlt");
}

#endif
