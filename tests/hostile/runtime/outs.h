/* SPDX-License-Identifier: MIT */
/* Calls by string instructions. */
#ifndef OUTS_H
#define OUTS_H

#include "hostile.h"

/* `n` calls by one instruction, with this in EAX; the status of the last. */
static inline unsigned call_by_outs(const uint32_t *calls, uint64_t n, uint32_t eax)
{
	page_of(0)->call_status = ALIAS_PENDING;
	if (n == 1)
		__asm__ volatile("cld; outsl"
				 : "+S"(calls)
				 : "a"(eax), "d"(HYPERCALL_PORT)
				 : "memory");
	else
		__asm__ volatile("cld; rep outsl"
				 : "+S"(calls), "+c"(n)
				 : "a"(eax), "d"(HYPERCALL_PORT)
				 : "memory");
	return page_of(0)->call_status;
}

#endif
