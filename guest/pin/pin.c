/* SPDX-License-Identifier: MIT */
#include "pin.h"

#include <stdbool.h>
#include <stddef.h>

#include "console.h"
#include "cpu.h"
#include "flush.h"
#include "log.h"
#include "origin.h"
#include "panic.h"
#include "percpu.h"
#include "pgtable.h"
#include "platform.h"
#include "pte_updates.h"
#include "tlb.h"
#include "trap.h"
#include "vmap.h"

/* Written by pin_init(), while the other CPUs are idle. Before that, the host is not asked. */
static bool registered;

/* One for each CPU. */
static struct call {
	__cacheline bool busy; /* the shared page is in use */
	uint64_t since;        /* when the host was called, or when the last upcall ended */
} calls[MAX_CPUS];

const char *pin_status_name(enum alias_status status)
{
	static const char *const names[] = {
		[ALIAS_PENDING] = "got no answer",
		[ALIAS_OK] = "is pinned",
		[ALIAS_HAS_ALIAS] = "has a writable alias",
		[ALIAS_BAD_FRAME] = "is no frame of memory",
		[ALIAS_BAD_LEVEL] = "cannot have that level",
		[ALIAS_BAD_OP] = "was named in an unknown op",
		[ALIAS_BAD_STATE] = "is in the wrong state",
		[ALIAS_CHILD_UNPINNED] = "points to a table that is not pinned",
		[ALIAS_MAPS_TABLE] = "is the root of a tree that maps a page table writable",
		[ALIAS_BAD_TABLE] = "is the root of a tree that can't be walked",
		[ALIAS_BAD_CALL] = "was part of a malformed call",
		[ALIAS_BAD_MEMTYPE] = "cannot have that type",
		[ALIAS_IS_BALLOONED] = "is in the balloon",
		[ALIAS_MAPS_BALLOONED] = "is the root of a tree that maps a frame in the balloon",
		[ALIAS_MEMTYPE_CONFLICT] =
			"is the root of a tree that maps a frame by a wrong type",
		[ALIAS_NO_MEMORY] = "needs memory that the host does not have",
	};

	return status < sizeof(names) / sizeof(names[0]) ? names[status] : "has an unknown status";
}

/* Purges the alias that the host has met, or waits for a flush that is under way. */
static void serve_upcall(const struct alias_fault *fault, uint64_t ticks)
{
	if (!fault->nr) {
		vmap_purge_wait();
		return;
	}
	count_stat(upcalls, 1);
	pte_updates_hold(fault->op == ALIAS_FAULT_STORE);
	count_stat(upcall_pages, flush_strategy()->on_alias(fault, ticks));
	pte_updates_hold(false);
}

/* The upcall: the host has met an alias in this CPU's batch. */
static void handle_upcall(struct trap_frame *frame)
{
	struct call *call = &calls[this_cpu()->id];
	uint64_t since = rdtsc();
	struct alias_fault fault = this_cpu()->vcpu_page->fault;

	if (fault.op != ALIAS_FAULT_STORE && !call->busy)
		panic("upcall at RIP %#lx, but no pin is under way", frame->rip);
	if (!call->busy)
		call->since = since;
	serve_upcall(&fault, since - call->since);
	call->since = rdtsc();
	count_stat(upcall_ticks, call->since - since);
}

static void hypercall(struct alias_vcpu_page *page, enum alias_call call)
{
	page->call_status = ALIAS_PENDING;
	outl(platform.hypercall_port, call);
}

static void write_batch(struct alias_vcpu_page *page, const struct pin_req *reqs, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		page->ops[i] = (struct alias_op){
			.pfn = reqs[i].pfn,
			.op = reqs[i].op,
			.level = reqs[i].level,
			.status = ALIAS_PENDING,
		};
	page->count = n;
	page->flags = (flush_strategy()->on_alias ? ALIAS_BATCH_UPCALL : 0) |
		      (flush_strategy()->host_flushes ? 0 : ALIAS_BATCH_WAIT);
}

/* Notes what was granted, and finds the first refusal; returns false if there is none. */
static bool read_answers(const struct alias_vcpu_page *page, struct pin_req *reqs, unsigned n,
			 struct pin_refusal *why)
{
	bool call_failed = page->call_status != ALIAS_OK, refused = false;

	for (unsigned i = 0; i < n; i++) {
		enum alias_status status = call_failed ? page->call_status : page->ops[i].status;

		reqs[i].granted = page->ops[i].status == ALIAS_OK;
		if (status == ALIAS_OK || refused)
			continue;
		*why = (struct pin_refusal){.req = reqs[i], .status = status};
		if (status == ALIAS_HAS_ALIAS && page->fault.pfn == reqs[i].pfn)
			why->fault = page->fault;
		refused = true;
	}
	return refused;
}

static bool any_minds_aliases(const struct pin_req *reqs, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (pin_op_minds_aliases(reqs[i].op))
			return true;
	return false;
}

static void count_requests(const struct pin_req *reqs, unsigned n)
{
	unsigned of[PIN_OP_DEFLATE + 1] = {0};

	for (unsigned i = 0; i < n; i++)
		if (reqs[i].op <= PIN_OP_DEFLATE)
			of[reqs[i].op]++;
	count_stat(pins, of[PIN_OP_PIN]);
	count_stat(unpins, of[PIN_OP_UNPIN]);
	count_stat(memtypes, of[PIN_OP_MEMTYPE]);
	count_stat(inflates, of[PIN_OP_INFLATE]);
	count_stat(deflates, of[PIN_OP_DEFLATE]);
	count_stat(pin_calls, 1);
}

