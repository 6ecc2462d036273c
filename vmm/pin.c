/* SPDX-License-Identifier: MIT */
#include "pin.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <x86intrin.h>
#include "alias_tracker.h"
#include "guard.h"
#include "machine.h"
#include "pin_internal.h"
#include "status.h"
#include "upcall.h"

#define READ_ONCE(x)     __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)

struct alias_vcpu_page *pin_vcpu_page(const struct machine *machine, unsigned index)
{
	return memory_ptr(&machine->mem, SHARED_GPA + (index + 1ull) * ALIAS_PAGE_SIZE,
			  ALIAS_PAGE_SIZE);
}

enum alias_status to_status(enum at_verdict verdict)
{
	switch (verdict) {
	case AT_OK:
		return ALIAS_OK;
	case AT_ALIAS:
	case AT_STALE_TLB:
		return ALIAS_HAS_ALIAS;
	case AT_BAD_FRAME:
		return ALIAS_BAD_FRAME;
	case AT_BAD_LEVEL:
		return ALIAS_BAD_LEVEL;
	case AT_BAD_STATE:
		return ALIAS_BAD_STATE;
	case AT_CHILD_UNPINNED:
		return ALIAS_CHILD_UNPINNED;
	case AT_MAPS_TABLE:
		return ALIAS_MAPS_TABLE;
	case AT_BAD_TABLE:
		return ALIAS_BAD_TABLE;
	default:
		return ALIAS_BAD_CALL;
	}
}

static void report_violations(struct pin *pin)
{
	struct at_violation v;

	while (at_next_violation(pin->at, &v)) {
		if (pin->count.violations++ < PIN_SAID_MAX)
			fprintf(stderr,
				"vmm: violation: %s: frame 0x%llx at va 0x%llx (L%u entry at gpa "
				"0x%llx)\n",
				at_violation_name(v.kind), (unsigned long long)v.pfn,
				(unsigned long long)v.va, v.level, (unsigned long long)v.pte_gpa);
		if (pin->machine->opt->on_violation == VIOLATION_STOP)
			machine_stop(pin->machine, VMM_EX_VIOLATION);
	}
}

static void look_at_tables(struct pin *pin, bool (*sync)(struct alias_tracker *at))
{
	uint64_t start = __rdtsc(), before = pin->ops.clock(pin).cleared;
	bool ok;

	follow_log(pin);
	ok = sync(pin->at);
	note_unseen(pin, before);
	pin->count.sync_ticks += __rdtsc() - start;
	if (!ok)
		fprintf(stderr,
			"vmm: out of memory while following page tables; pins are refused\n");
	report_violations(pin);
}

void sync_tables(struct pin *pin)
{
	look_at_tables(pin, at_sync);
}

void audit_tables(struct pin *pin)
{
	look_at_tables(pin, at_audit);
}

static struct alias_entry read_entry(const struct batch *batch, unsigned index)
{
	const struct alias_entry *shared = &batch->page->entries[index];

	return (struct alias_entry){
		.pfn = READ_ONCE(shared->pfn),
		.op = READ_ONCE(shared->op),
		.level = READ_ONCE(shared->level),
		.status = READ_ONCE(shared->status),
	};
}

static void say_alias(const struct pin *pin, const struct alias_entry *entry,
		      const struct at_alias *alias, bool upcall)
{
	if (pin->machine->opt->verbose)
		fprintf(stderr,
			"vmm: pin of frame 0x%llx as L%u: writable alias at va 0x%llx (L%u entry at gpa 0x%llx): %s\n",
			(unsigned long long)entry->pfn, entry->level, (unsigned long long)alias->va,
			alias->level, (unsigned long long)alias->pte_gpa,
			upcall ? "trap back into the guest" : "refused");
}

static void tell_aliases(struct batch *batch, const struct alias_entry *entry, uint32_t index,
			 bool upcall)
{
	struct at_alias found[ALIAS_FAULT_VAS + 1];
	size_t nr = at_aliases(batch->pin->at, entry->pfn, found, ALIAS_FAULT_VAS + 1);
	struct alias_fault fault = {.pfn = entry->pfn, .entry = index};

	fault.more = nr > ALIAS_FAULT_VAS;
	fault.nr = fault.more ? ALIAS_FAULT_VAS : nr;
	for (size_t i = 0; i < fault.nr; i++)
		fault.va[i] = found[i].va;
	batch->page->fault = fault;
	if (nr)
		say_alias(batch->pin, entry, &found[0], upcall);
}

/* The verdict, after all that the host can do by itself. */
static enum at_verdict judge(struct batch *batch, const struct alias_entry *entry)
{
	struct alias_tracker *at = batch->pin->at;
	enum at_verdict verdict;

