/* SPDX-License-Identifier: MIT */
#include "hostile_guests.h"

enum { HELD = 0, BROKE = 1, TIMEOUT = 75, SHUTDOWN = 80, STOPPED = 81 };

#define BREAK(what)                                                                                \
	{                                                                                          \
		"--break", what                                                                    \
	}
#define RUNS_STALE                                                                                 \
	{                                                                                          \
		.status = STOPPED, .says = "runs with a stale writable entry"                      \
	}

/* A stale entry in a TLB. strict has one defence against all of these: the frame is read-only
 * before it is granted. */
#define STRICT_TLB .strict_off = BREAK("no-write-protect"), .strict_then = RUNS_STALE
#define TLB(what)  .off = BREAK(what), .then = RUNS_STALE, STRICT_TLB

#define STRICT_REFUSED(what) .strict_off = BREAK(what), .strict_then = {.status = BROKE}
/* The same defence everywhere; without it the guest sees that it is not treated as it must be. */
#define REFUSED(what) .off = BREAK(what), .then = {.status = BROKE}, STRICT_REFUSED(what)

/* Likewise, and the next sync finds what came of it. */
#define LET_GO(what) EVERYWHERE(what, .status = BROKE, .violations = 1, .says = UNPINNED_LINK)

/* A call that is offered only where tables are write-protected. Elsewhere there is no way to serve
 * it that a guest could get to. */
#define NO_UPDATES .no_switch = "there are no updates, as tables are not write-protected"

/* The same defence everywhere, and the same comes of it when it is off. */
#define EVERYWHERE(what, ...)                                                                      \
	.off = BREAK(what), .then = {__VA_ARGS__}, .strict_off = BREAK(what),                      \
	.strict_then = {__VA_ARGS__}

/* A rule broken after a grant: reported, or prevented. Without the defence nothing is reported; or
 * what must be prevented isn't, and `left` of it is found in the end. */
#define REPORTED(nr, text)   .must = {.violations = (nr), .says = (text)}
#define UNREPORTED(nr, text) REPORTED(nr, text), .off = BREAK("no-report")
#define STORED(left)                                                                               \
	.strict_off = BREAK("any-store"), .strict_then = {.status = BROKE, .violations = (left)}
#define LATER_LEFT(nr, text, left) UNREPORTED(nr, text), STORED(left)
#define LATER(nr, text)            LATER_LEFT(nr, text, 0)
/* The guest tries the same by a pin that must be refused. */
#define LATER_AND_PIN(nr, text, left)                                                              \
	REPORTED(nr, text), .off = {"--break", "no-report", "--break", "grant-all"},               \
			    .then = {.status = BROKE}, STORED(left)

#define UNPINNED_LINK "link to a table that is not pinned"
#define UNLOGGED      "entry changed without a record in the log"
#define NO_LOG        "no log is read"
#define TOO_LONG      "named as being changed for longer"

/* Of the log: strict reads none. */
#define LOG_OFF(what) .off = BREAK(what), .off_track = "log", .no_strict_switch = NO_LOG

/* A record is missing, and there is an excuse for it. `nr` reports in all, one of them that. */
#define EXCUSE(which, nr)                                                                          \
	.guest = "log_excuses", .word = (which),                                                   \
	.on_log = &(struct outcome){.violations = (nr), .says = UNLOGGED}, LOG_OFF("no-mismatch"), \
	.then = {.violations = (nr)-1, .says = (nr) > 1 ? "violation: the log" : NULL}

/* The excuse is that an entry is being changed, for ever: that ends the guest. `nr` reports in all,
 * one of them of the log. */
#define FOR_EVER(which, cpus, audit, nr, text)                                                     \
	{                                                                                          \
		.guest = "log_excuses", .word = (which),                                           \
		.with = {cpus, audit, "--on-violation=stop"},                                      \
		.on_log =                                                                          \
			&(struct outcome){.status = STOPPED, .violations = (nr), .says = (text)},  \
		LOG_OFF("no-mismatch"), .then = {                                                  \
			.status = STOPPED,                                                         \
			.violations = (nr)-1,                                                      \
			.says = TOO_LONG                                                           \
		}                                                                                  \
	}

#define CANNOT_GO_ON "the guest cannot go on"

