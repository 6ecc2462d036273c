/* SPDX-License-Identifier: MIT */
/* Stores to page tables: what one loads at which KVM_RUN has stopped comes from where the guest's
 * tables were found to allow that; and one that KVM has emulated, beside an unpin. */
#include <limits.h>
#include <linux/kvm.h>
#include <string.h>
#include "fake_kvm.h"
#include "pin/store.h"
#include "pin_guest.h"
#include "status.h"
#include "stop.h"
#include "suites.h"

#define CODE   (DATA + 1)
#define SOURCE (DATA + 2) /* two frames */
#define SECRET (DATA + 4) /* what these tables don't map */
#define LMA    (1u << 10)

#define FLAG_TF (1ull << 8)

/* Entries of L1, and the pages that they map. */
#define STORED    100u
#define VA(entry) ((uint64_t)(entry)*PAGE)
enum { TABLE = 7, TEXT, FROM, /* two pages */ };

static int (*play_the_rest)(int fd, unsigned long request, void *arg);
static struct kvm_regs regs;
/* So many translations of data are as the tables say. Then another vCPU writes them. */
static unsigned until_remapped;
static bool delivering; /* an interrupt */

static int translate(struct kvm_translation *translation)
{
	uint64_t va = translation->linear_address, pte = guest_frame(L1)[va / PAGE];

	if (va / PAGE != TEXT && until_remapped-- == 0) {
		until_remapped = 0;
		pte = R(SECRET);
	}
	translation->valid = 1;
	translation->physical_address = (pte & PTE_ADDR) | va % PAGE;
	return 0;
}

static int play_vcpu(int fd, unsigned long request, void *arg)
{
	switch (request) {
	case KVM_GET_REGS:
		*(struct kvm_regs *)arg = regs;
		return 0;
	case KVM_SET_REGS:
		regs = *(const struct kvm_regs *)arg;
		return 0;
	case KVM_GET_SREGS: /* CR0.WP is clear: it stores where it may only read */
		*(struct kvm_sregs *)arg =
			(struct kvm_sregs){.cr3 = VA(ROOT), .efer = LMA, .cs.l = 1};
		return 0;
	case KVM_TRANSLATE:
		return translate(arg);
	case KVM_GET_VCPU_EVENTS:
		*(struct kvm_vcpu_events *)arg =
			(struct kvm_vcpu_events){.interrupt.injected = delivering};
		return 0;
	case KVM_GET_DEBUGREGS:
	case KVM_SET_DEBUGREGS:
		return 0;
	default:
		return play_the_rest(fd, request, arg);
	}
}

static void set_up(void)
{
	guest_start_track(TRACK_STRICT);
	guest_map_at(TABLE, R(L1));
	guest_map_at(TEXT, R(CODE));
	guest_map_at(FROM, R(SOURCE));
	guest_map_at(FROM + 1, R(SOURCE + 1));
	guest_map_at(STORED, R(DATA));
	for (unsigned i = 0; i < PT_ENTRIES; i++)
		guest_frame(SECRET)[i] = R(SECRET);
	play_the_rest = fake_kvm;
	fake_kvm = play_vcpu;
}

static const struct {
	uint8_t code[3];
	unsigned len;
	uint64_t from; /* offset of what is loaded, in the source */
	unsigned checks;
} insns[] = {
	{{0x48, 0x01, 0x07}, 3, 0, 1},  /* add %rax, (%rdi) */
	{{0x48, 0xa5}, 2, 0, 2},        /* movsq */
	{{0x48, 0xa5}, 2, PAGE - 4, 3}, /* the same, from two pages */
};

START_TEST(what_was_checked_is_loaded)
{
	uint64_t pte = R(DATA + 1);
	uint8_t *source = (uint8_t *)guest_frame(SOURCE);

	memcpy(guest_frame(CODE), insns[_i].code, insns[_i].len);
	memcpy(source + insns[_i].from, &pte, sizeof(pte));
	regs = (struct kvm_regs){.rip = VA(TEXT),
				 .rax = PAGE,
				 .rdi = VA(TABLE) + STORED * sizeof(pte),
				 .rsi = VA(FROM) + insns[_i].from};
	until_remapped = insns[_i].checks;
	ck_assert_int_eq(pin_store_ops.stopped(guest.pin, &guest.vcpu), STORE_EXIT_DONE);
	ck_assert_uint_eq(guest.raised, 0);
	ck_assert_uint_eq(guest_frame(L1)[STORED], pte | PTE_A | PTE_D);
	ck_assert_uint_eq(regs.rip, VA(TEXT) + insns[_i].len);
}
END_TEST

/* Straddles a table, whose entry 511 is PTE, and a frame that was one until a moment ago. */
static enum alias_status commit_straddling(uint64_t pte)
{
	struct batch batch = {.pin = guest.pin, .vcpu = &guest.vcpu, .page = guest.page};
	struct piece pieces[] = {{.gpa = L1 * PAGE + PAGE - sizeof(pte), .len = sizeof(pte)},
				 {.gpa = DATA * PAGE, .len = sizeof(pte)}};
	enum alias_status status;

	for (unsigned i = 0; i < 2; i++)
		memcpy(pieces[i].bytes, &pte, sizeof(pte));
	pthread_mutex_lock(&guest.pin->lock);
	ck_assert_int_eq(commit_emulated(&batch, pieces, 2, &status), SERVED);
	pthread_mutex_unlock(&guest.pin->lock);
	return status;
}

