/* SPDX-License-Identifier: MIT */
/* The tracker's access to the guest: its tables, clock, write tracking and log. */
#include <stdlib.h>
#include <time.h>
#include <x86intrin.h>
#include "kvm/write_protect.h"
#include "machine.h"
#include "pin/pin.h"
#include "pin/internal.h"
#include "say.h"

static const uint64_t *read_table(void *ctx, uint64_t pfn)
{
	struct pin *pin = ctx;

	return memory_frame(&pin->vm->mem, pfn);
}

/* The guest's clock; alias_abi.h says in which order it is written. */
static struct at_clock guest_clock(void *ctx)
{
	struct pin *pin = ctx;
	struct alias_common_page *page = pin->common;
	struct at_clock clock;

	clock.cleared = __atomic_load_n(&page->cleared, __ATOMIC_ACQUIRE);
	clock.flushed = __atomic_load_n(&page->flushed, __ATOMIC_ACQUIRE);
	clock.now = flush_clock_now(&pin->vm->flush_clock);
	return clock;
}

/* A clock without the guest's word: no evidence of any flush. */
static struct at_clock no_guest_clock(void *ctx)
{
	struct pin *pin = ctx;

	return (struct at_clock){.cleared = 1, .now = flush_clock_now(&pin->vm->flush_clock)};
}

/* The clock with write-protected tables: no evidence of any flush, except for a frame that is
 * write-protected, for which at_gone_by(CLOCK_FLUSHED) gives it. */
static struct at_clock write_protected_clock(void *ctx)
{
	struct pin *pin = ctx;

	return (struct at_clock){
		.cleared = CLOCK_FLUSHED + 1,
		.flushed = CLOCK_FLUSHED,
		.now = flush_clock_now(&pin->vm->flush_clock),
	};
}

static bool arm_table(void *ctx, uint64_t pfn)
{
	struct pin *pin = ctx;
	uint64_t start = __rdtsc();
	bool ok = uffd_wp_arm(pin->uffd, pfn);

	pin->count.track_ticks += __rdtsc() - start;
	return ok;
}

static void disarm_table(void *ctx, uint64_t pfn)
{
	struct pin *pin = ctx;
	uint64_t start = __rdtsc();

	uffd_wp_disarm(pin->uffd, pfn);
	pin->count.track_ticks += __rdtsc() - start;
}

static size_t take_dirtied(void *ctx, uint64_t *pfns, size_t max)
{
	struct pin *pin = ctx;
	uint64_t start = __rdtsc();
	size_t n = uffd_wp_dirtied(pin->uffd, pfns, max);

	pin->count.track_ticks += __rdtsc() - start;
	return n;
}

/* --- the guest's log -------------------------------------------------------------------------- */

_Static_assert(OPTIONS_MAX_CPUS <= AT_CHANGING_MAX, "each vCPU may be changing an entry");

static void log_begin(void *ctx, struct at_log_state *state)
{
	guest_log_begin(&((struct pin *)ctx)->log, state);
}

static size_t log_next(void *ctx, struct at_record *records, size_t max)
{
	return guest_log_next(&((struct pin *)ctx)->log, records, max);
}

static bool log_pending(void *ctx, uint64_t *entries, size_t *nr)
{
	return guest_log_pending(&((struct pin *)ctx)->log, entries, nr);
}

/* Once in so many ticks of the TSC, about a millisecond at most, a vCPU's clock is read: that is a
 * system call, and after a vCPU that was stopped amid a change every pin asks until it goes on. */
#define READ_TICKS (1u << 20)

static uint64_t ran_ms(void *ctx, unsigned vcpu)
{
	struct pin *pin = ctx;
	struct pin_vcpu *of = &pin->vcpus[vcpu];
	uint64_t now = __rdtsc();

	if (now - of->ran_read > READ_TICKS) {
		of->ran_read = now;
		of->ran_ms = vcpu_ran_ns(&pin->vm->vcpus[vcpu]) / 1000000;
	}
	return of->ran_ms;
}

