/* SPDX-License-Identifier: MIT */
/* A vCPU's stores to page tables, done or stopped: the exits that they cause, and what the guest
 * gets. */
#include "pin/store.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "kvm/exit.h"
#include "kvm/upcall.h"
#include "kvm/vm.h"
#include "kvm/write_protect.h"
#include "machine.h"
#include "machine_map.h"
#include "pin/pin.h"
#include "say.h"
#include "status.h"
#include "stop.h"

/* How often in a row the guest may try again: a store that is found to be allowed now, and a store
 * of which that is unknown. */
#define STOPS_MAX         64u
#define STOPS_MAX_UNKNOWN 2u

#define FLAG_TF (1ull << 8)

/* --- what the guest gets ---------------------------------------------------------------------- */

static struct batch batch_of(struct pin *pin, struct vcpu *vcpu, bool may_upcall)
{
	struct alias_vcpu_page *page = pin_vcpu_page(pin->machine, vcpu->index);
	uint32_t flags = __atomic_load_n(&page->flags, __ATOMIC_RELAXED);

	return (struct batch){
		.pin = pin,
		.vcpu = vcpu,
		.own = &pin->vcpus[vcpu->index],
		.page = page,
		.upcalls = may_upcall && flags & ALIAS_BATCH_UPCALL,
	};
}

static void raise_exception(struct vcpu *vcpu, unsigned vector, int error_code)
{
	int ret = vcpu_raise(vcpu, vector, error_code);

	if (ret == -ESHUTDOWN)
		say("vCPU %u: triple fault: exception %u, of a store to a page table, comes on top of "
		    "a double fault",
		    vcpu->index, vector);
	if (ret)
		stop_request(vcpu->vm->stop, ret == -ESHUTDOWN ? VMM_EX_SHUTDOWN : VMM_EX_OSERR);
}

static void refuse_store(struct vcpu *vcpu)
{
	raise_exception(vcpu, VECTOR_GP, 0);
}

static void raise_fault(struct vcpu *vcpu, struct vcpu_state *state,
			const struct store_fault *fault)
{
	if (fault->vector == VECTOR_PF) {
		state->sregs.cr2 = fault->va;
		if (ioctl(vcpu->fd, KVM_SET_SREGS, &state->sregs) < 0) {
			stop_on_error(vcpu->vm->stop, "KVM_SET_SREGS");
			return;
		}
	}
	raise_exception(vcpu, fault->vector, (int)fault->error_code);
}

/* Refuses this part of a store of which KVM may have done the other part: the guest is ended, so
 * that no instruction sees half a store. */
static void refuse_part(struct vcpu *vcpu, uint64_t gpa, uint64_t rip)
{
	say("vCPU %u, rip 0x%llx: a store to gpa 0x%llx, in a page table, is refused, but KVM may have "
	    "done the part of it that went to the page beside: the guest cannot go on",
	    vcpu->index, (unsigned long long)rip, (unsigned long long)gpa);
	stop_request(vcpu->vm->stop, VMM_EX_VIOLATION);
}

/* change.c counts those that it refuses. */
static void count_refused(struct pin *pin)
{
	pthread_mutex_lock(&pin->lock);
	pin->count.stores_refused++;
	pthread_mutex_unlock(&pin->lock);
}

/* Ends the guest: what else the instruction has done, or would have done, is unknown. */
static void end_unknown(struct pin *pin, struct vcpu *vcpu, const char *when, uint64_t rip)
{
	count_refused(pin);
	say("vCPU %u, rip 0x%llx: an instruction %s that is not known to be one single store has "
	    "stored to a page table: the guest cannot go on",
	    vcpu->index, (unsigned long long)rip, when);
	stop_request(vcpu->vm->stop, VMM_EX_VIOLATION);
}

static void store_upcall(struct vcpu *vcpu)
{
	count_one(&vcpu->stats.upcalls);
	raise_exception(vcpu, UPCALL_VECTOR, NO_ERROR_CODE);
}

static bool set_regs(const struct vcpu *vcpu, struct kvm_regs *regs)
{
	if (ioctl(vcpu->fd, KVM_SET_REGS, regs) == 0)
		return true;
	say_errno("KVM_SET_REGS");
	return false;
}

/* The store is done. KVM knows of no instruction that has come to its end; so if the guest steps,
 * it is told here. */
static void end_step(struct vcpu *vcpu, const struct kvm_regs *after)
{
	const struct vm *vm = vcpu->vm;

	if (!(after->rflags & FLAG_TF) ||
	    (vm->debug_ops && vm->debug_ops->clear_left_over(vm->debugger, vcpu, after)))
		return;
	if (vcpu_raise_step(vcpu))
		stop_request(vm->stop, VMM_EX_OSERR);
}

