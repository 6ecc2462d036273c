/* SPDX-License-Identifier: MIT */
/* A vCPU has stored, or was kept from storing, to a page table: the store is judged and done. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "kvm/exit.h"
#include "kvm/write_protect.h"
#include "pin/insn.h"
#include "machine.h"
#include "pin/pin.h"
#include "pin/internal.h"
#include "say.h"
#include "status.h"
#include "stop.h"
#include "kvm/upcall.h"

#define VECTOR_GP   13
#define VECTOR_PF   14
#define PF_WRITE    2 /* error code: not present, a write */
#define PF_USER     4
#define EFER_LMA    (1ull << 10)
#define STORE_BYTES 16u
#define WHOLE_BYTES 8u /* more than that KVM stores in parts */
#define PIECES_MAX  2u
#define CHANGES_MAX 4u  /* entries that 16 bytes can touch, in two frames, and one to spare */
#define STOPS_MAX   64u /* in a row, for a store that is found to be allowed by now */

/* What a vCPU is about to do. */
struct view {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct insn_segments segments;
	bool long_mode;
};

/* Bytes to be stored, in one frame. */
struct piece {
	uint64_t gpa;
	unsigned len;
	uint8_t bytes[STORE_BYTES];
};

/* --- looking at the guest --------------------------------------------------------------------- */

static bool see(const struct vcpu *vcpu, struct view *view)
{
	const struct kvm_sregs *sregs = &view->sregs;

	if (ioctl(vcpu->fd, KVM_GET_REGS, &view->regs) < 0 ||
	    ioctl(vcpu->fd, KVM_GET_SREGS, &view->sregs) < 0) {
		say_errno("KVM_GET_REGS");
		return false;
	}
	view->segments = (struct insn_segments){.fs = sregs->fs.base, .gs = sregs->gs.base};
	view->long_mode = sregs->efer & EFER_LMA && sregs->cs.l;
	return true;
}

/* Where KVM itself fails, the guest ends: it must not be refused a store for that. */
static bool translate(const struct vcpu *vcpu, uint64_t va, uint64_t *gpa)
{
	struct kvm_translation translation = {.linear_address = va};

	if (ioctl(vcpu->fd, KVM_TRANSLATE, &translation) < 0)
		stop_on_error(vcpu->vm->stop, "KVM_TRANSLATE");
	if (!translation.valid)
		return false;
	*gpa = translation.physical_address;
	return true;
}

static bool get_fpu(const struct vcpu *vcpu, struct kvm_fpu *fpu)
{
	if (ioctl(vcpu->fd, KVM_GET_FPU, fpu) == 0)
		return true;
	stop_on_error(vcpu->vm->stop, "KVM_GET_FPU");
	return false;
}

/* Reads up to `max` bytes of memory, as far as they are mapped. Returns how many. */
static size_t read_va(const struct vcpu *vcpu, uint64_t va, void *to, size_t max)
{
	size_t done = 0;

	while (done < max) {
		size_t step = ALIAS_PAGE_SIZE - (va + done) % ALIAS_PAGE_SIZE;
		const void *from;
		uint64_t gpa;

		if (step > max - done)
			step = max - done;
		if (!translate(vcpu, va + done, &gpa))
			break;
		from = memory_ptr(&vcpu->vm->mem, gpa, step);
		if (!from)
			break;
		memcpy((uint8_t *)to + done, from, step);
		done += step;
	}
	return done;
}

static bool decode(const struct vcpu *vcpu, const struct view *view, struct insn *insn)
{
	uint8_t code[INSN_MAX_LEN];
	size_t nr = read_va(vcpu, view->regs.rip, code, sizeof(code));

	return view->long_mode && insn_decode(code, nr, &view->regs, &view->segments, insn);
}

/* Where the bytes lie that the instruction stores to, in one or two frames. Returns how many
 * pieces; 0: *unmapped is the first address that is not mapped. */
static unsigned locate(const struct vcpu *vcpu, const struct insn *insn, struct piece *pieces,
		       uint64_t *unmapped)
{
	unsigned nr = 0, len = insn->size;
	uint64_t va = insn->va;

	*unmapped = va;
	while (len > 0) {
		unsigned step = ALIAS_PAGE_SIZE - va % ALIAS_PAGE_SIZE;

		if (step > len)
			step = len;
		*unmapped = va;
		if (!translate(vcpu, va, &pieces[nr].gpa))
			return 0;
		pieces[nr++].len = step;
		va += step;
		len -= step;
	}
	return nr;
}

