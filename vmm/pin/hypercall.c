/* SPDX-License-Identifier: MIT */
#include "pin/pin.h"
#include "pin/regions.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <x86intrin.h>
#include "alias_tracker.h"
#include "kvm/write_protect.h"
#include "machine.h"
#include "pin/guest_events.h"
#include "pin/internal.h"
#include "say.h"
#include "status.h"
#include "stop.h"
#include "trace.h"
#include "kvm/upcall.h"

#define RESERVED_TABLES 320u /* of three processes on each of 8 vCPUs */

static struct alias_op read_op(const struct batch *batch, unsigned index)
{
	const struct alias_op *shared = &batch->page->ops[index];

	return (struct alias_op){
		.pfn = __atomic_load_n(&shared->pfn, __ATOMIC_RELAXED),
		.op = __atomic_load_n(&shared->op, __ATOMIC_RELAXED),
		.level = __atomic_load_n(&shared->level, __ATOMIC_RELAXED),
		.status = __atomic_load_n(&shared->status, __ATOMIC_RELAXED),
	};
}

static enum alias_status serve_unpin(struct batch *batch, uint64_t pfn)
{
	struct pin *pin = batch->pin;

	pin->count.unpins++;
	return to_status(pin->strict ? write_protected_unpin(batch, pfn) : at_unpin(pin->at, pfn));
}

static enum served serve_op(struct batch *batch, unsigned index)
{
	struct alias_op op = read_op(batch, index);
	struct pin_count *count = &batch->pin->count;
	enum alias_status status = ALIAS_BAD_OP;
	enum served served = SERVED;

	if (op.status != ALIAS_PENDING)
		return SERVED;
	switch (op.op) {
	case ALIAS_OP_PIN:
		served = serve_transition(batch, op.pfn,
					  (struct at_transition){AT_TO_TABLE, op.level}, index,
					  &status);
		break;
	case ALIAS_OP_MEMTYPE:
		served = serve_transition(batch, op.pfn,
					  (struct at_transition){AT_TO_MEMTYPE, op.memtype}, index,
					  &status);
		break;
	case ALIAS_OP_INFLATE:
		served = serve_transition(
			batch, op.pfn, (struct at_transition){.to = AT_TO_BALLOON}, index, &status);
		break;
	case ALIAS_OP_DEFLATE:
		status = serve_deflate(batch, op.pfn);
		break;
	case ALIAS_OP_UNPIN:
		status = serve_unpin(batch, op.pfn);
		break;
	}
	if (served == UPCALL)
		return UPCALL;
	count->status[status]++;
	__atomic_store_n(&batch->page->ops[index].status, status, __ATOMIC_RELAXED);
	return SERVED;
}

/* A refusal may take a walk of all tables. If the machine ends, nobody wants the rest of the
 * answers. */
static enum served serve_ops(struct batch *batch)
{
	enum served served = SERVED;

	for (uint32_t i = 0; i < batch->count && served == SERVED; i++) {
		if (stop_requested(&batch->pin->machine->stop))
			break;
		served = serve_op(batch, i);
	}
	return served;
}

static enum alias_status serve_batch(struct pin *pin, struct vcpu *vcpu,
				     struct alias_vcpu_page *page)
{
	uint32_t flags = __atomic_load_n(&page->flags, __ATOMIC_RELAXED);
	struct batch batch = {
		.pin = pin,
		.vcpu = vcpu,
		.own = &pin->vcpus[vcpu->index],
		.page = page,
		.count = __atomic_load_n(&page->count, __ATOMIC_RELAXED),
		.is_new = __atomic_load_n(&page->call_status, __ATOMIC_RELAXED) == ALIAS_PENDING,
		.upcalls = flags & ALIAS_BATCH_UPCALL,
		.waits = flags & ALIAS_BATCH_WAIT && !pin->strict &&
			 pin->machine->opt->flush_proof == PROOF_GUEST,
		.verify = verify_is_due(pin),
	};
	enum served served;

	if (!pin->registered || batch.count == 0 || batch.count > ALIAS_BATCH_MAX ||
	    (flags & ~(ALIAS_BATCH_UPCALL | ALIAS_BATCH_WAIT)))
		return ALIAS_BAD_CALL;
	batch.paused = batch.verify || guest_log_needs_pause(&pin->log);
	if (batch.paused)
		pause_all_vcpus(pin->vm, vcpu);
	pin->log.quiet = batch.paused;
	if (pin->tracks)
		sync_tables_first(pin, &pin->call_sync);
	served = serve_ops(&batch);
	report_violations(pin);
	pin->log.quiet = false;
	if (batch.paused)
		resume_vcpus(pin->vm);
	return served == UPCALL ? send_upcall(&batch) : ALIAS_OK;
}

static enum alias_status serve_register(struct pin *pin, struct vcpu *vcpu,
					struct alias_vcpu_page *page)
{
	uint64_t base = __atomic_load_n(&page->direct_base, __ATOMIC_RELAXED);
	uint64_t size = __atomic_load_n(&page->direct_size, __ATOMIC_RELAXED);
	struct kvm_regs at_out;
	uint32_t features;

