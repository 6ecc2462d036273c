/* SPDX-License-Identifier: MIT */
#include "report.h"

#include "json_object.h"

static json_t *mapping_json(const struct mapping *mapping, const struct names *names)
{
	static const struct field fields[] = {
		FIELD_OF(FIELD_HEX, "va", mapping, va),
		FIELD_OF(FIELD_HEX, "pte_gpa", mapping, pte_gpa),
		FIELD_OF(FIELD_HEX, "pte", mapping, pte),
		FIELD_OF(FIELD_NUMBER, "level", mapping, level),
		FIELD_OF(FIELD_BOOL, "writable", mapping, writable),
		FIELD_OF(FIELD_BOOL, "user", mapping, user),
		FIELD_OF(FIELD_BOOL, "exec", mapping, exec),
		FIELD_OF(FIELD_NUMBER, "memtype", mapping, memtype),
	};
	json_t *object = json_object();
	char name[160];

	ADD_FIELDS(object, fields, mapping);
	object_add_text(object, "place", place_word(mapping->place));
	if (names_of(names, mapping->va, name, sizeof(name))[0])
		object_add_text(object, "name", name);
	return object;
}

static json_t *finding_json(const struct finding *finding, const struct names *names)
{
	static const struct field fields[] = {
		FIELD_OF(FIELD_HEX, "pfn", finding, pfn),
		FIELD(finding, frames),
		FIELD_AS("mappings", finding, nr),
	};
	json_t *object = json_object(), *levels, *mappings = json_array();

	object_add_text(object, "kind", finding_kind_word(finding->kind));
	ADD_FIELDS(object, fields, finding);
	if (finding->kind == FINDING_TABLE) {
		levels = json_array();
		for (unsigned level = 1; level <= LEVELS_MAX; level++)
			if (finding->levels & 1u << level)
				json_array_append_new(levels, json_integer(level));
		json_object_set_new(object, "levels", levels);
	}
	for (unsigned i = 0; i < finding->nr_at && i < FINDING_MAPPINGS; i++)
		json_array_append_new(mappings, mapping_json(&finding->at[i], names));
	json_object_set_new(object, "at", mappings);
	return object;
}

static json_t *low_maps_json(const struct findings *findings)
{
	static const struct field fields[] = {
		FIELD_OF(FIELD_HEX, "root_pfn", low_map, pfn),
		FIELD_OF(FIELD_NUMBER, "frames", low_map, frames),
		FIELD_OF(FIELD_NUMBER, "tables", low_map, tables),
		FIELD_OF(FIELD_BOOL, "identity", low_map, identity),
	};
	json_t *maps = json_array();

	for (size_t i = 0; i < findings->nr_low && i < LOW_MAPS_MAX; i++) {
		json_t *map = json_object();

		ADD_FIELDS(map, fields, &findings->low[i]);
		json_array_append_new(maps, map);
	}
	return maps;
}

static json_t *window_json(const struct window *window)
{
	static const struct field fields[] = {
		FIELD_OF(FIELD_HEX, "base", window, base),
		FIELD_OF(FIELD_HEX, "size", window, size),
		FIELD_OF(FIELD_HEX, "gpa", window, gpa),
	};
	json_t *object;

	if (!window->found)
		return json_null();
	object = json_object();
	ADD_FIELDS(object, fields, window);
	return object;
}

static json_t *looked_at_json(const struct findings *findings)
{
	static const struct field fields[] = {
		FIELD_AS("vcpus", findings, cpus),
		FIELD_AS("memory_bytes", findings, memory),
		FIELD(findings, levels),
		FIELD_OF(FIELD_BOOL, "isolated", findings, isolated),
		FIELD(findings, tables),
		FIELD_AS("executable_frames", findings, executable),
		FIELD_AS("low_map_roots", findings, nr_low),
		FIELD_OF(FIELD_REAL, "look_ms", findings, look_ms),
		FIELD_OF(FIELD_REAL, "paused_ms", findings, paused_ms),
		FIELD(findings, tracker_bytes),
	};
	static const struct field roots[] = {
		FIELD_OF(FIELD_NUMBER, "cr3", findings, roots[ROOT_CR3]),
		FIELD_OF(FIELD_NUMBER, "pair", findings, roots[ROOT_PAIR]),
		FIELD_OF(FIELD_NUMBER, "given", findings, roots[ROOT_GIVEN]),
		FIELD_OF(FIELD_NUMBER, "shared", findings, roots[ROOT_SHARED]),
	};
	json_t *object = json_object(), *by_kind = json_object(), *walked = json_array();

	object_add_text(object, "source", findings->source);
	ADD_FIELDS(object, fields, findings);
	ADD_FIELDS(by_kind, roots, findings);
	json_object_set_new(object, "roots", by_kind);
	for (unsigned level = 1; level <= findings->levels && level <= LEVELS_MAX; level++)
		json_array_append_new(walked, json_integer((json_int_t)findings->walked[level]));
	json_object_set_new(object, "tables_by_level", walked);
	json_object_set_new(object, "direct_map", window_json(&findings->windows.direct_map));
	json_object_set_new(object, "kernel_image", window_json(&findings->windows.image));
	json_object_set_new(object, "low_maps", low_maps_json(findings));
	return object;
}

static json_t *doubts_json(const struct notes *notes)
{
	json_t *doubts = json_array();

	for (size_t i = 0; i < notes->nr; i++) {
		json_t *text = json_string(notes->text[i]);

		json_array_append_new(doubts, text ? text : json_string("(not UTF-8)"));
	}
	if (notes->dropped)
		json_array_append_new(doubts, json_sprintf("and %zu more", notes->dropped));
	return doubts;
}

json_t *report_json(const struct findings *findings, const struct names *names)
{
	static const struct field frames[] = {
		FIELD_AS("table", findings, frames[FINDING_TABLE]),
		FIELD_AS("wx", findings, frames[FINDING_WX]),
		FIELD_AS("memtype", findings, frames[FINDING_MEMTYPE]),
	};
	json_t *report = json_object(), *counts = json_object(), *all = json_array();

	object_add_number(report, "schema", 1);
	json_object_set_new(report, "looked_at", looked_at_json(findings));
	ADD_FIELDS(counts, frames, findings);
	json_object_set_new(report, "counts", counts);
	for (size_t i = 0; i < findings->nr; i++)
		json_array_append_new(all, finding_json(&findings->all[i], names));
	json_object_set_new(report, "findings", all);
	json_object_set_new(report, "doubts", doubts_json(&findings->notes));
	return report;
}
