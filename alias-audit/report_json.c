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
	json_t *object = json_object(), *levels, *mappings = json_array();

	object_add_text(object, "kind", finding_kind_word(finding->kind));
	object_add_hex(object, "pfn", finding->pfn);
	object_add_number(object, "frames", finding->frames);
	if (finding->kind == FINDING_TABLE) {
		levels = json_array();
		for (unsigned level = 1; level <= LEVELS_MAX; level++)
			if (finding->levels & 1u << level)
				json_array_append_new(levels, json_integer(level));
		json_object_set_new(object, "levels", levels);
	}
	object_add_number(object, "mappings", finding->nr);
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
	json_t *object;

	if (!window->found)
		return json_null();
	object = json_object();
	object_add_hex(object, "base", window->base);
	object_add_hex(object, "size", window->size);
	object_add_hex(object, "gpa", window->gpa);
	return object;
}

static json_t *looked_at_json(const struct findings *findings)
{
	static const struct field roots[] = {
		FIELD_OF(FIELD_NUMBER, "cr3", findings, roots[ROOT_CR3]),
		FIELD_OF(FIELD_NUMBER, "pair", findings, roots[ROOT_PAIR]),
		FIELD_OF(FIELD_NUMBER, "given", findings, roots[ROOT_GIVEN]),
		FIELD_OF(FIELD_NUMBER, "shared", findings, roots[ROOT_SHARED]),
	};
	json_t *object = json_object(), *by_origin = json_object(), *walked = json_array();

	object_add_text(object, "source", findings->source);
	object_add_number(object, "vcpus", findings->cpus);
	object_add_number(object, "memory_bytes", findings->memory);
	object_add_number(object, "levels", findings->levels);
	json_object_set_new(object, "isolated", json_boolean(findings->isolated));
	ADD_FIELDS(by_origin, roots, findings);
	json_object_set_new(object, "roots", by_origin);
	object_add_number(object, "tables", findings->tables);
	for (unsigned level = 1; level <= findings->levels && level <= LEVELS_MAX; level++)
		json_array_append_new(walked, json_integer((json_int_t)findings->walked[level]));
	json_object_set_new(object, "tables_by_level", walked);
	object_add_number(object, "executable_frames", findings->executable);
	json_object_set_new(object, "direct_map", window_json(&findings->windows.direct_map));
	json_object_set_new(object, "kernel_image", window_json(&findings->windows.image));
	object_add_number(object, "low_map_roots", findings->nr_low);
	json_object_set_new(object, "low_maps", low_maps_json(findings));
	json_object_set_new(object, "look_ms", json_real(findings->look_ms));
	json_object_set_new(object, "paused_ms", json_real(findings->paused_ms));
	object_add_number(object, "tracker_bytes", findings->tracker_bytes);
	return object;
}

json_t *report_json(const struct findings *findings, const struct names *names)
{
	json_t *report = json_object(), *counts = json_object(), *all = json_array();
	json_t *doubts = json_array();

	object_add_number(report, "schema", 1);
	json_object_set_new(report, "looked_at", looked_at_json(findings));
	for (unsigned kind = 0; kind < FINDING_KINDS; kind++)
		object_add_number(counts, finding_kind_word(kind), findings->frames[kind]);
	json_object_set_new(report, "counts", counts);
	for (size_t i = 0; i < findings->nr; i++)
		json_array_append_new(all, finding_json(&findings->all[i], names));
	json_object_set_new(report, "findings", all);
	for (size_t i = 0; i < findings->notes.nr; i++)
		json_array_append_new(doubts, json_string(findings->notes.text[i]));
	json_object_set_new(report, "doubts", doubts);
	return report;
}