/* KVM has told of both pieces, and then another vCPU unpins the second table. */
START_TEST(one_of_two_tables_is_released)
{
	uint64_t *entry = &guest_frame(L1)[511], *beside = guest_frame(DATA);

	ck_assert_uint_eq(commit_straddling(W(L1)), ALIAS_MAPS_TABLE);
	ck_assert_uint_eq(*entry, 0);
	ck_assert_uint_eq(*beside, 0);
	ck_assert_uint_eq(commit_straddling(R(DATA + 1)), ALIAS_OK);
	ck_assert_uint_eq(*entry, R(DATA + 1) | PTE_A | PTE_D);
	ck_assert_uint_eq(*beside, R(DATA + 1));
}
END_TEST

static void stop_at(const uint8_t code[3], unsigned offset)
{
	regs.rip = VA(TEXT) + offset;
	memcpy((uint8_t *)guest_frame(CODE) + offset, code, 3);
	ck_assert_int_eq(pin_store_ops.stopped(guest.pin, &guest.vcpu), STORE_EXIT_DONE);
}

/* A store to where the frame is writable by now, an unknown instruction, a pushed frame: each is
 * let try again, whatever came before, and the latter two not twice at the same place. */
START_TEST(stops_are_counted_apart)
{
	static const uint8_t mov[] = {0x48, 0x89, 0x07}, unknown[] = {0x48, 0x11, 0x07};

	regs = (struct kvm_regs){.rdi = VA(STORED)};
	until_remapped = UINT_MAX;
	stop_at(unknown, 100);
	for (unsigned i = 0; i < 2; i++) {
		stop_at(mov, 0);
		delivering = i == 0;
		stop_at(unknown, 0);
		delivering = i > 0;
		stop_at(unknown, 0);
		delivering = false;
		ck_assert_uint_eq(guest.raised, i);
		ck_assert_int_eq(guest.machine.stop.status, i ? VMM_EX_VIOLATION : -1);
	}
	stop_is_over(&guest.machine.stop);
}
END_TEST

/* mov %rax, (%rdi), and what may be before it: the last byte of another instruction. */
static const uint8_t before_mov[] = {0x90, 0xf0, 0x3e, 0x40, 0x66};

START_TEST(is_done_again_from_its_first_byte)
{
	const uint8_t code[] = {before_mov[_i], 0x48, 0x89, 0x07};
	uint64_t pte = R(DATA + 1);
	struct piece piece = {.gpa = L1 * PAGE + STORED * sizeof(pte), .len = sizeof(pte)};
	struct vcpu_state after;
	struct kvm_regs before;
	bool again;

	memcpy(guest_frame(CODE), code, sizeof(code));
	memcpy(piece.bytes, &pte, sizeof(pte));
	regs = (struct kvm_regs){.rip = VA(TEXT) + sizeof(code),
				 .rax = pte,
				 .rdi = VA(TABLE) + STORED * sizeof(pte)};
	until_remapped = UINT_MAX;
	ck_assert(vcpu_get_state(&guest.vcpu, &after));
	ck_assert_int_eq(decode_emulated(&guest.vcpu, &after, &piece, 1, &again, &before),
			 EMULATED_WHOLE);
	ck_assert(again);
	ck_assert_uint_eq(before.rip, VA(TEXT) + 1);
}
END_TEST

static bool clear_left_over(void *ctx, struct vcpu *vcpu, const struct kvm_regs *now)
{
	(void)ctx, (void)vcpu;
	ck_assert_uint_eq(now->rip, regs.rip);
	ck_assert_uint_eq(now->rflags, regs.rflags);
	regs.rflags &= ~FLAG_TF;
	return true;
}

/* It comes from the frame of an upcall that a debugger has stepped into. */
START_TEST(a_debuggers_trap_flag_is_no_step_of_the_guests)
{
	static const struct debug_ops debug_ops = {.clear_left_over = clear_left_over};
	static const uint8_t mov[] = {0x48, 0x89, 0x07};

	guest.machine.vm.debug_ops = _i ? &debug_ops : NULL;
	regs = (struct kvm_regs){.rax = R(DATA + 1),
				 .rdi = VA(TABLE) + STORED * sizeof(uint64_t),
				 .rflags = FLAG_TF};
	until_remapped = UINT_MAX;
	stop_at(mov, 0);
	ck_assert_uint_eq(guest.raised, !_i);
	ck_assert_uint_eq(regs.rflags & FLAG_TF, _i ? 0 : FLAG_TF);
	ck_assert_uint_eq(regs.rip, VA(TEXT) + sizeof(mov));
}
END_TEST

TCase *store_tests(void)
{
	TCase *tc = tcase_create("store");

	tcase_add_checked_fixture(tc, set_up, guest_end);
	tcase_add_loop_test(tc, what_was_checked_is_loaded, 0, sizeof(insns) / sizeof(insns[0]));
	tcase_add_test(tc, one_of_two_tables_is_released);
	tcase_add_test(tc, stops_are_counted_apart);
	tcase_add_loop_test(tc, a_debuggers_trap_flag_is_no_step_of_the_guests, 0, 2);
	tcase_add_loop_test(tc, is_done_again_from_its_first_byte, 0, sizeof(before_mov));
	return tc;
}