static bool open_log(struct pin *pin)
{
	const struct machine *machine = pin->machine;
	unsigned nr = machine->vm.nr_vcpus;

	if (!machine->log_size)
		return true;
	pin->log.ring = calloc(nr, sizeof(*pin->log.ring));
	if (!pin->log.ring) {
		say_errno("memory for the guest's logs");
		return false;
	}
	pin->log.nr = nr;
	pin->log.ran_ms = ran_ms;
	pin->log.ctx = pin;
	for (unsigned i = 0; i < nr; i++) {
		uint64_t gpa = machine->log_gpa + i * (uint64_t)ALIAS_LOG_SIZE;

		pin->log.ring[i].log = &pin_vcpu_page(machine, i)->log;
		pin->log.ring[i].records = memory_ptr(&machine->vm.mem, gpa, ALIAS_LOG_SIZE);
	}
	pin->ops.log_begin = log_begin;
	pin->ops.log_next = log_next;
	pin->ops.log_pending = log_pending;
	return true;
}

void ask_for_log(struct pin *pin)
{
	struct alias_common_page *page = pin->common;
	bool wanted = pin->tracks && pin->track == TRACK_LOG;

	if (wanted && ++pin->log_wanted == 0)
		pin->log_wanted = 1;
	__atomic_store_n(&page->log_wanted, wanted ? pin->log_wanted : 0, __ATOMIC_RELEASE);
}

void follow_log(struct pin *pin)
{
	const struct alias_common_page *page = pin->common;
	bool logged = pin->track == TRACK_LOG &&
		      __atomic_load_n(&page->logging, __ATOMIC_ACQUIRE) == pin->log_wanted;

	if (logged == pin->logged)
		return;
	pin->logged = logged;
	if (logged)
		guest_log_start(&pin->log);
	else
		guest_log_stopped(&pin->log); /* the host had not asked for it */
	at_set_mode(pin->at, logged ? AT_LOGGED : to_at_mode(pin->track));
}

/* --- write-protected tables ------------------------------------------------------------------- */

/* A write-protected table is changed only by the host, which tells the tracker (at_store()). */
static bool arm_protected(void *ctx, uint64_t pfn)
{
	struct pin *pin = ctx;

	return gfn_is_write_protected(&pin->vm->mem, pfn);
}

static void disarm_protected(void *ctx, uint64_t pfn)
{
	(void)ctx, (void)pfn;
}

static size_t none_dirtied(void *ctx, uint64_t *pfns, size_t max)
{
	(void)ctx, (void)pfns, (void)max;
	return 0;
}

static void track_protected(struct pin *pin)
{
	pin->why_no_uffd = "pinned tables are read-only";
	pin->ops.clock = write_protected_clock;
	pin->ops.arm = arm_protected;
	pin->ops.disarm = disarm_protected;
	pin->ops.dirtied = none_dirtied;
}

/* --- opening and closing --------------------------------------------------------------------- */

static bool may_track(const struct pin *pin)
{
	const struct options *opt = pin->machine->opt;

	return pin->tracks &&
	       (opt->track == TRACK_DIRTY || opt->track == TRACK_LOG || opt->control);
}

/* Without userfaultfd every table is compared at every sync, which is correct, and slower with many
 * tables. */
bool open_tracking(struct pin *pin)
{
	const struct options *opt = pin->machine->opt;

	pin->ops.table = read_table;
	if (pin->strict) {
		track_protected(pin);
		return true;
	}
	pin->ops.clock = opt->flush_proof == PROOF_GUEST ? guest_clock : no_guest_clock;
	pin->why_no_uffd = "not used with these options";
	if (!open_log(pin))
		return false;
	if (!may_track(pin))
		return true;
	pin->uffd = uffd_wp_start(pin->vm, &pin->why_no_uffd);
	if (pin->uffd) {
		pin->ops.arm = arm_table;
		pin->ops.disarm = disarm_table;
		pin->ops.dirtied = take_dirtied;
	} else if (opt->verbose && opt->track != TRACK_SCAN) {
		say("every table is compared at each %s: %s",
		    opt->track == TRACK_LOG ? "audit" : "pin", pin->why_no_uffd);
	}
	return true;
}

void close_tracking(struct pin *pin)
{
	uffd_wp_stop(pin->uffd);
	free(pin->log.ring);
}

enum at_mode to_at_mode(enum track_mode track)
{
	return track == TRACK_SCAN ? AT_SCAN : AT_CHANGES;
}

const char *write_tracking(const struct pin *pin)
{
	return pin->uffd ? "userfaultfd" : pin->why_no_uffd;
}