	if (batch->pin->guard)
		return guarded_pin(batch, entry->pfn, entry->level);
	if (!batch->pin->checks) {
		batch->pin->count.aliases_met += at_check(at, entry->pfn, entry->level) == AT_ALIAS;
		return at_pin(at, entry->pfn, entry->level);
	}
	verdict = at_check(at, entry->pfn, entry->level);
	/* What went unseen may have been a mapping of this frame. */
	if (verdict == AT_STALE_TLB || (verdict == AT_OK && batch->pin->unseen))
		host_flush(batch->pin, batch->vcpu, batch->paused, entry->pfn);
	verdict = at_pin(at, entry->pfn, entry->level);
	return verdict;
}

/* What guest and host talk through is nobody's page table. */
static bool is_shared(const struct pin *pin, uint64_t pfn)
{
	const struct machine *machine = pin->machine;

	return pfn - pin->shared_pfn < pin->shared_frames ||
	       pfn - machine->log_gpa / ALIAS_PAGE_SIZE < machine->log_size / ALIAS_PAGE_SIZE;
}

enum served serve_pin(struct batch *batch, const struct alias_entry *entry, uint32_t index,
		      enum alias_status *status)
{
	struct pin *pin = batch->pin;
	struct vcpu *vcpu = batch->vcpu;
	uint64_t pfn = entry->pfn;
	bool retried = vcpu->retry.pending && vcpu->retry.pfn == pfn;
	enum at_verdict verdict;

	if (is_shared(pin, pfn)) {
		*status = ALIAS_BAD_FRAME;
		return SERVED;
	}
	verdict = judge(batch, entry);
	if (verdict == AT_ALIAS) {
		bool upcall = batch->upcalls && !retried;

		pin->count.aliases_met += !retried;
		tell_aliases(batch, entry, index, upcall);
		if (upcall) {
			vcpu->retry.pending = true;
			vcpu->retry.pfn = pfn;
			return TRAP_BACK;
		}
	}
	if (retried) {
		vcpu->retry.pending = false;
		pin->count.upcalls_resolved += verdict == AT_OK;
		if (pin->machine->opt->verbose && verdict == AT_OK)
			fprintf(stderr, "vmm: pin of frame 0x%llx as L%u: clean now: granted\n",
				(unsigned long long)pfn, entry->level);
	}
	*status = to_status(verdict);
	if (pin->machine->opt->verify)
		verify_pin(pin, pfn, *status);
	return SERVED;
}

static enum served serve_entry(struct batch *batch, unsigned index)
{
	struct alias_entry entry = read_entry(batch, index);
	struct pin_count *count = &batch->pin->count;
	enum alias_status status = ALIAS_BAD_OP;

	if (entry.status != ALIAS_PENDING)
		return SERVED;
	if (entry.op == ALIAS_OP_PIN) {
		if (serve_pin(batch, &entry, index, &status) == TRAP_BACK)
			return TRAP_BACK;
		count->pins++;
	} else if (entry.op == ALIAS_OP_UNPIN) {
		status = to_status(at_unpin(batch->pin->at, entry.pfn));
		if (status == ALIAS_OK && batch->pin->guard)
			guard_release(batch->pin->guard, entry.pfn);
		count->unpins++;
	}
	count->status[status]++;
	WRITE_ONCE(batch->page->entries[index].status, status);
	return SERVED;
}

void trap_back(struct batch *batch)
{
	batch->pin->count.upcalls++;
	batch->vcpu->stats.upcalls++;
	if (upcall_raise(batch->vcpu, UPCALL_VECTOR))
		machine_stop(batch->pin->machine, VMM_EX_SOFTWARE);
}

static enum alias_status serve_batch(struct pin *pin, struct vcpu *vcpu,
				     struct alias_vcpu_page *page)
{
	uint32_t flags = READ_ONCE(page->flags);
	struct batch batch = {
		.pin = pin,
		.vcpu = vcpu,
		.page = page,
		.count = READ_ONCE(page->count),
		.upcalls = flags & ALIAS_BATCH_UPCALL,
		.paused = pin->machine->opt->verify,
	};
	enum served served = SERVED;

	if (!pin->registered || batch.count == 0 || batch.count > ALIAS_BATCH_MAX ||
	    (flags & ~ALIAS_BATCH_UPCALL))
		return ALIAS_BAD_CALL;
	if (batch.paused)
		world_pause(pin->machine, vcpu);
	if (pin->looks)
		sync_tables(pin);
	for (uint32_t i = 0; i < batch.count && served == SERVED; i++)
		served = serve_entry(&batch, i);
	report_violations(pin);
	if (batch.paused)
		world_resume(pin->machine);
	if (served == TRAP_BACK)
		trap_back(&batch);
	return ALIAS_OK;
}