/* --- kept from storing ------------------------------------------------------------------------ */

/* Reads what the instruction loads. Returns false if part of it is outside of memory. */
static bool load_value(const struct memory *mem, const struct access *load, uint64_t *value)
{
	uint8_t *to = (uint8_t *)value;

	*value = 0;
	for (unsigned i = 0; i < load->nr; i++) {
		const struct piece *piece = &load->pieces[i];
		const void *from = memory_ptr(mem, piece->gpa, piece->len);

		if (!from)
			return false;
		memcpy(to, from, piece->len);
		to += piece->len;
	}
	return true;
}

/* Computes the value to store, from the present content of memory; the lock is held. Returns false
 * if it is unknown. *stores is false if the instruction does not store. */
static bool compute_store(const struct vcpu *vcpu, const struct insn *insn,
			  const struct access *load, struct kvm_regs *regs,
			  uint8_t bytes[STORE_BYTES], bool *stores)
{
	uint64_t old, value;
	struct kvm_fpu fpu;

	if (insn->op == INSN_MOV_XMM) {
		if (!vcpu_get_fpu(vcpu, &fpu))
			return false;
		memcpy(bytes, fpu.xmm[insn->reg], STORE_BYTES);
		*stores = insn_execute(insn, 0, regs, &value);
		return true;
	}
	if (!load_value(&vcpu->vm->mem, load, &old))
		return false;
	*stores = insn_execute(insn, old, regs, &value);
	memcpy(bytes, &value, sizeof(value));
	return true;
}

/* Executes the instruction; *status says whether that was allowed. The store's pieces get their
 * values, and `regs` what they are after it. */
static enum served run_insn(struct batch *batch, const struct insn *insn, struct access *store,
			    const struct access *load, struct kvm_regs *regs,
			    enum alias_status *status)
{
	struct piece *pieces = store->pieces;
	uint8_t bytes[STORE_BYTES];
	bool stores;

	*status = ALIAS_BAD_OP;
	if (!compute_store(batch->vcpu, insn, load, regs, bytes, &stores))
		return SERVED;
	*status = ALIAS_OK;
	if (!stores)
		return SERVED;
	memcpy(pieces[0].bytes, bytes, pieces[0].len);
	if (store->nr > 1)
		memcpy(pieces[1].bytes, bytes + pieces[0].len, pieces[1].len);
	return commit_store(batch, pieces, store->nr, status);
}

/* Refuses a large store, which is never done. If the guest repeats it, KVM emulates it, and stores
 * page by page up to the first protected one, which is this piece. */
static void refuse_large(struct pin *pin, struct vcpu *vcpu, uint64_t rip,
			 const struct access *store, unsigned stopped_at)
{
	count_refused(pin);
	if (stopped_at == 0)
		refuse_store(vcpu);
	else
		refuse_part(vcpu, store->pieces[stopped_at].gpa, rip);
}

/* Returns the state with the numbers of stops in a row, this one not yet counted. If the vCPU has
 * handled an access since the last stop, the guest has gone on, and counting begins anew. */
static struct pin_vcpu *count_stops(struct pin *pin, const struct vcpu *vcpu)
{
	struct pin_vcpu *own = &pin->vcpus[vcpu->index];
	uint64_t exits = vcpu->stats.exits_pio + vcpu->stats.exits_mmio;

	if (exits != own->exits)
		own->stops = (struct pin_stops){0};
	own->exits = exits;
	return own;
}

/* Nothing is wrong: the frame may have been unprotected, or the address mapped elsewhere, a moment
 * ago. So the guest may try again, but not for ever. */
static bool try_again(unsigned *stops, unsigned max)
{
	if (++*stops < max)
		return true;
	*stops = 0;
	return false;
}

/* What was stopped is unknown. Elsewhere the guest has gone on since the last. */
static bool try_again_at(struct pin_stops *stops, uint64_t rip, unsigned *unknown_or_pushed)
{
	if (rip != stops->rip)
		stops->unknown = stops->pushed = 0;
	stops->rip = rip;
	return try_again(unknown_or_pushed, STOPS_MAX_UNKNOWN);
}

/* The processor was delivering an event, and the frame that it pushes went to a page table,
 * whatever instruction is at RIP. */
static void frame_stopped(struct pin *pin, struct vcpu *vcpu, uint64_t rip, struct pin_stops *stops)
{
	if (try_again_at(stops, rip, &stops->pushed))
		return;
	count_refused(pin);
	refuse_store(vcpu);
}

