/* SPDX-License-Identifier: MIT */
/*
 * Random transitions of few frames by all vCPUs, with random entries in between: pins at any level,
 * unpins, memory types, give-aways and returns, of frames that map and link each other in any way.
 * The tables are never walked by a processor, so they may hold what they like. The log is kept
 * truly.
 *
 * Run with --verify=1: the oracle has the same answer to each. The command line ends with
 * "SEED-ROUNDS".
 */
#include "hostile.h"

#define CPUS_MAX 8u
#define FRAMES   24u
#define PLACES   6u /* entries of a frame that are used */
#define BATCH    4u
#define STACK    8192u

static char *const pool = (char *)(DIRECT + 0x800000);
static uint8_t stacks[CPUS_MAX][STACK] __attribute__((aligned(16)));
static unsigned nr_cpus, nr_up = 1, nr_done;
static bool locked;
static uint64_t seed, rounds;

static uint64_t *frame(unsigned i)
{
	return (uint64_t *)(pool + i * 4096ul);
}

static uint64_t number(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1d;
}

static unsigned below(uint64_t *state, unsigned n)
{
	return (unsigned)(number(state) >> 33) % n;
}

static uint64_t read_decimal(const char **text)
{
	uint64_t n = 0;

	while (**text >= '0' && **text <= '9')
		n = n * 10 + (uint64_t)(*(*text)++ - '0');
	return n;
}

/* One entry at a time, so that the records of the log are true. */
static void change_entry(uint64_t *state)
{
	static const uint64_t bits[] = {0,
					P,
					P | RW,
					P | RW,
					P | RW,
					P | RW | PS,
					P | PS,
					RW,
					P | RW | 1ull << 63,
					P | RW | 1ull << 51,
					P | RW | 0x10};
	uint64_t *e = &frame(below(state, FRAMES))[below(state, PLACES) * 100];
	uint64_t what = bits[below(state, sizeof(bits) / sizeof(bits[0]))];
	uint64_t value = what ? entry(frame(below(state, FRAMES)), what) : 0;

	if (!below(state, 8))
		e = &tree.vm_l1[below(state, PLACES)];
	while (__atomic_test_and_set(&locked, __ATOMIC_ACQUIRE))
		relax();
	if (*(volatile uint64_t *)e & P)
		__atomic_fetch_add(&common()->cleared, 1, __ATOMIC_SEQ_CST);
	set(e, value);
	__atomic_clear(&locked, __ATOMIC_RELEASE);
}

static void put_random(uint64_t *state, unsigned i)
{
	static const unsigned ops[] = {ALIAS_OP_PIN,     ALIAS_OP_PIN,    ALIAS_OP_PIN,
				       ALIAS_OP_UNPIN,   ALIAS_OP_UNPIN,  ALIAS_OP_MEMTYPE,
				       ALIAS_OP_INFLATE, ALIAS_OP_DEFLATE};
	unsigned op = ops[below(state, sizeof(ops) / sizeof(ops[0]))];
	unsigned arg = op == ALIAS_OP_MEMTYPE ? below(state, 3) : below(state, 6);

	put(i, op, pfn_of(frame(below(state, FRAMES))), arg);
}

static void ask(uint64_t *state)
{
	unsigned nr = 1 + below(state, BATCH);

	for (unsigned i = 0; i < nr; i++)
		put_random(state, i);
	check(call(nr, below(state, 2) ? ALIAS_BATCH_UPCALL : 0) == ALIAS_OK);
	for (unsigned i = 0; i < nr; i++)
		check(answer(i) < ALIAS_NR_STATUS && answer(i) != ALIAS_PENDING);
}

static void work(void)
{
	uint64_t state = (seed * CPUS_MAX + this_cpu()) * 2 + 1;

	for (uint64_t i = 0; i < rounds; i++) {
		for (unsigned k = below(&state, 4); k > 0; k--)
			change_entry(&state);
		ask(&state);
	}
	__atomic_fetch_add(&nr_done, 1, __ATOMIC_SEQ_CST);
}

static void begin(void)
{
	__asm__ volatile("mov %0, %%rsp\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "lock incl %1\n\t"
			 "call *%2\n"
			 "1:\thlt\n\t"
			 "jmp 1b"
			 :
			 : "r"(stacks[this_cpu()] + STACK), "m"(nr_up), "r"(work)
			 : "memory");
}

/* Each on a stack of its own, one after the other. */
static void start_all(void)
{
	for (unsigned cpu = 1; cpu < nr_cpus; cpu++) {
		start_cpu(cpu, begin);
		while (*(volatile unsigned *)&nr_up == cpu)
			relax();
	}
}

static void nothing(void)
{
}

static void hostile_main(void)
{
	uint32_t eax = 1, ebx, ecx, edx;
	const char *word = last_word();

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	nr_cpus = ebx >> 16 & 0xff;
	seed = read_decimal(&word);
	require(*word++ == '-' && nr_cpus <= CPUS_MAX);
	rounds = read_decimal(&word);
	require(rounds > 0 && *word == 0);
	upcall = nothing; /* what was met is met again */
	start_all();
	work();
	while (*(volatile unsigned *)&nr_done < nr_cpus)
		relax();
}
