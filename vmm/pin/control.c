/* SPDX-License-Identifier: MIT */
/* Requests of the control socket about pins and the tracker. */
#include "json_object.h"
#include "machine.h"
#include "pin/pin.h"
#include "pin/internal.h"
#include "pin/origin.h"

#define ALIASES_MAX 64 /* maximum number of mappings listed for a frame */

/* A guest that does not report its strategy leaves it 0, which is "none". */
static uint32_t guest_strategy(const struct pin *pin)
{
	return __atomic_load_n(&pin->common->strategy, __ATOMIC_RELAXED);
}

const char *pin_guest_strategy(const struct pin *pin)
{
	uint32_t strategy = guest_strategy(pin);

	/* A guest that has not begun has stored nothing; it will begin with the one of --flush. */
	if (!pin->registered && strategy == ALIAS_FLUSH_NONE)
		strategy = pin->machine->opt->flush;
	return strategy < ALIAS_NR_FLUSH ? flush_name(strategy) : "unknown";
}

static bool needs_host_checks(enum alias_strategy flush)
{
	return flush == ALIAS_FLUSH_EAGER_PTE || flush == ALIAS_FLUSH_TRAP ||
	       flush == ALIAS_FLUSH_TRAP_RANGE;
}

const char *pin_want_strategy(struct pin *pin, enum alias_strategy flush, json_t *answer)
{
	if (flush == ALIAS_FLUSH_NONE)
		return "strategy none can only be chosen at the start: vmm --flush none";
	if (pin->machine->opt->flush == ALIAS_FLUSH_NONE)
		return "this guest was started with --flush none, for the whole run";
	if (pin->machine->opt->track == TRACK_OFF && needs_host_checks(flush))
		return "this strategy needs the host's checks, and vmm was started with --track "
		       "off";
	if (guest_strategy(pin) == ALIAS_FLUSH_NONE)
		return "the guest has not reported its strategy: it has not begun yet, or it "
		       "can't switch";
	__atomic_store_n(&pin->common->wanted_strategy, flush, __ATOMIC_RELEASE);
	object_add_text(answer, "wanted", flush_name(flush));
	object_add_text(answer, "strategy", pin_guest_strategy(pin));
	return NULL;
}

/* The log is audited before the guest can learn that it is no longer wanted. */
static void change_track_mode(struct pin *pin, enum track_mode track)
{
	at_set_mode(pin->at, to_at_mode(track)); /* refuses only in AT_BLIND */
	pin->track = track;
	pin->logged = false;
	ask_for_log(pin);
}

const char *pin_set_track_mode(struct pin *pin, enum track_mode track, json_t *answer)
{
	if (track == TRACK_OFF)
		return "track off can only be chosen at the start: vmm --track off";
	if (track == TRACK_STRICT || pin->strict)
		return "track strict can only be chosen at the start: vmm --track strict";
	if (!pin->tracks)
		return "vmm was started with --track off";
	if (track == TRACK_LOG && !pin->log.ring)
		return "the guest has no room for logs: there was too little memory for them";
	pthread_mutex_lock(&pin->lock);
	if (track != pin->track)
		change_track_mode(pin, track);
	pthread_mutex_unlock(&pin->lock);
	object_add_text(answer, "track", track_name(track));
	object_add_text(answer, "write_tracking", write_tracking(pin));
	return NULL;
}

static const struct field alias_fields[] = {
	FIELD_OF(FIELD_HEX, "va", at_alias, va),
	FIELD_OF(FIELD_HEX, "entry_gpa", at_alias, pte_gpa),
	FIELD_OF(FIELD_HEX, "entry", at_alias, pte),
	FIELD(at_alias, level),
	FIELD_OF(FIELD_BOOL, "user", at_alias, user),
	FIELD_OF(FIELD_BOOL, "exec", at_alias, exec),
};

/* Adds up to ALIASES_MAX mappings. Returns whether there are more. */
static bool add_aliases(json_t *answer, const char *name, struct pin *pin, uint64_t pfn,
			struct at_transition to)
{
	struct at_alias found[ALIASES_MAX + 1];
	size_t nr = at_in_the_way(pin->at, pfn, to, found, ALIASES_MAX + 1);
	json_t *aliases = json_array();

	origins_read(pin);
	for (size_t i = 0; i < nr && i < ALIASES_MAX; i++) {
		json_t *alias = json_object();

		ADD_FIELDS(alias, alias_fields, &found[i]);
		json_object_set_new(alias, "origin", origin_json(pin, found[i].va));
		json_array_append_new(aliases, alias);
	}
	json_object_set_new(answer, name, aliases);
	return nr > ALIASES_MAX;
}

static void add_state(json_t *answer, const struct pin *pin, uint64_t pfn)
{
	const struct alias_tracker *at = pin->at;

	object_add_number(answer, "pfn", pfn);
	object_add_number(answer, "pinned_level", at_pinned_level(at, pfn));
	object_add_number(answer, "memtype", at_memtype(at, pfn));
	json_object_set_new(answer, "ballooned", json_boolean(at_is_ballooned(at, pfn)));
	object_add_number(answer, "alias_count", at_alias_count(at, pfn));
	if (pin->counts_all)
		object_add_number(answer, "mapping_count", at_mapping_count(at, pfn));
	else
		json_object_set_new(answer, "mapping_count", json_null());
}

const char *pin_describe_frame(struct pin *pin, uint64_t pfn, json_t *answer)
{
	bool more;

	if (!pin->tracks)
		return "vmm was started with --track off";
	if (pfn > UINT64_MAX / ALIAS_PAGE_SIZE ||
	    !memory_ptr(&pin->vm->mem, pfn * ALIAS_PAGE_SIZE, ALIAS_PAGE_SIZE))
		return "the guest's memory has no such frame";
	pthread_mutex_lock(&pin->lock);
	sync_tables(pin);
	add_state(answer, pin, pfn);
	more = add_aliases(answer, "aliases", pin, pfn, (struct at_transition){.to = AT_TO_TABLE});
	if (pin->counts_all)
		more |= add_aliases(answer, "mappings", pin, pfn,
				    (struct at_transition){.to = AT_TO_BALLOON});
	pthread_mutex_unlock(&pin->lock);
	json_object_set_new(answer, "more", json_boolean(more));
	return NULL;
}
