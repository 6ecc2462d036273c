/* SPDX-License-Identifier: MIT */
/* What alias-audit is told by QEMU or by the notes of a core: the first byte says which. */
#include <stdlib.h>
#include <string.h>
#include "core_notes.h"
#include "fuzz.h"
#include "mtree.h"
#include "qmp.h"

static void read_mtree(const char *text)
{
	static struct mtree_range ranges[64];
	size_t nr = mtree_parse(text, ranges, 64);

	MUST(nr <= 64);
	for (size_t i = 0; i < nr; i++) {
		MUST(ranges[i].size > 0 && strlen(ranges[i].region) < MTREE_NAME_MAX);
		MUST(ranges[i].gpa + (ranges[i].size - 1) >= ranges[i].gpa);
	}
}

static void read_notes(const uint8_t *notes, size_t size)
{
	struct core_cpus cpus = {0};
	struct notes doubts = {0};

	MUST(core_notes_parse(&cpus, notes, size, &doubts) == 0);
	MUST(cpus.nr <= CORE_MAX_CPUS && cpus.nr * 440 <= size);
	notes_clear(&doubts);
	free(cpus.cpu);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cpu_state cpus[16];
	char *text;

	if (size == 0)
		return 0;
	text = strndup((const char *)data + 1, size - 1);
	MUST(text);
	switch (data[0] & 3) {
	case 0:
		read_mtree(text);
		break;
	case 1:
		MUST(registers_parse(text, cpus, 16) <= 16);
		break;
	case 2:
		json_decref(qmp_parse(text, strlen(text)));
		break;
	default:
		read_notes(data + 1, size - 1);
	}
	free(text);
	return 0;
}