static unsigned count_guarded(const struct memory *mem, const struct piece *pieces, unsigned nr)
{
	unsigned guarded = 0;

	for (unsigned i = 0; i < nr; i++)
		guarded += gfn_is_write_protected(mem, pieces[i].gpa / ALIAS_PAGE_SIZE);
	return guarded;
}

/* --- storing ---------------------------------------------------------------------------------- */

/* Splits the piece into the entries it changes, merged with what they hold. */
static unsigned split(const struct pin *pin, const struct piece *piece, struct change *changes)
{
	uint64_t first = piece->gpa & ~7ull, end = piece->gpa + piece->len;
	unsigned nr = 0;

	for (uint64_t gpa = first; gpa < end; gpa += sizeof(uint64_t)) {
		uint64_t from = gpa > piece->gpa ? gpa : piece->gpa;
		uint64_t to = gpa + sizeof(uint64_t) < end ? gpa + sizeof(uint64_t) : end;
		uint64_t pte;

		memcpy(&pte, memory_back(&pin->vm->mem, gpa), sizeof(pte));
		memcpy((uint8_t *)&pte + (from - gpa), piece->bytes + (from - piece->gpa),
		       to - from);
		changes[nr++] = (struct change){.pte_gpa = gpa, .pte = pte};
	}
	return nr;
}

/* All or nothing. Only the host's own pieces: each lies in a guarded frame. */
static enum served store(struct batch *batch, const struct piece *pieces, unsigned nr,
			 enum alias_status *status)
{
	struct change changes[CHANGES_MAX];
	unsigned nr_changes = 0;

	*status = ALIAS_BAD_STATE;
	if (count_guarded(&batch->pin->vm->mem, pieces, nr) < nr)
		return SERVED; /* part of it is no page table: not known how to do it whole */
	for (unsigned i = 0; i < nr; i++)
		nr_changes += split(batch->pin, &pieces[i], &changes[nr_changes]);
	if (change_entries(batch, changes, nr_changes) == UPCALL)
		return UPCALL;
	*status = changes[0].status;
	batch->pin->count.stores += *status == ALIAS_OK;
	return SERVED;
}

static struct batch batch_of(struct pin *pin, struct vcpu *vcpu, bool may_trap)
{
	struct alias_vcpu_page *page = pin_vcpu_page(pin->machine, vcpu->index);
	uint32_t flags = __atomic_load_n(&page->flags, __ATOMIC_RELAXED);

	return (struct batch){
		.pin = pin,
		.vcpu = vcpu,
		.own = &pin->vcpus[vcpu->index],
		.page = page,
		.upcalls = may_trap && flags & ALIAS_BATCH_UPCALL,
	};
}

static void refuse(struct vcpu *vcpu)
{
	if (vcpu_raise(vcpu, VECTOR_GP, 0))
		stop_request(vcpu->vm->stop, VMM_EX_SOFTWARE);
}

/* As a processor does that has looked there before it stores anything. */
static void page_fault(struct vcpu *vcpu, struct view *view, uint64_t va)
{
	int error_code = PF_WRITE | (view->sregs.cs.selector & 3 ? PF_USER : 0);

	view->sregs.cr2 = va;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &view->sregs) < 0)
		stop_on_error(vcpu->vm->stop, "KVM_SET_SREGS");
	else if (vcpu_raise(vcpu, VECTOR_PF, error_code))
		stop_request(vcpu->vm->stop, VMM_EX_SOFTWARE);
}

/* This part is, and no instruction of the guest is to find the other. */
static void refuse_part(struct vcpu *vcpu, const struct piece *part, uint64_t rip)
{
	say("vCPU %u, rip 0x%llx: a store to gpa 0x%llx, in a page table, is refused, but KVM may have "
	    "done the part of it that went to the page beside: the guest cannot go on",
	    vcpu->index, (unsigned long long)rip, (unsigned long long)part->gpa);
	stop_request(vcpu->vm->stop, VMM_EX_VIOLATION);
}

