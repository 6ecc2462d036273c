/* SPDX-License-Identifier: MIT */
/* One request of the control socket: checked, done, answered. */
#ifndef VMM_CONTROL_REQUEST_H
#define VMM_CONTROL_REQUEST_H

#include <stddef.h>
#include <jansson.h>

struct machine;
struct pin;

/* What requests are about. */
struct control_target {
	struct machine *machine;
	struct pin *pin;
};

/* Does what the line (without its newline) asks of a running machine; vmm(1) has the protocol. Main
 * thread. Returns the answer, {"error": one sentence} where it is refused; NULL when out of memory.
 */
json_t *control_request(const struct control_target *target, const char *line, size_t len);
/* {"error": why} */
json_t *control_refusal(const char *why);

#endif
