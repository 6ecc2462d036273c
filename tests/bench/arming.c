/* SPDX-License-Identifier: MIT */
#include "arming.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define FRAME_BYTES 4096u
#define WORLDS_MAX  8u

/* For the signal handler, which is told nothing else than an address. */
static struct world *worlds[WORLDS_MAX];
static struct at_ops simulated; /* the same for all worlds */

static void protect(struct world *w, uint64_t pfn, int access)
{
	if (!mprotect(w->memory + pfn * 512, FRAME_BYTES, access))
		return;
	perror("bench-tracker: mprotect");
	abort();
}

static bool arm(void *ctx, uint64_t pfn)
{
	protect(ctx, pfn, PROT_READ);
	return simulated.arm(ctx, pfn);
}

static void disarm(void *ctx, uint64_t pfn)
{
	protect(ctx, pfn, PROT_READ | PROT_WRITE);
	simulated.disarm(ctx, pfn);
}

static bool wrote(struct world *w, const void *address)
{
	uint64_t pfn = ((uintptr_t)address - (uintptr_t)w->memory) / FRAME_BYTES;

	if ((uintptr_t)address < (uintptr_t)w->memory || pfn >= w->frames || !w->armed[pfn])
		return false;
	protect(w, pfn, PROT_READ | PROT_WRITE);
	world_walk(w, pfn);
	return true;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	for (unsigned i = 0; i < WORLDS_MAX; i++)
		if (worlds[i] && wrote(worlds[i], info->si_addr))
			return;
	signal(sig, SIG_DFL); /* a bug: the same again, and the end */
}

bool arming_is_real(const struct world *w)
{
	return w->ops.arm == arm;
}

void arming_start(struct world *w)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	unsigned i = 0;

	while (i < WORLDS_MAX && worlds[i])
		i++;
	if (i == WORLDS_MAX || sigaction(SIGSEGV, &action, NULL))
		abort();
	worlds[i] = w;
	simulated = w->ops;
	w->ops.arm = arm;
	w->ops.disarm = disarm;
}

void arming_stop(struct world *w)
{
	for (unsigned i = 0; i < WORLDS_MAX; i++)
		if (worlds[i] == w)
			worlds[i] = NULL;
}
