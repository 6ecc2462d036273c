/* SPDX-License-Identifier: MIT */
#include "pin/pin.h"

#include "json_object.h"
#include "machine.h"
#include "pin/internal.h"

static const struct field count_fields[] = {
	FIELD(pin_count, calls),          FIELD(pin_count, ticks),
	FIELD(pin_count, lock_ticks),     FIELD(pin_count, sync_ticks),
	FIELD(pin_count, track_ticks),    FIELD(pin_count, flush_ticks),
	FIELD(pin_count, unpins),         FIELD(pin_count, host_flushes),
	FIELD(pin_count, vcpus_flushed),  FIELD(pin_count, vcpus_spared),
	FIELD(pin_count, kicks),          FIELD(pin_count, violations),
	FIELD(pin_count, verified),       FIELD(pin_count, let_through),
	FIELD(pin_count, disagreed),      FIELD(pin_count, stores),
	FIELD(pin_count, stores_refused), FIELD(pin_count, update_calls),
	FIELD(pin_count, updates),        FIELD(pin_count, frames_zapped),
	FIELD(pin_count, all_zapped),     FIELD(pin_count, waits),
	FIELD(pin_count, looked_again),
};

static const struct field op_fields[] = {
	FIELD(op_count, requests),    FIELD(op_count, granted), FIELD(op_count, refused),
	FIELD(op_count, aliases_met), FIELD(op_count, upcalls), FIELD(op_count, upcalls_resolved),
};

/* For deflate, which meets no alias. */
#define NR_DEFLATE_FIELDS 3

static const char *const op_names[NR_TRANSITIONS + 1] = {
	[AT_TO_TABLE] = "pin",
	[AT_TO_MEMTYPE] = "memtype",
	[AT_TO_BALLOON] = "inflate",
	[COUNT_DEFLATE] = "deflate",
};

static const struct field tracker_fields[] = {
	FIELD(at_stats, frames),
	FIELD(at_stats, pinned),
	FIELD(at_stats, roots),
	FIELD(at_stats, ballooned),
	FIELD(at_stats, memtyped),
	FIELD(at_stats, tables),
	FIELD(at_stats, hot),
	FIELD(at_stats, syncs),
	FIELD(at_stats, tables_compared),
	FIELD(at_stats, tables_changed),
	FIELD(at_stats, entries_changed),
	FIELD(at_stats, arms),
	FIELD(at_stats, dirtied),
	FIELD(at_stats, records),
	FIELD(at_stats, stray_records),
	FIELD(at_stats, log_losses),
	FIELD(at_stats, log_mismatches),
	FIELD(at_stats, audits),
	FIELD(at_stats, memory_bytes),
};

static const struct field guest_fields[] = {
	FIELD(alias_guest_stats, vmaps),           FIELD(alias_guest_stats, vunmaps),
	FIELD(alias_guest_stats, unmap_aliases),   FIELD(alias_guest_stats, purges),
	FIELD(alias_guest_stats, purged_pages),    FIELD(alias_guest_stats, shootdowns),
	FIELD(alias_guest_stats, shootdown_ipis),  FIELD(alias_guest_stats, local_flushes),
	FIELD(alias_guest_stats, shootdown_wait),  FIELD(alias_guest_stats, pins),
	FIELD(alias_guest_stats, unpins),          FIELD(alias_guest_stats, pin_calls),
	FIELD(alias_guest_stats, upcalls),         FIELD(alias_guest_stats, upcall_pages),
	FIELD(alias_guest_stats, tables_recycled), FIELD(alias_guest_stats, address_spaces),
	FIELD(alias_guest_stats, tables),          FIELD(alias_guest_stats, tables_aliased),
	FIELD(alias_guest_stats, workload_ticks),  FIELD(alias_guest_stats, shootdown_spin),
	FIELD(alias_guest_stats, lock_spin),       FIELD(alias_guest_stats, pin_ticks),
	FIELD(alias_guest_stats, upcall_ticks),    FIELD(alias_guest_stats, purge_ticks),
	FIELD(alias_guest_stats, flush_ticks),     FIELD(alias_guest_stats, memtypes),
	FIELD(alias_guest_stats, inflates),        FIELD(alias_guest_stats, deflates),
	FIELD(alias_guest_stats, host_shootdowns),
};

