/* SPDX-License-Identifier: MIT */
/* It is the guest's word, by its own TSC; only records of a time that has been are taken. */
#include "pin/guest_events.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include "machine.h"
#include "pin/internal.h"
#include "pin/origin_records.h"
#include "trace.h"

void guest_events_open(struct pin *pin, const struct vcpu *vcpu)
{
	struct pin_vcpu *own = &pin->vcpus[vcpu->index];
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uint64_t)&own->tsc_offset,
	};

	if (own->tsc_asked)
		return;
	own->tsc_asked = true; /* a kernel without it never has it */
	own->tsc_known = ioctl(vcpu->fd, KVM_GET_DEVICE_ATTR, &attr) == 0;
}

/* The alias for which the guest purges at this time: that of the last upcall before, if it isn't
 * answered yet. */
static uint32_t purge_flow(const struct pin_vcpu *own, uint64_t start)
{
	uint32_t flow = 0;

	for (unsigned i = 0; i < own->nr_retries; i++)
		if (own->retries[i].flow > flow && own->retries[i].raised <= start)
			flow = own->retries[i].flow;
	return flow;
}

static void take_record(const struct pin_vcpu *own, struct trace_track *track, uint32_t kind,
			const struct alias_origin *record, uint64_t now)
{
	struct trace_event event = {
		.start = record->start - own->tsc_offset,
		.end = record->end - own->tsc_offset,
		.a = record->nr_pages,
		.kind = kind == ALIAS_ORIGIN_PURGE ? TRACE_PURGE : TRACE_GUEST_FLUSH,
	};

	if (event.kind == TRACE_PURGE)
		event.flow = purge_flow(own, event.start);
	if (event.start > event.end || event.end > now)
		return;
	if (event.kind == TRACE_PURGE && !event.flow)
		trace_purge(track, &event);
	else
		trace_record(track, &event);
}

void guest_events_take(struct pin *pin, const struct vcpu *vcpu)
{
	struct pin_vcpu *own = &pin->vcpus[vcpu->index];
	struct origin_records records;
	uint64_t first, now;

	if (!vcpu->track || !pin->guest_events || !own->tsc_known ||
	    !origin_records(pin->machine, vcpu->index, &records))
		return;
	now = __rdtsc(); /* after all that was recorded */
	first = origin_first(&records, own->origins_taken);
	if (first > own->origins_taken)
		vcpu->track->lost += first - own->origins_taken;
	own->origins_taken = first;
	for (; own->origins_taken != records.nr; own->origins_taken++) {
		uint32_t kind = origin_kind(&records, own->origins_taken);
		struct alias_origin record;

		if (kind != ALIAS_ORIGIN_PURGE && kind != ALIAS_ORIGIN_FLUSH)
			continue;
		record = origin_read(&records, own->origins_taken);
		take_record(own, vcpu->track, kind, &record, now);
	}
}