static void store_upcall(struct vcpu *vcpu)
{
	count_one(&vcpu->stats.upcalls);
	if (vcpu_raise(vcpu, UPCALL_VECTOR, NO_ERROR_CODE))
		stop_request(vcpu->vm->stop, VMM_EX_SOFTWARE);
}

static bool set_regs(const struct vcpu *vcpu, struct kvm_regs *regs)
{
	if (ioctl(vcpu->fd, KVM_SET_REGS, regs) == 0)
		return true;
	say_errno("KVM_SET_REGS");
	return false;
}

/* --- kept from storing ------------------------------------------------------------------------ */

/* What the instruction stores, from what lies there now; the lock is held. Returns false if it
 * cannot be told. *stores false: it leaves memory alone. */
static bool compute(const struct vcpu *vcpu, const struct insn *insn, struct kvm_regs *regs,
		    uint8_t bytes[STORE_BYTES], bool *stores)
{
	uint64_t from = insn->op == INSN_MOVS ? insn->operand : insn->va;
	uint64_t old = 0, value;
	struct kvm_fpu fpu;

	if (insn->op == INSN_MOV_XMM) {
		if (!get_fpu(vcpu, &fpu))
			return false;
		memcpy(bytes, fpu.xmm[insn->reg], STORE_BYTES);
		*stores = insn_execute(insn, 0, regs, &value);
		return true;
	}
	if (read_va(vcpu, from, &old, insn->size) < insn->size)
		return false;
	*stores = insn_execute(insn, old, regs, &value);
	memcpy(bytes, &value, sizeof(value));
	return true;
}

/* Does the instruction; *known is false if it cannot be done. Its registers are in `regs` then. */
static enum served run_insn(struct batch *batch, const struct insn *insn, struct kvm_regs *regs,
			    enum alias_status *status)
{
	uint8_t bytes[STORE_BYTES];
	struct piece pieces[PIECES_MAX];
	uint64_t unmapped;
	unsigned nr = locate(batch->vcpu, insn, pieces, &unmapped);
	bool stores;

	*status = ALIAS_BAD_OP;
	if (nr == 0 || !compute(batch->vcpu, insn, regs, bytes, &stores))
		return SERVED;
	*status = ALIAS_OK;
	if (!stores)
		return SERVED;
	memcpy(pieces[0].bytes, bytes, pieces[0].len);
	if (nr > 1)
		memcpy(pieces[1].bytes, bytes + pieces[0].len, pieces[1].len);
	return store(batch, pieces, nr, status);
}

static void do_insn(struct pin *pin, struct vcpu *vcpu, const struct insn *insn,
		    struct kvm_regs *regs)
{
	struct batch batch = batch_of(pin, vcpu, true);
	enum alias_status status;
	enum served served;

	pthread_mutex_lock(&pin->lock);
	served = run_insn(&batch, insn, regs, &status);
	pthread_mutex_unlock(&pin->lock);
	if (served == UPCALL)
		store_upcall(vcpu);
	else if (status != ALIAS_OK)
		refuse(vcpu);
	else if (!set_regs(vcpu, regs))
		stop_request(vcpu->vm->stop, VMM_EX_OSERR);
}

/* Nothing is known to be wrong: the frame may have been released, or been mapped elsewhere, a
 * moment ago. So the guest may try again, but not for ever. */
static bool try_again(struct pin_vcpu *own)
{
	return ++own->stops < STOPS_MAX;
}

/* It may be an instruction that stores to a table all the same. */
static bool refuse_unknown(struct pin *pin, struct vcpu *vcpu)
{
	pin->vcpus[vcpu->index].stops = 0;
	pin->count.stores_refused++;
	refuse(vcpu);
	return true;
}

/* A store that is done for nobody. When KVM emulates it, which it does if the same one comes again,
 * it writes page by page until it may not. */
static void refuse_large(struct pin *pin, struct vcpu *vcpu, uint64_t rip,
			 const struct piece *pieces, unsigned nr)
{
	pin->count.stores_refused++;
	if (nr == 1 || gfn_is_write_protected(&pin->vm->mem, pieces[0].gpa / ALIAS_PAGE_SIZE))
		refuse(vcpu);
	else
		refuse_part(vcpu, &pieces[1], rip);
}

/* The stops in a row, with the one that has just begun yet to be counted: an access that was
 * handled since the last says that the guest has gone on. */
