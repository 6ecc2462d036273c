/* SPDX-License-Identifier: MIT */
/* A machine with a pin, and a vCPU that never runs: the test is its guest. One at a time. */
#ifndef PIN_GUEST_H
#define PIN_GUEST_H

#include <stdint.h>
#include "alias_abi.h"
#include "machine.h"
#include "options.h"
#include "pin/internal.h"
#include "pin/pin.h"
#include "pte.h"

#define PAGE      4096u
#define ROOT      0x100u /* and the tables below it, down to L1; all are pinned */
#define L1        (ROOT + 3)
#define DATA      0x200u
#define MAPPED_AT 0x5000ull /* by entry 5 of L1 */
#define W(pfn)    ((uint64_t)(pfn) << 12 | PTE_P | PTE_RW)
#define R(pfn)    ((uint64_t)(pfn) << 12 | PTE_P)

extern struct pin_guest {
	struct options opt;
	struct machine machine;
	struct pin *pin;
	struct vcpu vcpu;
	struct kvm_run run;
	struct alias_vcpu_page *page;
	unsigned raised;       /* upcalls */
	unsigned let_through;  /* pins granted in spite of an alias, as the test says */
	unsigned looked_again; /* tables changed before the oracle looked, as the test says */
	uint64_t rip;          /* goes on with each instruction that is completed */
} guest;

void guest_start_with(enum track_mode track, enum alias_strategy flush);
void guest_start_track(enum track_mode track);
void guest_start(void);
/* Asserts that tracker and oracle have not differed, let_through and looked_again. */
void guest_end(void);

uint64_t *guest_frame(uint64_t pfn);
/* Makes a hypercall, which must be accepted. */
void guest_call(enum alias_call call);
/* After an upcall: the same `out` comes again. */
void guest_call_again(enum alias_call call);
/* Makes one request. Returns the answer; ALIAS_PENDING: an upcall was made. */
enum alias_status guest_ask_with(uint64_t pfn, enum alias_opcode op, unsigned arg, uint32_t flags);
enum alias_status guest_ask(uint64_t pfn, enum alias_opcode op, unsigned arg);
/* Writes an entry, and a record of that in the log. */
void guest_log_change(uint64_t *entry, uint64_t pte);
/* Writes an entry of L1; what it held is flushed. */
void guest_map_at(unsigned entry, uint64_t pte);
/* The same, of entry 5. */
void guest_map(uint64_t pte);
/* "transitions.NAME.FIGURE" of the statistics. */
int64_t transition_figure(const char *name, const char *figure);

#endif
