/* SPDX-License-Identifier: MIT */
/*
 * Keeps which upcalls an op has had: one to purge and one to wait, at most. The second try of an op
 * is made by the handler's IRETQ: it is the same instruction and the same op, and its call is not a
 * new one. Calls of the handler that meet an alias are above it in the stack. A handler that never
 * returns leaves its entry there; that entry is the first to be dropped when there is no room, and
 * no later call of the guest is taken for its second try. A store has no sign of being new: the
 * same one made again is taken for it (alias_abi.h).
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include "machine.h"
#include "pin/insn.h"
#include "pin/internal.h"
#include "stop.h"

/* The exit of a call has brought it; a store (ALIAS_CALL_UPDATE counts as one) may have been
 * emulated since its exit. */
static uint64_t rip_of(const struct vcpu *vcpu, const struct pin_retry *op)
{
	struct kvm_regs regs;

	if (op->index != ALIAS_FAULT_STORE)
		return vcpu->run->s.regs.regs.rip;
	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) == 0)
		return regs.rip;
	stop_on_error(vcpu->vm->stop, "KVM_GET_REGS");
	return 0;
}

/* After a store that KVM has emulated, RIP is behind it; after one that was stopped, at it. */
static bool is_same_place(const struct pin_retry *a, const struct pin_retry *b)
{
	if (a->index != ALIAS_FAULT_STORE)
		return a->rip == b->rip;
	return a->rip - b->rip + INSN_MAX_LEN <= 2 * INSN_MAX_LEN;
}

static bool is_same(const struct pin_retry *a, const struct pin_retry *b)
{
	return a->pfn == b->pfn && a->to.to == b->to.to && a->to.arg == b->to.arg &&
	       a->index == b->index && is_same_place(a, b);
}

struct pin_retry *retry_find(const struct batch *batch, struct pin_retry *op)
{
	struct pin_vcpu *own = batch->own;

	if (own->nr_retries == 0 || batch->is_new)
		return NULL;
	op->rip = rip_of(batch->vcpu, op);
	for (unsigned i = own->nr_retries; i-- > 0;) {
		if (!is_same(&own->retries[i], op))
			continue;
		own->nr_retries = i + 1; /* the handlers above have returned, or never will */
		return &own->retries[i];
	}
	return NULL;
}

struct pin_retry *retry_add(const struct batch *batch, const struct pin_retry *op)
{
	struct pin_vcpu *own = batch->own;
	struct pin_retry *retry;

	if (own->nr_retries == RETRIES_MAX)
		memmove(own->retries, own->retries + 1, --own->nr_retries * sizeof(*retry));
	retry = &own->retries[own->nr_retries++];
	*retry = *op;
	retry->rip = rip_of(batch->vcpu, op);
	return retry;
}

void retry_end(const struct batch *batch, const struct pin_retry *retry)
{
	batch->own->nr_retries = (unsigned)(retry - batch->own->retries);
}
