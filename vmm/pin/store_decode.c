/* SPDX-License-Identifier: MIT */
/*
 * Finds the guest's instruction that stores, or has stored, and where.
 *
 * Its code and its addresses are read after the exit, when other vCPUs may have changed both. This
 * does no harm: it is as if the change had come before the instruction was fetched. Whatever is
 * decoded, the store is judged by the rules, so no table ever breaks one; and it is done only if
 * the guest's own tables allow it to this vCPU in its present mode. KVM has checked that for the
 * frame that faults, and for all that it emulates; but a store may straddle two tables, and KVM
 * looks at the first, and KVM_TRANSLATE checks no rights. So page_walk() does, and the store goes
 * where that same walk has led. What the instruction loads comes from where it was found in the
 * same way.
 */
#include <string.h>
#include <sys/ioctl.h>
#include "kvm/page_walk.h"
#include "kvm/vm.h"
#include "pin/store.h"
#include "say.h"
#include "stop.h"

#define EFER_LMA    (1ull << 10)
#define WHOLE_BYTES 8u /* larger stores are made in parts by KVM */

/* --- registers and memory --------------------------------------------------------------------- */

bool vcpu_get_state(const struct vcpu *vcpu, struct vcpu_state *state)
{
	const struct kvm_sregs *sregs = &state->sregs;

	if (ioctl(vcpu->fd, KVM_GET_REGS, &state->regs) < 0 ||
	    ioctl(vcpu->fd, KVM_GET_SREGS, &state->sregs) < 0) {
		say_errno("KVM_GET_REGS");
		return false;
	}
	state->segments = (struct insn_segments){.fs = sregs->fs.base, .gs = sregs->gs.base};
	state->long_mode = sregs->efer & EFER_LMA && sregs->cs.l;
	return true;
}

bool vcpu_get_fpu(const struct vcpu *vcpu, struct kvm_fpu *fpu)
{
	if (ioctl(vcpu->fd, KVM_GET_FPU, fpu) == 0)
		return true;
	stop_on_error(vcpu->vm->stop, "KVM_GET_FPU");
	return false;
}

/* If KVM itself fails, the guest ends: a store must not be refused for that. */
static bool translate_va(const struct vcpu *vcpu, uint64_t va, uint64_t *gpa)
{
	struct kvm_translation translation = {.linear_address = va};

	if (ioctl(vcpu->fd, KVM_TRANSLATE, &translation) < 0)
		stop_on_error(vcpu->vm->stop, "KVM_TRANSLATE");
	if (!translation.valid)
		return false;
	*gpa = translation.physical_address;
	return true;
}

static size_t bytes_in_page(uint64_t va, size_t len)
{
	size_t max = ALIAS_PAGE_SIZE - va % ALIAS_PAGE_SIZE;

	return len < max ? len : max;
}

size_t guest_read(const struct vcpu *vcpu, uint64_t va, void *to, size_t max)
{
	size_t done = 0;

	while (done < max) {
		size_t step = bytes_in_page(va + done, max - done);
		const void *from;
		uint64_t gpa;

		if (!translate_va(vcpu, va + done, &gpa))
			break;
		from = memory_ptr(&vcpu->vm->mem, gpa, step);
		if (!from)
			break;
		memcpy((uint8_t *)to + done, from, step);
		done += step;
	}
	return done;
}

/* Do the guest's tables allow this access to one page? Then *gpa is where it goes. Otherwise *fault
 * is the exception. Should KVM find nothing where the walk found a page, there are reserved bits in
 * an entry, or another vCPU has changed it: then it is told as a page that is not there. */
static bool guest_allows(const struct vcpu *vcpu, const struct vcpu_state *state, uint64_t va,
			 bool write, uint64_t *gpa, struct store_fault *fault)
{
	unsigned error_code;
	uint64_t kvms;
	enum page_walk walk = page_walk(&vcpu->vm->mem, &state->sregs, state->regs.rflags, va,
					write, gpa, &error_code);

	*fault = (struct store_fault){VECTOR_PF, error_code, va};
	if (walk == PAGE_NOT_CANONICAL)
		*fault = (struct store_fault){.vector = VECTOR_GP};
	return walk == PAGE_ALLOWED && translate_va(vcpu, va, &kvms);
}

/* Divides an access into its pieces, which are nowhere yet. */
static struct access split_access(uint64_t va, unsigned len)
{
	struct access access = {.nr = 0};

	for (unsigned step; len > 0; len -= step, va += step) {
		step = (unsigned)bytes_in_page(va, len);
		access.pieces[access.nr++].len = step;
	}
	return access;
}