	if (pin->machine->upcalls_broken) {
		say("%s", UPCALL_BROKEN);
		stop_request(&pin->machine->stop, VMM_EX_NOKVM);
		return ALIAS_BAD_CALL;
	}
	if (pin->registered || !upcall_complete_out(vcpu, &at_out) ||
	    !at_set_direct_map(pin->at, base, size))
		return ALIAS_BAD_CALL;
	pin->registered = true;
	pin->guest_events = pin->vcpus[vcpu->index].tsc_known;
	features = (pin->strict ? ALIAS_WRITE_PROTECTED : 0) | (pin->flushes ? ALIAS_FLUSHES : 0) |
		   (pin->guest_events ? ALIAS_TRACES : 0);
	__atomic_store_n(&page->features, features, __ATOMIC_RELAXED);
	return ALIAS_OK;
}

static enum alias_status serve_update_call(struct pin *pin, struct vcpu *vcpu,
					   struct alias_vcpu_page *page)
{
	struct batch batch = {
		.pin = pin,
		.vcpu = vcpu,
		.own = &pin->vcpus[vcpu->index],
		.page = page,
		.count = __atomic_load_n(&page->nr_updates, __ATOMIC_RELAXED),
		.is_new = __atomic_load_n(&page->call_status, __ATOMIC_RELAXED) == ALIAS_PENDING,
		.upcalls = __atomic_load_n(&page->flags, __ATOMIC_RELAXED) & ALIAS_BATCH_UPCALL,
	};

	if (!pin->registered || !pin->strict || batch.count == 0 || batch.count > ALIAS_UPDATE_MAX)
		return ALIAS_BAD_CALL;
	return serve_updates(&batch, __atomic_load_n(&page->updates_pfn, __ATOMIC_RELAXED));
}

/* The call with which the trace is to tell of its sync, if there was one. Between an upcall and its
 * second try it does not: there a sync is part of the story, and has an event; so it does if the
 * host has recorded something since, of which there were `before` events. Returns its ticks, or
 * 0. */
static uint32_t tell_of_sync(struct pin *pin, bool has_retries, uint64_t before)
{
	struct pin_sync sync = pin->call_sync;
	uint64_t ticks = sync.end - sync.start;

	pin->call_sync.end = 0;
	if (!sync.end)
		return 0;
	if (!has_retries && pin->track_host->nr == before && ticks <= UINT32_MAX)
		return (uint32_t)ticks;
	trace_sync(pin, sync);
	return 0;
}

static enum alias_status serve_locked(struct pin *pin, struct vcpu *vcpu,
				      struct alias_vcpu_page *page, uint64_t call,
				      uint32_t *sync_ticks)
{
	const struct pin_vcpu *own = &pin->vcpus[vcpu->index];
	bool has_retries = own->nr_retries > 0;
	enum alias_status status = ALIAS_BAD_CALL;
	uint64_t start = __rdtsc(), before;

	pthread_mutex_lock(&pin->lock);
	pin->count.lock_ticks += __rdtsc() - start;
	before = pin->track_host ? pin->track_host->nr : 0;
	pin->count.calls++;
	if (pin->logged)
		guest_log_called(&pin->log, vcpu->index);
	if (call == ALIAS_CALL_PIN)
		status = serve_batch(pin, vcpu, page);
	else if (call == ALIAS_CALL_REGISTER)
		status = serve_register(pin, vcpu, page);
	else if (call == ALIAS_CALL_UPDATE)
		status = serve_update_call(pin, vcpu, page);
	if (pin->track_host)
		*sync_ticks = tell_of_sync(pin, has_retries || own->nr_retries > 0, before);
	pin->count.ticks += __rdtsc() - start;
	pthread_mutex_unlock(&pin->lock);
	return status;
}

/* KVM tells of an `outs` as of an `out`. But what an `out` writes is EAX. (An `outs` of the same
 * value gets no more than an `out` would.) */
static bool is_by_string(const struct kvm_run *run, uint64_t value)
{
	return run->io.count > 1 || (uint32_t)run->s.regs.regs.rax != value;
}

static void hypercall_write(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len,
			    uint64_t value)
{
	struct pin *pin = dev;
	struct alias_vcpu_page *page = pin_vcpu_page(pin->machine, vcpu->index);
	uint64_t call = off == 0 && len == 4 ? value : 0;
	struct pin_vcpu *own = &pin->vcpus[vcpu->index];
	uint64_t start = trace_now(vcpu->track);
	uint32_t sync_ticks = 0;
	enum alias_status status;

	if (vcpu->track) {
		own->let_through = 0;
		guest_events_called(pin, vcpu, page);
	}
	if (is_by_string(vcpu->run, value))
		call = 0;
	count_one(&vcpu->stats.hypercalls);
	status = call == ALIAS_CALL_FLUSH ? serve_flush(pin, vcpu)
					  : serve_locked(pin, vcpu, page, call, &sync_ticks);
	__atomic_store_n(&page->call_status, status, __ATOMIC_RELAXED);
	if (vcpu->track)
		trace_record(vcpu->track,
			     &(struct trace_event){
				     .kind = TRACE_CALL,
				     .start = start,
				     .end = __rdtsc(),
				     .a = call,
				     .b = call == ALIAS_CALL_PIN
						  ? __atomic_load_n(&page->count, __ATOMIC_RELAXED)
						  : 0,
				     .sync = sync_ticks,
				     .alias = own->let_through,
			     });
}