static struct pin_vcpu *count_stops(struct pin *pin, const struct vcpu *vcpu)
{
	struct pin_vcpu *own = &pin->vcpus[vcpu->index];
	uint64_t exits = vcpu->stats.exits_pio + vcpu->stats.exits_mmio;

	if (exits != own->exits)
		own->stops = 0;
	own->exits = exits;
	return own;
}

static bool do_stopped(struct pin *pin, struct vcpu *vcpu, bool sure)
{
	struct pin_vcpu *own = count_stops(pin, vcpu);
	struct piece pieces[PIECES_MAX];
	struct view view;
	struct insn insn;
	uint64_t unmapped;
	unsigned nr;

	if (!see(vcpu, &view))
		return false;
	if (!decode(vcpu, &view, &insn))
		return sure || own->stops > 0 ? refuse_unknown(pin, vcpu) : try_again(own);
	nr = locate(vcpu, &insn, pieces, &unmapped);
	if (nr > 0 && count_guarded(&pin->vm->mem, pieces, nr) == 0)
		return try_again(own);
	own->stops = 0;
	if (nr == 0)
		page_fault(vcpu, &view, unmapped);
	else if (insn.op == INSN_LARGE)
		refuse_large(pin, vcpu, view.regs.rip, pieces, nr);
	else
		do_insn(pin, vcpu, &insn, &view.regs);
	return true;
}

static bool store_stopped(void *ctx, struct vcpu *vcpu)
{
	return do_stopped(ctx, vcpu, false);
}

/* KVM has queued #UD, for want of a better idea. */
static bool store_failed(void *ctx, struct vcpu *vcpu)
{
	return !vcpu_unraise(vcpu) && do_stopped(ctx, vcpu, true);
}

/* --- stored by KVM's emulation ---------------------------------------------------------------- */

/*
 * Finds the instruction that ends where RIP is and does just this store, and moves RIP back to it.
 * Only a plain move is looked for: it has changed no register, so doing it again is as doing it
 * once. Which of several readings of the bytes is taken doesn't matter, as they do the same.
 */
static bool step_back(const struct vcpu *vcpu, struct view *view, const struct piece *piece)
{
	for (unsigned len = 2; len <= INSN_MAX_LEN; len++) {
		struct view before = *view;
		struct insn insn;
		uint64_t gpa;

		before.regs.rip -= len;
		if (!decode(vcpu, &before, &insn) || insn.len != len || insn.op != INSN_MOV ||
		    insn.size != piece->len || memcmp(&insn.operand, piece->bytes, piece->len) ||
		    !translate(vcpu, insn.va, &gpa) || gpa != piece->gpa)
			continue;
		*view = before;
		return true;
	}
	return false;
}

/* One more part of a store; of those that follow on each other one piece is made. */
static bool add_part(struct piece *pieces, unsigned *nr, const struct kvm_run *run)
{
	struct piece *last = &pieces[*nr - 1];
	uint64_t gpa = run->mmio.phys_addr;
	unsigned len = run->mmio.len;

	if (len > sizeof(run->mmio.data))
		return false;
	if (*nr == 0 || gpa != last->gpa + last->len || gpa % ALIAS_PAGE_SIZE == 0) {
		if (*nr == PIECES_MAX)
			return false;
		last = &pieces[(*nr)++];
		*last = (struct piece){.gpa = gpa};
	}
	if (len > STORE_BYTES - last->len)
		return false;
	memcpy(last->bytes + last->len, run->mmio.data, len);
	last->len += len;
	return true;
}

/* All the pieces of the store that this exit began. Completes the instruction. Returns how many;
 * 0 after saying why it could not. */
static unsigned gather(struct vcpu *vcpu, struct piece *pieces)
{
	const struct kvm_run *run = vcpu->run;
	unsigned nr = 0;

	while (add_part(pieces, &nr, run)) {
		int ret;

		__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		ret = ioctl(vcpu->fd, KVM_RUN, 0);
		if (ret < 0 && errno == EINTR)
			return nr;
		if (ret < 0 || run->exit_reason != KVM_EXIT_MMIO || !run->mmio.is_write)
			break;
	}
	say("vCPU %u: a store to a page table came in parts that make no sense", vcpu->index);
	return 0;
}

/* The frames were released on the way here. KVM, which has emulated the store, may still shadow
 * them. */
