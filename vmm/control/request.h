/* SPDX-License-Identifier: MIT */
/* Requests of the control socket. */
#ifndef VMM_CONTROL_REQUEST_H
#define VMM_CONTROL_REQUEST_H

#include <stddef.h>
#include <jansson.h>

struct live_audit;
struct machine;
struct pin;

/* What requests are about. */
struct control_target {
	struct machine *machine;
	struct pin *pin;           /* NULL: the guest is Linux */
	struct live_audit **audit; /* made by the first request that needs it */
};

/* Carries out one request: a line of JSON, without its newline, as described in vmm(1). On the main
 * thread. Returns the answer, {"error": "one sentence"} if the request is refused, or NULL when out
 * of memory. */
json_t *control_request(const struct control_target *target, const char *line, size_t len);
/* Returns {"error": why}, or NULL when out of memory. */
json_t *control_refusal(const char *why);

#endif