/* Finds where it goes. Returns false if the guest's tables don't allow it, with the exception in
 * *fault. */
static bool find_allowed(const struct vcpu *vcpu, const struct vcpu_state *state, uint64_t va,
			 unsigned len, bool write, struct access *access, struct store_fault *fault)
{
	*access = split_access(va, len);
	for (struct piece *piece = access->pieces; piece < access->pieces + access->nr; piece++) {
		if (!guest_allows(vcpu, state, va, write, &piece->gpa, fault))
			return false;
		va += piece->len;
	}
	return true;
}

bool locate_store(const struct vcpu *vcpu, const struct vcpu_state *state, const struct insn *insn,
		  struct access *store, struct access *load, struct store_fault *fault)
{
	bool loads_first = insn->op == INSN_MOVS;

	if (loads_first &&
	    !find_allowed(vcpu, state, insn->operand, insn->size, false, load, fault))
		return false;
	if (!find_allowed(vcpu, state, insn->va, insn->size, true, store, fault))
		return false;
	if (!loads_first)
		*load = *store;
	return true;
}

bool decode_next(const struct vcpu *vcpu, const struct vcpu_state *state, struct insn *insn,
		 size_t *nr_read)
{
	uint8_t code[INSN_MAX_LEN];

	*nr_read = guest_read(vcpu, state->regs.rip, code, sizeof(code));
	return state->long_mode &&
	       insn_decode(code, *nr_read, &state->regs, &state->segments, insn);
}

/* --- after the emulation ---------------------------------------------------------------------- */

/* The value that the instruction stores, if it does not depend on the content of memory there. */
static bool known_value(const struct vcpu *vcpu, const struct insn *insn,
			uint8_t bytes[STORE_BYTES])
{
	struct kvm_fpu fpu;

	switch (insn->op) {
	case INSN_MOV:
	case INSN_STOS:
		memcpy(bytes, &insn->operand, sizeof(insn->operand));
		return true;
	case INSN_MOVS:
		return guest_read(vcpu, insn->operand, bytes, insn->size) == insn->size;
	case INSN_MOV_XMM:
		if (!vcpu_get_fpu(vcpu, &fpu))
			return false;
		memcpy(bytes, fpu.xmm[insn->reg], STORE_BYTES);
		return true;
	default:
		return false;
	}
}

/* Are these the bytes of the instruction's store, from byte `from` on? */
static bool value_is(const struct vcpu *vcpu, const struct insn *insn, const struct kvm_regs *after,
		     const uint8_t *bytes, unsigned from, unsigned len)
{
	uint64_t old = 0, value = 0;
	uint8_t known[STORE_BYTES];

	if (known_value(vcpu, insn, known))
		return !memcmp(known + from, bytes, len);
	if (len != insn->size || len > sizeof(value) || guest_read(vcpu, insn->va, &old, len) < len)
		return false;
	memcpy(&value, bytes, len);
	return insn_has_stored(insn, old, after, value);
}

static bool same_place(const struct piece *a, const struct piece *b)
{
	return a->gpa == b->gpa && a->len == b->len;
}

/* Finds where the instruction stores, whatever the guest's tables allow. Returns false if nothing
 * is mapped there, or in part. */
static bool find_mapped(const struct vcpu *vcpu, const struct insn *insn, struct access *access)
{
	uint64_t va = insn->va;

	*access = split_access(va, insn->size);
	for (struct piece *piece = access->pieces; piece < access->pieces + access->nr; piece++) {
		if (!translate_va(vcpu, va, &piece->gpa))
			return false;
		va += piece->len;
	}
	return true;
}

/* Does the instruction make just this store, or half of it, if KVM has done the other piece
 * itself? */
static enum emulated compare_store(const struct vcpu *vcpu, const struct insn *insn,
				   const struct kvm_regs *after, const struct piece *pieces,
				   unsigned nr)
{
	struct access where;
	uint8_t bytes[2 * STORE_BYTES];
	unsigned from = 0, len = 0;

	if (insn->size > STORE_BYTES || !find_mapped(vcpu, insn, &where) || where.nr < nr)
		return EMULATED_UNKNOWN;
	if (nr < where.nr && !same_place(&pieces[0], &where.pieces[0]))
		from = where.pieces[0].len;
	for (unsigned i = 0; i < nr; i++) {
		if (!same_place(&pieces[i], &where.pieces[i + (from > 0)]))
			return EMULATED_UNKNOWN;
		memcpy(bytes + len, pieces[i].bytes, pieces[i].len);
		len += pieces[i].len;
	}
	if (!value_is(vcpu, insn, after, bytes, from, len))
		return EMULATED_UNKNOWN;
	return nr < where.nr ? EMULATED_HALF : EMULATED_WHOLE;
}