/* The frames were found writable, and `changes` of protections were counted by then. If there was
 * none since the last such stop, another cause is at work. */
static enum store_exit not_stopped(struct pin_vcpu *own, uint64_t changes)
{
	if (changes != own->changes)
		own->stops.writable = 0;
	own->changes = changes;
	return try_again(&own->stops.writable, STOPS_MAX) ? STORE_EXIT_DONE : STORE_EXIT_OTHER;
}

static void end_insn(struct vcpu *vcpu, struct kvm_regs *regs, enum served served,
		     enum alias_status status)
{
	if (served == UPCALL)
		store_upcall(vcpu);
	else if (status != ALIAS_OK)
		refuse_store(vcpu);
	else if (!set_regs(vcpu, regs))
		stop_request(vcpu->vm->stop, VMM_EX_OSERR);
	else
		end_step(vcpu, regs);
}

/* Returns the first piece that lies in a write-protected frame, store->nr if none does. */
static unsigned find_protected(const struct memory *mem, const struct access *store)
{
	unsigned i = 0;

	while (i < store->nr && !count_write_protected(mem, &store->pieces[i], 1))
		i++;
	return i;
}

/* Frames are protected and unprotected under the lock. It is held from the look at them to the end
 * of the store, so that no store is refused since its table was unpinned in between. */
static enum store_exit known_stopped(struct pin *pin, struct vcpu *vcpu, struct vcpu_state *state,
				     const struct insn *insn, struct pin_vcpu *own)
{
	struct batch batch = batch_of(pin, vcpu, true);
	enum alias_status status = ALIAS_BAD_OP;
	enum served served = SERVED;
	struct access store, load;
	struct store_fault fault;
	unsigned stopped_at;
	uint64_t changes;

	if (!locate_store(vcpu, state, insn, &store, &load, &fault)) {
		own->stops = (struct pin_stops){0};
		raise_fault(vcpu, state, &fault);
		return STORE_EXIT_DONE;
	}
	pthread_mutex_lock(&pin->lock);
	changes = write_protect_changes(&pin->vm->mem);
	stopped_at = find_protected(&pin->vm->mem, &store);
	if (stopped_at < store.nr && insn->op != INSN_LARGE)
		served = run_insn(&batch, insn, &store, &load, &state->regs, &status);
	pthread_mutex_unlock(&pin->lock);
	if (stopped_at == store.nr)
		return not_stopped(own, changes);
	own->stops = (struct pin_stops){0};
	if (insn->op == INSN_LARGE)
		refuse_large(pin, vcpu, state->regs.rip, &store, stopped_at);
	else
		end_insn(vcpu, &state->regs, served, status);
	return STORE_EXIT_DONE;
}

/* What the guest did is unknown, as KVM has failed, which was said: it is not the guest's fault. */
static enum store_exit end_on_error(const struct vcpu *vcpu)
{
	stop_request(vcpu->vm->stop, VMM_EX_OSERR);
	return STORE_EXIT_DONE;
}

static enum store_exit store_stopped(void *ctx, struct vcpu *vcpu)
{
	struct pin *pin = ctx;
	struct pin_vcpu *own = count_stops(pin, vcpu);
	int delivering = vcpu_is_delivering(vcpu);
	struct vcpu_state state;
	struct insn insn;
	size_t nr_read;

	if (delivering < 0 || !vcpu_get_state(vcpu, &state))
		return end_on_error(vcpu);
	if (delivering)
		frame_stopped(pin, vcpu, state.regs.rip, &own->stops);
	else if (decode_next(vcpu, &state, &insn, &nr_read))
		return known_stopped(pin, vcpu, &state, &insn, own);
	else if (!try_again_at(&own->stops, state.regs.rip, &own->stops.unknown))
		end_unknown(pin, vcpu, "here", state.regs.rip);
	return STORE_EXIT_DONE;
}

/* KVM has queued #UD, since it can't emulate the instruction, and has done nothing of it. An
 * unknown instruction may be a store to a page table all the same. */
static enum store_exit store_failed(void *ctx, struct vcpu *vcpu)
{
	struct pin *pin = ctx;
	struct pin_vcpu *own = count_stops(pin, vcpu);
	struct vcpu_state state;
	struct insn insn;
	size_t nr_read;
	bool known;

	if (!vcpu_get_state(vcpu, &state))
		return end_on_error(vcpu);
	known = decode_next(vcpu, &state, &insn, &nr_read);
	if (!state.long_mode || nr_read == 0)
		return STORE_EXIT_OTHER; /* it runs at an address without code */
	if (vcpu_unraise(vcpu))
		return end_on_error(vcpu);
	if (known)
		return known_stopped(pin, vcpu, &state, &insn, own);
	own->stops = (struct pin_stops){0};
	count_refused(pin);
	refuse_store(vcpu);
	return STORE_EXIT_DONE;
}