/* A store that breaks a rule by one half, while KVM has done the other. */
#define HALF(which)                                                                                \
	{                                                                                          \
		.guest = "store_half", .word = (which), UNREPORTED(1, "(L2 entry"),                \
		.on_strict = &half_done, .strict_off = BREAK("go-on"), .strict_then = {            \
			.status = BROKE,                                                           \
			.violations = 1,                                                           \
			.says = CANNOT_GO_ON                                                       \
		}                                                                                  \
	}

#define RESETS(which)                                                                              \
	{                                                                                          \
		.guest = "resets_itself", .word = (which),                                         \
		.must = {.status = SHUTDOWN, .says = CANNOT_GO_ON},                                \
		EVERYWHERE("shutdown-is-ok", .status = HELD, .says = CANNOT_GO_ON)                 \
	}

#define POWERS_OFF(which, text)                                                                    \
	{                                                                                          \
		.guest = "powers_off_wrong", .word = (which),                                      \
		.must = {.status = SHUTDOWN, .says = (text)},                                      \
		EVERYWHERE("shutdown-is-ok", .status = HELD, .says = (text))                       \
	}

/* No single store that is known: what else is done is unknown. */
#define UNKNOWN(name, which)                                                                       \
	{                                                                                          \
		.guest = (name), .word = (which),                                                  \
		.only_strict = "elsewhere the processor does every store",                         \
		.on_strict = &may_be_half_done, .strict_off = BREAK("go-on"), .strict_then = {     \
			.status = BROKE,                                                           \
			.says = CANNOT_GO_ON                                                       \
		}                                                                                  \
	}

/* The stack lies in that table when an exception comes. */
#define FRAMES(which)                                                                              \
	{                                                                                          \
		.guest = "exception_frames", .word = (which),                                      \
		.only_strict = "elsewhere the processor does every store",                         \
		.on_strict = &no_handler, .strict_off = BREAK("shutdown-is-ok"), .strict_then = {  \
			.status = HELD,                                                            \
			.says = "triple fault"                                                     \
		}                                                                                  \
	}

static const struct outcome no_handler = {
	.status = SHUTDOWN, .says = "triple fault", .prints = "told\n"};
static const struct outcome half_done = {
	.status = STOPPED, .violations = 1, .says = CANNOT_GO_ON, .prints = ""};
static const struct outcome may_be_half_done = {
	.status = STOPPED, .says = CANNOT_GO_ON, .prints = ""};
static const struct outcome held = {.status = HELD};
static const struct outcome one_violation = {.violations = 1};