static enum alias_status serve_register(struct pin *pin, struct alias_vcpu_page *page)
{
	uint64_t base = READ_ONCE(page->direct_base);
	uint64_t size = READ_ONCE(page->direct_size);

	if (pin->registered || !at_set_direct_map(pin->at, base, size))
		return ALIAS_BAD_CALL;
	pin->registered = true;
	WRITE_ONCE(page->features, pin->guard ? ALIAS_GUARDED : 0);
	return ALIAS_OK;
}

static enum alias_status serve_update_call(struct pin *pin, struct vcpu *vcpu,
					   struct alias_vcpu_page *page)
{
	struct batch batch = {
		.pin = pin,
		.vcpu = vcpu,
		.page = page,
		.count = READ_ONCE(page->nr_updates),
		.upcalls = READ_ONCE(page->flags) & ALIAS_BATCH_UPCALL,
	};

	if (!pin->registered || !pin->guard || batch.count == 0 || batch.count > ALIAS_UPDATE_MAX)
		return ALIAS_BAD_CALL;
	return serve_updates(&batch);
}

static void doorbell_write(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len, uint64_t value)
{
	struct pin *pin = dev;
	struct alias_vcpu_page *page = pin_vcpu_page(pin->machine, vcpu->index);
	enum alias_status status = ALIAS_BAD_CALL;
	uint64_t start = __rdtsc();

	vcpu->stats.doorbells++;
	pthread_mutex_lock(&pin->lock);
	pin->count.lock_ticks += __rdtsc() - start;
	pin->count.calls++;
	if (off == 0 && len == 4 && value == ALIAS_CALL_PIN)
		status = serve_batch(pin, vcpu, page);
	else if (off == 0 && len == 4 && value == ALIAS_CALL_REGISTER)
		status = serve_register(pin, page);
	else if (off == 0 && len == 4 && value == ALIAS_CALL_UPDATE)
		status = serve_update_call(pin, vcpu, page);
	pin->count.ticks += __rdtsc() - start;
	pthread_mutex_unlock(&pin->lock);
	WRITE_ONCE(page->call_status, status);
}

static uint64_t doorbell_read(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len)
{
	(void)dev, (void)vcpu, (void)off;
	return len == 8 ? UINT64_MAX : (1ull << len * 8) - 1;
}

static const struct bus_ops doorbell_ops = {.read = doorbell_read, .write = doorbell_write};

int pin_init(struct machine *machine)
{
	struct pin *pin = calloc(1, sizeof(*pin));
	const struct options *opt = machine->opt;
	struct bus_region doorbell = {
		.base = DOORBELL_PORT, .size = 4, .ops = &doorbell_ops, .dev = pin};
	struct at_config config = {
		.frames = memory_end_pfn(&machine->mem),
		.audit_syncs = opt->audit,
	};
	const void *random = (const void *)getauxval(AT_RANDOM);

	if (!pin) {
		fprintf(stderr, "vmm: out of memory\n");
		return -ENOMEM;
	}
	machine->pin = pin;
	pin->machine = machine;
	pin->looks = opt->track != TRACK_OFF;
	pin->checks = pin->looks && opt->flush != ALIAS_FLUSH_NONE;
	pin->source = opt->track;
	pin->shared_pfn = SHARED_GPA / ALIAS_PAGE_SIZE;
	pin->shared_frames = machine->nr_vcpus + 1;
	pthread_mutex_init(&pin->lock, NULL);
	if (!open_source(pin)) {
		fprintf(stderr, "vmm: out of memory\n");
		return -ENOMEM;
	}
	ask_for_log(pin);
	config.mode = pin->looks ? source_mode(pin->source) : AT_BLIND;
	config.grant_aliased = !pin->checks;
	config.quiet_syncs = pin->guard ? 1 : 0; /* arming costs nothing then */
	config.ops = &pin->ops;
	config.ctx = pin;
	if (random)
		memcpy(&config.seed, random, sizeof(config.seed));
	pin->at = at_new(&config);
	if (!pin->at) {
		fprintf(stderr, "vmm: cannot set up the alias tracker: %s\n", strerror(errno));
		return -ENOMEM;
	}
	return bus_add(&machine->pio, &doorbell);
}

void pin_free(struct machine *machine)
{
	struct pin *pin = machine->pin;

	if (!pin)
		return;
	if (pin->at)
		at_free(pin->at);
	close_source(pin);
	pthread_mutex_destroy(&pin->lock);
	free(pin);
	machine->pin = NULL;
}

bool pin_final_audit(struct machine *machine)
{
	struct pin *pin = machine->pin;

	if (pin->registered && pin->looks)
		audit_tables(pin);
	return pin->count.violations == 0 || machine->opt->on_violation != VIOLATION_STOP;
}