static const char *const status_names[ALIAS_NR_STATUS] = {
	[ALIAS_PENDING] = "pending",
	[ALIAS_OK] = "ok",
	[ALIAS_HAS_ALIAS] = "has_alias",
	[ALIAS_BAD_FRAME] = "bad_frame",
	[ALIAS_BAD_LEVEL] = "bad_level",
	[ALIAS_BAD_OP] = "bad_op",
	[ALIAS_BAD_STATE] = "bad_state",
	[ALIAS_CHILD_UNPINNED] = "child_unpinned",
	[ALIAS_MAPS_TABLE] = "maps_table",
	[ALIAS_BAD_TABLE] = "bad_table",
	[ALIAS_BAD_CALL] = "bad_call",
	[ALIAS_BAD_MEMTYPE] = "bad_memtype",
	[ALIAS_IS_BALLOONED] = "is_ballooned",
	[ALIAS_MAPS_BALLOONED] = "maps_ballooned",
	[ALIAS_MEMTYPE_CONFLICT] = "memtype_conflict",
	[ALIAS_NO_MEMORY] = "no_memory",
};

static json_t *guest_sum(const struct pin *pin)
{
	const struct machine *machine = pin->machine;
	json_t *guest = json_object();
	uint64_t lazy_max = 0;

	ADD_SUMS(guest, guest_fields, &pin_vcpu_page(machine, 0)->stats, ALIAS_PAGE_SIZE,
		 machine->vm.nr_vcpus);
	for (unsigned i = 0; i < machine->vm.nr_vcpus; i++) {
		uint64_t lazy = pin_vcpu_page(machine, i)->stats.lazy_pages_max;

		lazy_max = lazy > lazy_max ? lazy : lazy_max;
	}
	object_add_number(guest, "lazy_pages_max", lazy_max);
	object_add_number(guest, "lazy_pages",
			  __atomic_load_n(&common_page(machine)->lazy_pages, __ATOMIC_RELAXED));
	object_add_text(guest, "strategy", pin_guest_strategy(pin));
	return guest;
}

/* The totals of pins, and of all transitions together. */
static void add_totals(json_t *pins, const struct pin_count *count)
{
	struct op_count sum = {0};

	for (unsigned i = 0; i < NR_TRANSITIONS; i++) {
		sum.aliases_met += count->ops[i].aliases_met;
		sum.upcalls += count->ops[i].upcalls;
		sum.upcalls_resolved += count->ops[i].upcalls_resolved;
	}
	sum.requests = count->ops[AT_TO_TABLE].requests;
	object_add_number(pins, "pins", sum.requests);
	object_add_number(pins, "aliases_met", sum.aliases_met);
	object_add_number(pins, "upcalls", sum.upcalls);
	object_add_number(pins, "upcalls_resolved", sum.upcalls_resolved);
}

static json_t *describe_transitions(const struct pin_count *count)
{
	json_t *object = json_object();

	for (unsigned i = 0; i <= COUNT_DEFLATE; i++) {
		json_t *op = json_object();

		object_add_fields(op, op_fields,
				  i == COUNT_DEFLATE ? NR_DEFLATE_FIELDS : NR_OF(op_fields),
				  &count->ops[i]);
		json_object_set_new(object, op_names[i], op);
	}
	return object;
}

void pin_stats(struct pin *pin, json_t *root)
{
	json_t *pins = json_object(), *statuses = json_object(), *tracker = json_object();
	struct at_stats at;

	pthread_mutex_lock(&pin->lock);
	ADD_FIELDS(pins, count_fields, &pin->count);
	add_totals(pins, &pin->count);
	json_object_set_new(root, "transitions", describe_transitions(&pin->count));
	for (unsigned i = ALIAS_OK; i < ALIAS_NR_STATUS; i++)
		object_add_number(statuses, status_names[i], pin->count.status[i]);
	json_object_set_new(pins, "status", statuses);
	at_get_stats(pin->at, &at);
	ADD_FIELDS(tracker, tracker_fields, &at);
	object_add_text(tracker, "write_tracking", write_tracking(pin));
	json_object_set_new(tracker, "logging", json_boolean(pin->logged));
	object_add_text(tracker, "track", track_name(pin->tracks ? pin->track : TRACK_OFF));
	pthread_mutex_unlock(&pin->lock);
	json_object_set_new(root, "pins", pins);
	json_object_set_new(root, "tracker", tracker);
	json_object_set_new(root, "guest", guest_sum(pin));
}