static void store_released(const struct batch *batch, const struct piece *pieces, unsigned nr)
{
	struct pin *pin = batch->pin;

	for (unsigned i = 0; i < nr; i++)
		memory_store_unprotected(&pin->vm->mem, pieces[i].gpa, pieces[i].bytes,
					 pieces[i].len);
	if (!zap_all(&pin->vm->mem, pin->vm->fd))
		stop_request(&pin->machine->stop, VMM_EX_OSERR);
	pin->count.all_zapped++;
}

/* Parts that follow the first may go to no memory at all. */
static bool all_in_memory(const struct memory *mem, const struct piece *pieces, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		if (!memory_ptr(mem, pieces[i].gpa, pieces[i].len))
			return false;
	return true;
}

static enum served judge_emulated(struct batch *batch, const struct piece *pieces, unsigned nr,
				  enum alias_status *status)
{
	const struct pin *pin = batch->pin;

	if (count_guarded(&pin->vm->mem, pieces, nr) > 0 ||
	    !all_in_memory(&pin->vm->mem, pieces, nr))
		return store(batch, pieces, nr, status);
	store_released(batch, pieces, nr);
	*status = ALIAS_OK;
	return SERVED;
}

/*
 * Only what goes to no writable memory comes here: of a store that straddles a table and what is
 * none KVM has done the other half by now, whichever half is the first. If this half is allowed the
 * store is exact; if it is refused the other stays done, as nobody knows what lay there: KVM tells
 * of the store only after it, the old bytes are in no register, and to make KVM stop earlier the
 * frame beside would have to be read-only, too, wherever its neighbour is mapped. (do_stopped()
 * refuses such a store whole.)
 *
 * Which store it was KVM doesn't tell, and the code before RIP may be made to deceive. But a half
 * reaches an end of the frame; of the stores that KVM emulates (Linux 6.1) those of up to 8 bytes
 * leave fewer there; and those of 16 come from a register, where they still are.
 */
static bool may_be_half(const struct vcpu *vcpu, const struct piece *piece)
{
	unsigned offset = piece->gpa % ALIAS_PAGE_SIZE;
	struct kvm_fpu fpu;

	if (offset > 0 && offset + piece->len < ALIAS_PAGE_SIZE)
		return false;
	if (piece->len != WHOLE_BYTES || !get_fpu(vcpu, &fpu))
		return piece->len != STORE_BYTES;
	for (unsigned i = 0; i < sizeof(fpu.xmm) / sizeof(fpu.xmm[0]); i++)
		if (!memcmp(fpu.xmm[i] + (offset > 0 ? 0 : WHOLE_BYTES), piece->bytes, WHOLE_BYTES))
			return true;
	return false;
}

static bool store_emulated(void *ctx, struct vcpu *vcpu, const struct exit_io *io)
{
	struct pin *pin = ctx;
	struct piece pieces[PIECES_MAX];
	enum alias_status status;
	enum served served;
	struct batch batch;
	struct view view;
	uint64_t rip;
	unsigned nr;
	bool half;

	if (!io->write || !memory_ptr(&vcpu->vm->mem, io->addr, 1))
		return false;
	nr = gather(vcpu, pieces);
	if (nr == 0 || !see(vcpu, &view)) {
		stop_request(vcpu->vm->stop, VMM_EX_SOFTWARE);
		return true;
	}
	rip = view.regs.rip;
	half = nr == 1 && may_be_half(vcpu, &pieces[0]);
	batch = batch_of(pin, vcpu, nr == 1 && !half && step_back(vcpu, &view, &pieces[0]));
	pthread_mutex_lock(&pin->lock);
	served = judge_emulated(&batch, pieces, nr, &status);
	pthread_mutex_unlock(&pin->lock);
	if (served == UPCALL && !set_regs(vcpu, &view.regs))
		stop_request(vcpu->vm->stop, VMM_EX_OSERR);
	else if (served == UPCALL)
		store_upcall(vcpu);
	else if (status != ALIAS_OK && half)
		refuse_part(vcpu, &pieces[0], rip);
	else if (status != ALIAS_OK)
		refuse(vcpu);
	return true;
}

const struct store_ops pin_store_ops = {
	.stopped = store_stopped,
	.failed = store_failed,
	.emulated = store_emulated,
};
