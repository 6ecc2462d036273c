/* SPDX-License-Identifier: MIT */
/*
 * A look at all page tables of the running guest, as alias-audit looks at those of a core: which
 * have another mapping, what is writable here and executable there, what has several memory types.
 * It needs no help from the guest, so it works with Linux, too, and knows nothing of pins.
 *
 * The vCPUs are held while tables are read. Disks go on: a frame that one fills just then may be
 * read half old, half new.
 */
#ifndef VMM_LIVE_AUDIT_H
#define VMM_LIVE_AUDIT_H

#include <stddef.h>
#include <jansson.h>

struct live_audit;
struct machine;

/* On the main thread, all of these. Returns NULL when out of memory. */
struct live_audit *live_audit_new(struct machine *machine);
void live_audit_free(struct live_audit *audit);

/* Looks, and returns the report that alias-audit/SCHEMA.md describes, or NULL when out of memory.
 * Of very many findings it has the first, and tells in "left_out" how many there are more. */
json_t *live_audit_report(struct live_audit *audit);
/* The same for a person, as alias-audit prints it; free() it. Of more than `max`
 * bytes it has whole lines from the beginning, and a last one that says so. */
char *live_audit_text(struct live_audit *audit, size_t max);
/* Looks, and says what has come since it last said so, and what has gone. */
void live_audit_say_changes(struct live_audit *audit);

#endif