/* --- stored by KVM's emulation ---------------------------------------------------------------- */

/* Adds a part of a store; contiguous parts become one piece. */
static bool add_part(struct piece *pieces, unsigned *nr, const struct kvm_run *run)
{
	struct piece *piece = pieces + *nr;
	uint64_t gpa = run->mmio.phys_addr;
	unsigned len = run->mmio.len;

	if (len > sizeof(run->mmio.data))
		return false;
	if (*nr > 0 && gpa % ALIAS_PAGE_SIZE && gpa == piece[-1].gpa + piece[-1].len)
		piece--;
	else if (*nr == PIECES_MAX)
		return false;
	else
		pieces[(*nr)++] = (struct piece){.gpa = gpa};
	if (len > STORE_BYTES - piece->len)
		return false;
	memcpy(piece->bytes + piece->len, run->mmio.data, len);
	piece->len += len;
	return true;
}

/* Collects the pieces of the store that this exit began, and completes the instruction. Returns how
 * many; 0 if they are not a known store; or a negated errno. */
static int gather_pieces(struct vcpu *vcpu, struct piece *pieces)
{
	const struct kvm_run *run = vcpu->run;
	unsigned nr = 0;

	while (add_part(pieces, &nr, run)) {
		bool completed;
		int err = vcpu_continue_io(vcpu, &completed);

		if (err)
			return err;
		if (completed)
			return (int)nr;
		if (run->exit_reason != KVM_EXIT_MMIO || !run->mmio.is_write)
			break;
	}
	return 0;
}

static void do_emulated(struct pin *pin, struct vcpu *vcpu, const struct vcpu_state *state,
			const struct piece *pieces, unsigned nr)
{
	struct kvm_regs before;
	enum alias_status status;
	enum emulated emulated;
	enum served served;
	struct batch batch;
	bool again;

	emulated = decode_emulated(vcpu, state, pieces, nr, &again, &before);
	if (emulated == EMULATED_UNKNOWN) {
		end_unknown(pin, vcpu, "before it", state->regs.rip);
		return;
	}
	batch = batch_of(pin, vcpu, again);
	pthread_mutex_lock(&pin->lock);
	served = commit_emulated(&batch, pieces, nr, &status);
	pthread_mutex_unlock(&pin->lock);
	if (served == UPCALL && !set_regs(vcpu, &before))
		stop_request(vcpu->vm->stop, VMM_EX_OSERR);
	else if (served == UPCALL)
		store_upcall(vcpu);
	else if (status != ALIAS_OK && emulated == EMULATED_HALF)
		refuse_part(vcpu, pieces[0].gpa, state->regs.rip);
	else if (status != ALIAS_OK)
		refuse_store(vcpu);
	else
		end_step(vcpu, &state->regs);
}

/*
 * A store that KVM has emulated exits only for what goes to no writable memory. If it straddles a
 * table and other memory, KVM has done the other half by now, whichever is first. If this half is
 * allowed, the store is exact. If it is refused, the other half stays done, since the old bytes are
 * unknown: KVM exits after the store, no register holds them, and to stop KVM earlier the adjacent
 * frame would have to be read-only, too.
 *
 * KVM does not say which instruction it was, and if one stores twice, as a far call does, only the
 * last store is seen. So a store is accepted only if the code before RIP makes just this store. A
 * guest may jump by a far call to an address behind such code; then it gets exactly what that code
 * would have done, and only its own stack is wrong.
 */
static enum store_exit store_emulated(void *ctx, struct vcpu *vcpu, const struct exit_io *io)
{
	struct pin *pin = ctx;
	struct piece pieces[PIECES_MAX];
	struct vcpu_state state;
	int nr;

	if (!io->write || !memory_ptr(&vcpu->vm->mem, io->addr, 1))
		return STORE_EXIT_OTHER;
	nr = gather_pieces(vcpu, pieces);
	if (nr < 0 || !vcpu_get_state(vcpu, &state))
		stop_request(vcpu->vm->stop, VMM_EX_OSERR);
	else if (nr == 0)
		end_unknown(pin, vcpu, "here", state.regs.rip);
	else
		do_emulated(pin, vcpu, &state, pieces, (unsigned)nr);
	return STORE_EXIT_DONE;
}

const struct store_ops pin_store_ops = {
	.stopped = store_stopped,
	.failed = store_failed,
	.emulated = store_emulated,
};