/*
 * The code before RIP may have been made to look like an instruction that makes this store alone.
 * But half a store reaches one end of the frame. Of the stores that KVM emulates (Linux 6.1), those
 * of up to 8 bytes leave fewer than 8 there; those of 16 come from a register, which still holds
 * them.
 */
static enum emulated half_or_whole(const struct vcpu *vcpu, const struct piece *piece)
{
	unsigned offset = piece->gpa % ALIAS_PAGE_SIZE;
	struct kvm_fpu fpu;

	if (offset > 0 && offset + piece->len < ALIAS_PAGE_SIZE)
		return EMULATED_WHOLE;
	if (piece->len == STORE_BYTES)
		return EMULATED_WHOLE;
	if (piece->len != WHOLE_BYTES || !vcpu_get_fpu(vcpu, &fpu))
		return EMULATED_HALF;
	for (unsigned i = 0; i < sizeof(fpu.xmm) / sizeof(fpu.xmm[0]); i++)
		if (!memcmp(fpu.xmm[i] + (offset > 0 ? 0 : WHOLE_BYTES), piece->bytes, WHOLE_BYTES))
			return EMULATED_HALF;
	return EMULATED_WHOLE;
}

/* Reads the code that ends at RIP, up to the length of the longest instruction: as much as is
 * mapped, at the end of `code`. */
static size_t read_code_before(const struct vcpu *vcpu, uint64_t rip, uint8_t code[INSN_MAX_LEN])
{
	size_t nr = INSN_MAX_LEN, in_page = rip % ALIAS_PAGE_SIZE;

	if (guest_read(vcpu, rip - nr, code, nr) == nr)
		return nr;
	if (in_page < nr)
		nr = in_page;
	return guest_read(vcpu, rip - nr, code + INSN_MAX_LEN - nr, nr) == nr ? nr : 0;
}

/* A repeated instruction keeps RIP until it is done. */
static enum emulated decode_round(const struct vcpu *vcpu, const struct vcpu_state *after,
				  const struct piece *pieces, unsigned nr)
{
	uint8_t code[INSN_MAX_LEN];
	size_t nr_code = guest_read(vcpu, after->regs.rip, code, sizeof(code));
	struct insn insn;

	if (!insn_decode_done(code, nr_code, true, &after->regs, &after->segments, &insn))
		return EMULATED_UNKNOWN;
	return compare_store(vcpu, &insn, &after->regs, pieces, nr);
}

/*
 * Several instructions may end at RIP, each a tail of the next. If all do the same, it does not
 * matter which it was; so the worst result counts.
 *
 * To be executed again is the shortest mov. Each that matches makes the same store, with nothing
 * beside it, and ends at RIP; and insn_decode() takes none that would fault. So the one that was
 * executed and all its tails will do. But a longer one begins with bytes of the instruction before
 * (which may end with what looks like a prefix), or in a page that was never executed, and may not
 * be. The shortest is never longer than the one that was.
 */
enum emulated decode_emulated(const struct vcpu *vcpu, const struct vcpu_state *after,
			      const struct piece *pieces, unsigned nr, bool *again,
			      struct kvm_regs *before)
{
	uint8_t code[INSN_MAX_LEN];
	enum emulated found;
	size_t nr_code;

	*again = false;
	if (!after->long_mode)
		return EMULATED_UNKNOWN;
	found = decode_round(vcpu, after, pieces, nr);
	nr_code = read_code_before(vcpu, after->regs.rip, code);
	for (size_t len = 1; len <= nr_code; len++) {
		enum emulated is = EMULATED_UNKNOWN;
		struct insn insn;

		if (insn_decode_done(code + INSN_MAX_LEN - len, len, false, &after->regs,
				     &after->segments, &insn))
			is = compare_store(vcpu, &insn, &after->regs, pieces, nr);
		if (is > found)
			found = is;
		if (is == EMULATED_WHOLE && insn.op == INSN_MOV && !*again) {
			*again = true;
			*before = after->regs;
			before->rip -= len;
		}
	}
	if (found == EMULATED_WHOLE && nr == 1)
		found = half_or_whole(vcpu, &pieces[0]);
	*again &= found == EMULATED_WHOLE;
	return found;
}
