/* SPDX-License-Identifier: MIT */
/* A trace as Chrome's JSON (the Trace Event Format). */
#ifndef VMM_TRACE_JSON_H
#define VMM_TRACE_JSON_H

#include <stddef.h>
#include <stdint.h>

struct symbols;
struct trace;

#define TRACE_NAME_MAX 160

/* What names things in the trace. */
struct trace_names {
	const char *(*exit)(uint32_t reason);
	/* The code that called; returns `name`, TRACE_NAME_MAX characters. */
	const char *(*caller)(const struct symbols *symbols, uint64_t return_address, char *name);
	const struct symbols *symbols;
};

/* Where the text goes, in large pieces. put() returns 0, or a negated errno. */
struct trace_sink {
	int (*put)(void *ctx, const char *text, size_t len);
	void *ctx;
};

/* Writes the whole trace; the writers of its tracks have ended. Returns 0, or what put() has
 * returned, which then is called no more. */
int trace_write(const struct trace *trace, const struct trace_names *names,
		const struct trace_sink *sink);

#endif