static uint64_t hypercall_read(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len)
{
	(void)dev, (void)vcpu, (void)off;
	return len == 8 ? UINT64_MAX : (1ull << len * 8) - 1;
}

static const struct bus_ops hypercall_ops = {.read = hypercall_read, .write = hypercall_write};

/* Sets what follows from the options alone. */
static void configure_pin(struct pin *pin, struct machine *machine)
{
	const struct options *opt = machine->opt;

	pin->machine = machine;
	pin->vm = &machine->vm;
	pin->common = common_page(machine);
	pin->track_host = machine->trace ? trace_host(machine->trace) : NULL;
	pin->strict = opt->track == TRACK_STRICT;
	pin->tracks = opt->track != TRACK_OFF;
	pin->checks = pin->tracks && opt->flush != ALIAS_FLUSH_NONE;
	pin->track = opt->track;
}

static bool create_tracker(struct pin *pin)
{
	struct at_config config = {
		.frames = memory_end_pfn(&pin->vm->mem),
		.audit_syncs = pin->machine->opt->audit,
		.mode = pin->tracks ? to_at_mode(pin->track) : AT_BLIND,
		.grant_aliased = !pin->checks,
		/* what is let through is named */
		.keep_places = pin->tracks && !pin->checks &&
			       (pin->track_host || pin->machine->opt->verbose),
		.shared_pfn = SHARED_GPA / ALIAS_PAGE_SIZE,
		.shared_frames = machine_shared_size(pin->machine) / ALIAS_PAGE_SIZE,
		.reserve_tables = pin->tracks ? RESERVED_TABLES : 0,
		.quiet_syncs = pin->strict ? 1 : 0, /* arming is free with write-protected tables */
		.ops = &pin->ops,
		.ctx = pin,
		.stop = &pin->machine->stop.leave_off,
	};

	/* Does not wait for the kernel to have gathered entropy, of which an emulated machine has
	 * little. (AT_RANDOM would be at hand, but it is the stack protector's, too.) */
	if (getrandom(&config.seed, sizeof(config.seed), GRND_INSECURE) != sizeof(config.seed)) {
		say_errno("getrandom");
		return false;
	}
	pin->at = at_new(&config);
	if (!pin->at)
		say_errno("cannot set up the alias tracker");
	return pin->at != NULL;
}

/* Adds the hypercall to the bus: from now on vCPUs call it. */
static int connect_vcpus(struct pin *pin)
{
	struct machine *machine = pin->machine;
	struct bus_region hypercall = {
		.base = HYPERCALL_PORT, .size = 4, .ops = &hypercall_ops, .dev = pin};
	int err = bus_add(&machine->io.pio, &hypercall);

	if (err) {
		say("no room on the port bus for the hypercall");
		return err;
	}
	if (pin->strict) {
		machine->vm.store_ops = &pin_store_ops;
		machine->vm.stores = pin;
	}
	return 0;
}

struct pin *pin_create(struct machine *machine)
{
	struct pin *pin = calloc(1, sizeof(*pin));

	if (!pin) {
		say_errno("memory for the hypercall");
		return NULL;
	}
	configure_pin(pin, machine);
	pthread_mutex_init(&pin->lock, NULL);
	pin->vcpus = calloc(machine->vm.nr_vcpus, sizeof(*pin->vcpus));
	pin->regions_granted = calloc(1, regions_size(&machine->vm.mem));
	if (!pin->vcpus || !pin->regions_granted) {
		say_errno("memory for the hypercall");
	} else if (open_flushes(pin) && open_tracking(pin) && create_tracker(pin)) {
		ask_for_log(pin);
		if (connect_vcpus(pin) == 0)
			return pin;
	}
	pin_free(pin);
	return NULL;
}

void pin_free(struct pin *pin)
{
	if (!pin)
		return;
	if (pin->at)
		at_free(pin->at);
	close_tracking(pin);
	pthread_mutex_destroy(&pin->lock);
	free(pin->areas);
	free(pin->regions_granted);
	free(pin->vcpus);
	free(pin);
}

bool pin_final_audit(struct pin *pin)
{
	const struct vm *vm = &pin->machine->vm;

	for (unsigned i = 0; pin->logged && i < vm->nr_vcpus; i++)
		if (vm->vcpus[i].run->exit_reason == KVM_EXIT_IO)
			guest_log_called(&pin->log, i); /* its last instruction counts as a call */
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		guest_events_take(pin, &vm->vcpus[i]);
	stop_is_over(&pin->machine->stop);
	pin->log.quiet = true;
	if (pin->registered && pin->tracks)
		audit_tables(pin);
	return pin->count.violations == 0 || pin->machine->opt->on_violation != VIOLATION_STOP;
}