/* Makes one call, of up to ALIAS_BATCH_MAX requests. Returns true if any was refused. */
static bool call_host(struct pin_req *reqs, unsigned n, struct pin_refusal *why)
{
	struct alias_vcpu_page *page = this_cpu()->vcpu_page;
	struct call *call = &calls[this_cpu()->id];
	uint64_t since;
	bool refused;

	if (call->busy || !irqs_enabled())
		panic("a pin %s", call->busy ? "within a pin" : "with interrupts off");
	call->busy = true;
	write_batch(page, reqs, n);
	since = call->since = rdtsc();
	hypercall(page, ALIAS_CALL_PIN);
	count_stat(pin_ticks, rdtsc() - since);
	refused = read_answers(page, reqs, n, why);
	call->busy = false;
	return refused;
}

static int submit_reqs(struct pin_req *reqs, unsigned n, struct pin_refusal *why)
{
	int result = 0;

	for (unsigned nr; n > 0; n -= nr, reqs += nr) {
		struct pin_refusal refusal;
		bool minds;

		nr = n < ALIAS_BATCH_MAX ? n : ALIAS_BATCH_MAX;
		minds = any_minds_aliases(reqs, nr);
		if (minds && flush_strategy()->before_pin)
			flush_strategy()->before_pin(reqs, nr);
		/* Wait for a purge in flight, or the host would have to flush what it has
		 * cleared. */
		if (minds)
			vmap_purge_wait();
		if (!registered)
			continue;
		count_requests(reqs, nr);
		if (call_host(reqs, nr, &refusal) && !result) {
			*why = refusal;
			result = -1;
		}
	}
	return result;
}

int pin_batch_try(struct pin_req *reqs, unsigned n, struct pin_refusal *why)
{
	int result;

	flush_strategy_poll();
	log_poll();
	strategy_read_lock();
	result = submit_reqs(reqs, n, why);
	strategy_read_unlock();
	return result;
}

/* For a pin only writable mappings are forbidden, for other ops read-only ones, too. */
static const char *name_status(const struct pin_refusal *why)
{
	if (why->status == ALIAS_HAS_ALIAS && why->req.op != PIN_OP_PIN)
		return "has a forbidden mapping";
	return pin_status_name(why->status);
}

static void say_refusal(const struct pin_refusal *why)
{
	static const char *const what[] = {
		[PIN_OP_PIN] = "pin as L%u of",         [PIN_OP_UNPIN] = "unpin of",
		[PIN_OP_MEMTYPE] = "memory type %u of", [PIN_OP_INFLATE] = "inflate of",
		[PIN_OP_DEFLATE] = "deflate of",
	};
	bool elsewhere = why->fault.nr > 1 || why->fault.more;
	char op[32] = "something about", where[48] = "";

	if (why->req.op <= PIN_OP_DEFLATE && what[why->req.op])
		ksnprintf(op, sizeof(op), what[why->req.op], why->req.level);
	if (why->fault.nr)
		ksnprintf(where, sizeof(where), " at %#lx%s", why->fault.va[0],
			  elsewhere ? " and elsewhere" : "");
	kprintf("guest: the host refused the %s frame %#lx: it %s%s\n", op, why->req.pfn,
		name_status(why), where);
}

int pin_batch(struct pin_req *reqs, unsigned n)
{
	struct pin_refusal why;

	if (!pin_batch_try(reqs, n, &why))
		return 0;
	say_refusal(&why);
	return -1;
}

static void add_kernel_table(void *list, uint64_t pfn, unsigned level)
{
	pin_list_add(list, pfn, level, PIN_OP_PIN);
}

/* The direct map extends to the end of memory, and includes the devices below 4 GiB. */
static uint64_t direct_map_size(void)
{
	uint64_t end = 4ul << 30;

	for (unsigned i = 0; i < platform.nr_memory; i++)
		if (platform.memory[i].end > end)
			end = platform.memory[i].end;
	return (end + L4_SLOT_SIZE - 1) & ~(L4_SLOT_SIZE - 1);
}

int pin_init(void)
{
	static struct pin_list kernel;
	struct alias_vcpu_page *page = this_cpu()->vcpu_page;

	if (!platform.has_host)
		return 0;
	register_trap(platform.upcall_vector, handle_upcall, true);
	log_init();
	page->direct_base = DIRECT_BASE;
	page->direct_size = direct_map_size();
	hypercall(page, ALIAS_CALL_REGISTER);
	if (page->call_status != ALIAS_OK) {
		kprintf("guest: the host refused the direct map: status %u\n", page->call_status);
		return -1;
	}
	registered = true;
	if (page->features & ALIAS_WRITE_PROTECTED)
		pte_updates_begin();
	if (page->features & ALIAS_FLUSHES)
		tlb_host_flushes();
	if (page->features & ALIAS_TRACES)
		origins_trace();
	for_each_kernel_table(add_kernel_table, &kernel);
	return pin_list_submit(&kernel);
}
