/* SPDX-License-Identifier: MIT */
/* It is the guest's word, by its own TSC; only records of a time that has been are taken. */
#include "pin/guest_events.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include "machine.h"
#include "pin/internal.h"
#include "pin/origin_records.h"
#include "trace.h"

/* So many records are taken at once: at each call it would take longer to begin than to do. */
#define TOGETHER (ALIAS_ORIGINS / 8)

/* Asks KVM what the vCPU's TSC is at a time of the host's. */
static void ask_for_tsc(struct pin_vcpu *own, const struct vcpu *vcpu)
{
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uint64_t)&own->tsc_offset,
	};

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

/* In the story of an alias a purge's flush has an event of its own; else the purge tells of it. */
static inline void take_purge(const struct pin_vcpu *own, struct trace_track *track,
			      const struct alias_origin *record, uint64_t start, uint64_t end)
{
	uint32_t flow = purge_flow(own, start);
	bool apart = flow && record->flush_start <= record->flush_end &&
		     record->flush_end <= end - start && end - start <= UINT32_MAX;

	if (apart)
		trace_record(track, &(struct trace_event){
					    .kind = TRACE_GUEST_FLUSH,
					    .start = start + record->flush_start,
					    .end = start + record->flush_end,
					    .a = record->cpus,
				    });
	trace_record(track, &(struct trace_event){.kind = TRACE_PURGE,
						  .start = start,
						  .end = end,
						  .a = record->nr_pages,
						  .b = apart ? 0 : record->cpus,
						  .flow = flow});
}

static inline void take_record(const struct pin_vcpu *own, struct trace_track *track,
			       const struct alias_origin *record, uint64_t now)
{
	uint64_t start = record->start - own->tsc_offset, end = record->end - own->tsc_offset;

	if (start > end || end > now)
		return;
	if (record->kind == ALIAS_ORIGIN_PURGE)
		take_purge(own, track, record, start, end);
	else if (record->kind == ALIAS_ORIGIN_FLUSH)
		trace_record(track, &(struct trace_event){.kind = TRACE_GUEST_FLUSH,
							  .start = start,
							  .end = end,
							  .a = record->cpus});
}

void guest_events_take(struct pin *pin, const struct vcpu *vcpu)
{
	struct pin_vcpu *own = &pin->vcpus[vcpu->index];
	struct origin_records records;
	uint64_t nr, now;

	if (!vcpu->track || !pin->guest_events || !own->tsc_known ||
	    !origin_records(pin->machine, pin_vcpu_page(pin->machine, vcpu->index), &records))
		return;
	now = __rdtsc(); /* after all that was recorded */
	nr = origin_first(&records, own->origins_taken);
	if (nr > own->origins_taken)
		vcpu->track->lost += nr - own->origins_taken;
	for (; nr != records.nr; nr++) {
		struct alias_origin record;

		if (origin_kind(&records, nr) < ALIAS_ORIGIN_PURGE) /* most are */
			continue;
		record = origin_read(&records, nr);
		take_record(own, vcpu->track, &record, now);
	}
	own->origins_taken = records.nr;
}

/* Apart: most calls do nothing. */
static __attribute__((noinline)) void take_called(struct pin *pin, const struct vcpu *vcpu)
{
	struct pin_vcpu *own = &pin->vcpus[vcpu->index];

	if (!own->tsc_asked)
		ask_for_tsc(own, vcpu);
	guest_events_take(pin, vcpu);
}

void guest_events_called(struct pin *pin, const struct vcpu *vcpu,
			 const struct alias_vcpu_page *page)
{
	const struct pin_vcpu *own = &pin->vcpus[vcpu->index];
	uint64_t nr = __atomic_load_n(&page->nr_origins, __ATOMIC_RELAXED);

	if (nr - own->origins_taken >= TOGETHER || own->nr_retries > 0 || !own->tsc_asked)
		take_called(pin, vcpu);
}