const struct hostile hostiles[] = {
	/* TLBs */
	{.guest = "xsa241", .with = {"-c2"}, TLB("no-unseen")},
	{.guest = "xsa241", .with = {"-c2", "--flush-proof=host"}, TLB("no-unseen")},
	{.guest = "xsa401",
	 .with = {"--step", "pause", "-c2"},
	 .off = BREAK("no-second-sync"),
	 .then = {.status = BROKE, .violations = 1},
	 .not_strict = "a pin stops no vCPU, so there is no such moment"},
	{.guest = "xsa286",
	 .with = {"-c2"},
	 .off = {"--break", "no-unseen", "--break", "no-pending"},
	 .then = RUNS_STALE,
	 STRICT_TLB},
	{.guest = "xsa292", .with = {"-c2"}, TLB("any-exit")},
	{.guest = "xsa294", TLB("flush-by-cr3")},
	{.guest = "xsa345",
	 .with = {"-c2"},
	 .off = {"--break", "no-unseen", "--break", "no-pending"},
	 .then = RUNS_STALE,
	 .strict_off = {"--break", "no-write-protect", "--break", "no-pending"},
	 .strict_then = RUNS_STALE},
	{.guest = "xsa346",
	 .with = {"-c2", "--flush-proof=host"},
	 .off = {"--flush-proof=guest"},
	 .then = RUNS_STALE,
	 STRICT_TLB},
	{.guest = "xsa408", TLB("equal-is-newer")},
	{.guest = "handlers_word", .with = {"-c2"}, TLB("no-pending")},
	{.guest = "handler_lies",
	 .with = {"-c2", "--flush-proof=host"},
	 .off = {"--flush-proof=guest"},
	 .then = RUNS_STALE,
	 STRICT_TLB},

	/* requests */
	{.guest = "request_garbage", REFUSED("grant-all")},
	{.guest = "request_garbage", REFUSED("any-count")},
	{.guest = "request_garbage", REFUSED("any-flags")},
	{.guest = "hypercall_garbage", REFUSED("any-code")},
	{.guest = "hypercall_garbage", REFUSED("any-access")},
	{.guest = "outs_registers", REFUSED("outs-is-out")},
	{.guest = "outs_pins", REFUSED("outs-is-out")},
	{.guest = "too_early", REFUSED("any-time")},
	{.guest = "shared_garbage", REFUSED("grant-all")},
	{.guest = "page_changes", .with = {"--step", "grant", "-c2"}, REFUSED("read-twice")},
	{.guest = "bad_frames", .with = {"-m4G"}, REFUSED("no-bounds")},
	{.guest = "bad_frames", .with = {"-m4G"}, REFUSED("shared-pins")},
	{.guest = "pin_twice", REFUSED("any-state")},
	{.guest = "unpin_linked", LET_GO("no-linked")},
	{.guest = "xsa279", REFUSED("any-base")},

	/* tables, and what leads to them */
	{.guest = "xsa148", LATER(1, "at va 0xffff960000400000 (L2")},
	{.guest = "xsa182", LATER(2, "at va 0xffff960000200000 (L1")},
	{.guest = "xsa185",
	 LATER_LEFT(15, "at va 0xffffff0000000000 (L4", 15),
	 .on_strict = &(struct outcome){.violations = 1, .says = "at va 0xffffff0000000000 (L4"}},
	{.guest = "xsa240", REFUSED("grant-all")},
	{.guest = "xsa213",
	 .with = {"--step", "unpin", "-c2"},
	 LATER(1, "at va 0xffff960000200000 (L2"),
	 .on_strict = &held},
	{.guest = "xsa214",
	 .off = BREAK("keep-state"),
	 .then = {.status = BROKE, .violations = 1},
	 .strict_off = BREAK("keep-state"),
	 .strict_then = {.status = BROKE, .violations = 1}},
	{.guest = "xsa273", LATER(1, "at va 0xffff960000000000 (L1")},
	{.guest = "xsa299", REFUSED("keep-tree")},
	{.guest = "xsa402", REFUSED("grant-all")},
	{.guest = "wrong_level", LATER_AND_PIN(1, "at va 0xffff960040000000 (L3", 0)},
	{.guest = "wrong_level", REFUSED("grant-all"), .must = {.violations = 1}},
	{.guest = "loops", LATER_AND_PIN(1, "at va 0xffff960000200000 (L1", 0)},
	{.guest = "self_map",
	 .must = {.violations = 1},
	 .off = BREAK("grant-all"),
	 .then = {.status = BROKE, .violations = 1},
	 .strict_off = BREAK("any-store"),
	 .strict_then = {.status = BROKE, .violations = 1}},
	{.guest = "recursive_slot", REFUSED("grant-all")},
	{.guest = "shared_by_roots", REFUSED("grant-all")},
	{.guest = "two_levels",
	 LATER_LEFT(3, "at va 0xffff960000200000 (L1", 3),
	 .on_strict = &(struct outcome){.violations = 1, .says = "at va 0xffff960000200000 (L2"}},
	{.guest = "alias_2m", LATER(1, "at va 0xffff960000400000 (L2")},
	{.guest = "alias_1g", LATER_AND_PIN(2, "at va 0xffff960080000000 (L3", 1)},
	{.guest = "bad_leaves", LATER_AND_PIN(4, "at va 0xffff960000600000 (L2", 0)},
	{.guest = "many_violations",
	 LATER(512, "at va 0xffff960000200000 (L1"),
	 .on_strict = &(struct outcome){.violations = 512, .says = "at va 0xffff960000000000 (L1"}},
	{.guest = "other_cr3",
	 LATER(1, "at va 0xffff960000005000 (L1"),
	 .on_log = &(struct outcome){.violations = 2}},

	/* stores */
	{.guest = "store_byte", LATER(1, "at va 0xffff960000000000 (L1")},
	{.guest = "store_atomic", LATER(5, "at va 0xffff960000000000 (L1")},
	{.guest = "store_two_entries", LATER(2, "at va 0xffff960000001000 (L1")},

	{.guest = "store_straddles",
	 UNREPORTED(2, "at va 0xffff960000200000 (L1"),
	 .on_strict = &held,
	 STRICT_REFUSED("no-write-protect")},
	{.guest = "store_two_tables", LATER(12, "at va 0xffff96")},
	{.guest = "store_links_itself", LATER_LEFT(2, "at va 0xffff9600401ff000 (L1", 1)},
	HALF("first-2"),
	HALF("first-4"),
	HALF("first-8"),
	HALF("first-16"),
	HALF("last-4"),
	HALF("last-8"),
	HALF("last-16"),
	{.guest = "store_large",
	 .only_strict = "elsewhere the processor does every store",
	 .on_strict = &may_be_half_done,
	 .no_strict_switch = "an instruction that is not known ends the guest as well"},
	{.guest = "store_unmapped",
	 .only_strict = "elsewhere the processor does every store",
	 .on_strict = &held,
	 STRICT_REFUSED("any-va")},
	{.guest = "store_unpinned",
	 .with = {"--step", "unpin", "-c3"},
	 .only_strict = "elsewhere the processor does every store",
	 .on_strict = &held,
	 .no_strict_switch = "the store is allowed"},
	{.guest = "store_races_pins",
	 .with = {"-c2"},
	 .only_strict = "elsewhere the processor does every store",
	 .on_strict = &held,
	 .no_strict_switch = "the stores are allowed"},
	{.guest = "store_steps",
	 .no_switch = "the processor does every store",
	 .no_strict_switch = "the stores are allowed"},
	{.guest = "store_upcall",
	 .only_strict = "elsewhere the processor does every store",
	 .on_strict = &held,
	 .no_strict_switch = "the stores are allowed"},
	{.guest = "store_rights",
	 .no_switch = "the processor does every store",
	 STRICT_REFUSED("any-rights")},
	UNKNOWN("store_pushes", "in"),
	UNKNOWN("store_pushes", "begin"),
	UNKNOWN("store_pushes", "end"),
	UNKNOWN("store_string_in", NULL),
	{.guest = "wp_clear",
	 .only_strict = "elsewhere the processor does every store",
	 .on_strict = &(struct outcome){.violations = 3},
	 .strict_off = BREAK("any-store"),
	 .strict_then = {.status = BROKE, .violations = 1}},
	FRAMES("l1"),
	FRAMES("l2"),
	{.guest = "updates_garbage",
	 .with = {"-m4G"},
	 .on_strict = &one_violation,
	 NO_UPDATES,
	 STRICT_REFUSED("no-bounds")},
	/* (More zaps than are due let no guest through: these figures find them.) */
	{.guest = "updates_flush",
	 .on_strict = &(struct outcome){.stats = {{"pins.all_zapped", 1},
						  {"pins.frames_zapped", 8},
						  {"pins.update_calls", 6}}},
	 NO_UPDATES,
	 STRICT_REFUSED("no-zap")},

	/* races */
	{.guest = "alias_meanwhile",
	 .with = {"--step", "grant", "-c2"},
	 LATER(1, "at va 0xffff960000001000 (L1")},
	{.guest = "alias_meanwhile",
	 .with = {"--step", "sync", "-c2"},
	 LATER(1, "at va 0xffff960000001000 (L1")},
	{.guest = "reset_mid_pin", .with = {"--step", "grant", "-c2"}, REFUSED("any-state")},
	{.guest = "end_mid_pin",
	 .with = {"--step", "grant", "-c2"},
	 .must = {.status = SHUTDOWN, .says = "triple fault"},
	 EVERYWHERE("shutdown-is-ok", .status = HELD, .says = "triple fault")},
	RESETS("init"),
	RESETS("smi"),
	POWERS_OFF("status", "powers off with status 0xc8, outside of 0 to 63"),
	POWERS_OFF("port", "powers off without a status: it wrote 8 bits to port 0xa11f"),

	/* upcalls */
	{.guest = "handler_never",
	 .with = {"-c2", "--timeout=2"},
	 .must = {.status = TIMEOUT, .says = "2 s", .prints = "served\n"},
	 EVERYWHERE("one-at-a-time", .status = TIMEOUT, .says = "2 s", .prints = "")},
	{.guest = "handler_returns", REFUSED("trust-handler")},
	{.guest = "handler_pins", REFUSED("no-retry")},
	{.guest = "handler_leaves", REFUSED("no-retry")},
	{.guest = "handler_faults",
	 .must = {.status = SHUTDOWN, .says = "triple fault"},
	 EVERYWHERE("shutdown-is-ok", .status = HELD, .says = "triple fault")},
	{.guest = "handler_flushes_wrong", REFUSED("trust-handler")},

	/* the log */
	{.guest = "log_omits",
	 .with = {"--audit=1"},
	 .on_log = &(struct outcome){.violations = 1, .says = UNLOGGED},
	 .off = {"--audit=1000000"},
	 .off_track = "log",
	 .then = {.status = BROKE, .violations = 2},
	 .no_strict_switch = NO_LOG},
	{.guest = "log_lies",
	 .with = {"--audit=1"},
	 .on_log = &(struct outcome){.violations = 1, .says = "records in the log are wrong"},
	 LOG_OFF("no-mismatch")},
	{.with = {"--audit=1000000"}, EXCUSE("names", 1)},
	{.with = {"--audit=1000000"}, EXCUSE("loses", 2)},
	{.with = {"--audit=1000000"}, EXCUSE("half", 2)},
	{.with = {"--audit=1000000"}, EXCUSE("stops", 2)},
	FOR_EVER("swaps", "-c3", "--audit=1", 2, UNLOGGED),
	FOR_EVER("spins", "-c2", "--audit=1000000", 2, UNLOGGED),
	FOR_EVER("lingers", "-c2", "--audit=1000000", 2, TOO_LONG),
	{.guest = "log_excuses",
	 .word = "sleeps",
	 .with = {"-c2", "--audit=1000000", "--on-violation=stop"},
	 .no_switch = "nothing is held against a vCPU that sleeps",
	 .no_strict_switch = NO_LOG},
	{.guest = "log_spams",
	 .with = {"-c2", "--step", "judge", "--audit=1", "--on-violation=stop"},
	 .on_log =
		 &(struct outcome){
			 .status = STOPPED, .violations = 1, .says = UNLOGGED, .prints = ""},
	 LOG_OFF("no-mismatch"),
	 .then = {.status = BROKE}},
	{.guest = "host_writes",
	 .word = "deflate",
	 .with = {"--audit=1"},
	 .must = {.violations = 1, .says = UNPINNED_LINK},
	 LOG_OFF("own-changes"),
	 .then = {.violations = 3, .says = UNLOGGED}},
	{.guest = "host_writes",
	 .word = "shared",
	 .with = {"--audit=1"},
	 .must = {.violations = 1, .says = UNPINNED_LINK},
	 LOG_OFF("own-changes"),
	 .then = {.violations = 43, .says = UNLOGGED}},
	{.guest = "log_wraps",
	 .on_log = &(struct outcome){.violations = 8, .says = "more records than it has room for"},
	 LOG_OFF("believe-log"),
	 .then = {.status = BROKE, .violations = 3}},
	{.guest = "log_moves",
	 .with = {"-c2"},
	 .must = {.prints = "moving\n"},
	 .off = {"--break", "no-log-end", "--timeout=4"},
	 .off_track = "log",
	 .then = {.status = TIMEOUT, .says = "4 s", .prints = "moving\n"},
	 .no_strict_switch = NO_LOG},

	/* disks */
	{.guest = "xsa284",
	 .disk = "0x100003",
	 .must = {.violations = 9, .says = "writable mapping of a page table"},
	 .off = BREAK("no-report"),
	 .on_log = &(struct outcome){.violations = 64 + 9},
	 .on_strict = &(struct outcome){.says = "and the guest was told"},
	 .strict_off = BREAK("no-write-protect"),
	 .strict_then = {.status = BROKE, .violations = 9}},
	{.guest = "ring_in_table",
	 .disk = "0",
	 .must = {.violations = 0},
	 .on_log = &(struct outcome){.violations = 2, .says = UNLOGGED},
	 .off = BREAK("no-mismatch"),
	 .off_track = "log",
	 STRICT_REFUSED("no-write-protect")},
	{.guest = "ring_loop",
	 .disk = "0",
	 .must = {.says = "queue is broken"},
	 REFUSED("cut-chains")},
	{.guest = "ring_indirect",
	 .disk = "0",
	 .must = {.says = "queue is broken"},
	 REFUSED("any-indirect")},
	{.guest = "ring_indirect",
	 .disk = "0",
	 .must = {.says = "queue is broken"},
	 EVERYWHERE("cut-chains", .status = BROKE, .says = "queue is broken")},
	{.guest = "ring_ends",
	 .disk = "0",
	 .must = {.says = "queue is broken"},
	 REFUSED("no-ends")},
};

const size_t nr_hostiles = sizeof(hostiles) / sizeof(hostiles[0]);
