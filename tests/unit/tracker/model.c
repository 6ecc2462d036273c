/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <check.h>
#include <string.h>

/* Some in each half, the slots of a direct map, and neighbours. */
const uint16_t m_index[M_ENTRIES] = {0, 1, 2, 3, 7, 100, 255, 256, 273, 274, 275, 400, 510, 511};

enum { P = 1, RW = 2, US = 4, PWT = 8, PCD = 16, PS = 128 };

static uint64_t span(unsigned level)
{
	return level == 1 ? 1 : 512 * span(level - 1);
}

static uint64_t address_pfn(uint64_t pte)
{
	return pte >> 12 & ((1ull << 40) - 1);
}

static bool is_leaf(uint64_t pte, unsigned level)
{
	return (pte & P) && (level == 1 || (level < 4 && (pte & PS)));
}

static bool is_link(uint64_t pte, unsigned level)
{
	return (pte & P) && level > 1 && !(pte & PS);
}

/* The first frame of a leaf, without the PAT bit of large ones. */
static uint64_t leaf_first(uint64_t pte, unsigned level)
{
	return level == 1 ? address_pfn(pte) : address_pfn(pte) & ~1ull;
}

static bool is_reserved(uint64_t pte, unsigned level)
{
	if (!(pte & P) || level == 1 || !(pte & PS))
		return false;
	return level == 4 || leaf_first(pte, level) % span(level) != 0;
}

static unsigned leaf_type(uint64_t pte, unsigned level)
{
	return (pte & PWT ? 1 : 0) + (pte & PCD ? 2 : 0) +
	       (pte & (level == 1 ? 128 : 4096) ? 4 : 0);
}

bool model_has_memory(const struct model *m, uint64_t pfn)
{
	return pfn < m->frames && (pfn < m->hole_begin || pfn >= m->hole_end);
}

static uint64_t live_entry(const struct model *m, uint64_t pfn, unsigned entry)
{
	return m->live[pfn * 512 + m_index[entry]];
}

uint64_t model_entry(const struct model *m, uint64_t pfn, unsigned entry)
{
	int slot = m->in_pool[pfn];

	return slot < 0 ? 0 : m->seen[slot][entry];
}

static void follow(struct model *m, uint64_t pfn)
{
	int slot = m->in_pool[pfn];

	if (slot < 0 || m->followed[slot])
		return;
	m->followed[slot] = true;
	for (unsigned k = 0; k < M_ENTRIES; k++)
		m->seen[slot][k] = live_entry(m, pfn, k);
}

/* --- roles ------------------------------------------------------------------------------------ */

/* Where in the direct map an entry of a role begins: the frame it should map, or -1. */
static int64_t place_of(const struct model *m, const struct m_role *role, unsigned entry)
{
	uint64_t at;

	if (role->level == 4) {
		if (m_index[entry] < m->direct_slot ||
		    m_index[entry] >= m->direct_slot + m->direct_slots)
			return -1;
		at = (m_index[entry] - m->direct_slot) * span(4);
	} else {
		if (role->place < 0)
			return -1;
		at = role->place + m_index[entry] * span(role->level);
	}
	return at < m->frames ? (int64_t)at : -1;
}

static int32_t *role_slot(struct model *m, uint64_t pfn, unsigned level, int64_t place)
{
	return &m->role_of[level - 1][place < 0 ? 0 : 1 + place / 512][pfn];
}

static struct m_role *role_new(struct model *m, uint64_t pfn, unsigned level, int64_t place)
{
	struct m_role *role = &m->roles[m->nr_roles];

	if (m->nr_roles == M_ROLES_MAX)
		ck_abort_msg("more roles than the model has room for");
	*role = (struct m_role){.pfn = pfn, .level = level, .place = place};
	role->another = m->any_role[level - 1][pfn];
	m->any_role[level - 1][pfn] = ++m->nr_roles;
	follow(m, pfn);
	return role;
}

static void role_add(struct model *m, uint64_t pfn, unsigned level, int64_t place, bool writable)
{
	int32_t *slot = role_slot(m, pfn, level, place);

	if (!*slot) {
		role_new(m, pfn, level, place);
		*slot = m->nr_roles;
	}
	m->roles[*slot - 1].writable |= writable;
}

/* Roles are listed from the top level down, so when one has its turn all that lead to it had. */
static void list_roles(struct model *m)
{
	for (unsigned i = 0; i < m->nr_roles; i++) {
		m->any_role[m->roles[i].level - 1][m->roles[i].pfn] = 0;
		if (m->roles[i].level < 4)
			*role_slot(m, m->roles[i].pfn, m->roles[i].level, m->roles[i].place) = 0;
	}
	m->nr_roles = 0;
	for (unsigned i = 0; i < m->nr_roots; i++)
		role_new(m, m->roots[i], 4, -1)->writable = true;
	for (unsigned i = 0; i < m->nr_roles; i++) {
		const struct m_role role = m->roles[i];

		for (unsigned k = 0; k < M_ENTRIES; k++) {
			uint64_t pte = model_entry(m, role.pfn, k);

			if (is_link(pte, role.level) && model_has_memory(m, address_pfn(pte)))
				role_add(m, address_pfn(pte), role.level - 1, place_of(m, &role, k),
					 role.writable && (pte & RW));
		}
	}
}

static void unfollow(struct model *m)
{
	bool reached[M_POOL] = {false};

	for (unsigned i = 0; i < m->nr_roles; i++)
		if (m->in_pool[m->roles[i].pfn] >= 0)
			reached[m->in_pool[m->roles[i].pfn]] = true;
	memcpy(m->followed, reached, sizeof(reached));
}

/* --- leaves and violations -------------------------------------------------------------------- */

/* The next role of the same frame and level, or NULL. */
static const struct m_role *another(const struct model *m, const struct m_role *role)
{
	return role->another ? &m->roles[role->another - 1] : NULL;
}

static bool is_of_root(const struct model *m, const struct m_role *role)
{
	for (; role; role = another(m, role))
		if (role->of_root)
			return true;
	return false;
}

static void violation_add(struct model *m, enum at_violation_kind kind, uint64_t pfn,
			  const struct m_role *role, unsigned entry)
{
	if (m->nr_violations == M_VIOLATIONS_MAX)
		ck_abort_msg("more violations than the model has room for");
	m->violations[m->nr_violations++] = (struct m_violation){
		.kind = kind,
		.pfn = pfn,
		.table = role->pfn,
		.level = role->level,
		.entry = entry,
		.of_root = is_of_root(m, role),
	};
}

/* `role` is the first of those of its frame and level; the leaf counts by any of them. */
static void judge_leaf(struct model *m, const struct m_role *role, unsigned entry, uint64_t pte,
		       bool count)
{
	uint64_t first = leaf_first(pte, role->level);
	unsigned type = leaf_type(pte, role->level);
	bool alias = false, writable = false, told = false;

	for (const struct m_role *by = role; by; by = another(m, by))
		if (place_of(m, by, entry) != (int64_t)first) {
			alias = true;
			writable |= by->writable && (pte & RW);
		}
	if (!alias)
		return;
	for (uint64_t pfn = first; pfn < first + span(role->level) && pfn < m->frames; pfn++) {
		m->count[pfn] += count && writable;
		m->mapped[pfn] += count;
		m->of_type[pfn][type] += count;
		if (told)
			continue;
		told = true;
		if (m->pinned[pfn] && writable)
			violation_add(m, AT_V_WRITABLE, pfn, role, entry);
		else if (m->ballooned[pfn])
			violation_add(m, AT_V_BALLOONED, pfn, role, entry);
		else if (m->type[pfn] && m->type[pfn] != type)
			violation_add(m, AT_V_MEMTYPE, pfn, role, entry);
		else
			told = false;
	}
}

static void judge_all(struct model *m, bool count)
{
	m->nr_violations = 0;
	for (unsigned i = 0; i < m->nr_roles; i++) {
		const struct m_role *role = &m->roles[i];

		if (m->any_role[role->level - 1][role->pfn] != i + 1)
			continue;
		for (unsigned k = 0; k < M_ENTRIES; k++) {
			uint64_t pte = model_entry(m, role->pfn, k), pfn = address_pfn(pte);

			if (is_reserved(pte, role->level))
				violation_add(m, AT_V_BAD_TABLE, pfn, role, k);
			else if (is_leaf(pte, role->level))
				judge_leaf(m, role, k, pte, count);
			else if (is_link(pte, role->level) && !model_has_memory(m, pfn))
				violation_add(m, AT_V_BAD_TABLE, pfn, role, k);
			else if (is_link(pte, role->level) && m->pinned[pfn] != role->level - 1)
				violation_add(m, AT_V_UNPINNED, pfn, role, k);
		}
	}
}

void model_compute(struct model *m)
{
	list_roles(m);
	unfollow(m);
	memset(m->count, 0, sizeof(m->count));
	memset(m->mapped, 0, sizeof(m->mapped));
	memset(m->of_type, 0, sizeof(m->of_type));
	judge_all(m, true);
}

void model_read_all(struct model *m)
{
	memset(m->followed, 0, sizeof(m->followed));
	model_compute(m);
}

/* --- pins ------------------------------------------------------------------------------------- */

void model_pin(struct model *m, uint64_t pfn, unsigned level)
{
	m->pinned[pfn] = level;
	if (level == 4)
		m->roots[m->nr_roots++] = pfn;
}

void model_unpin(struct model *m, uint64_t pfn)
{
	for (unsigned i = 0; i < m->nr_roots; i++)
		if (m->roots[i] == pfn)
			m->roots[i] = m->roots[--m->nr_roots];
	m->pinned[pfn] = 0;
}

bool model_linked(const struct model *m, uint64_t pfn)
{
	for (unsigned i = 0; i < m->nr_roles; i++)
		if (m->roles[i].pfn == pfn && m->roles[i].level < 4)
			return true;
	return false;
}

bool model_followed(const struct model *m, uint64_t pfn)
{
	return m->pinned[pfn] == 4 || model_linked(m, pfn);
}

uint64_t model_in_the_way(const struct model *m, uint64_t pfn, struct at_transition to)
{
	switch (to.to) {
	case AT_TO_TABLE:
		return m->count[pfn];
	case AT_TO_MEMTYPE:
		return m->mapped[pfn] - (to.arg < 8 ? m->of_type[pfn][to.arg] : 0);
	default:
		return m->mapped[pfn];
	}
}

void model_mark_root(struct model *m, uint64_t root)
{
	for (unsigned i = 0; i < m->nr_roles; i++)
		m->roles[i].of_root = m->roles[i].level == 4 && m->roles[i].pfn == root;
	for (unsigned i = 0; i < m->nr_roles; i++) {
		const struct m_role *role = &m->roles[i];

		for (unsigned k = 0; k < M_ENTRIES && role->of_root; k++) {
			uint64_t pte = model_entry(m, role->pfn, k), pfn = address_pfn(pte);

			if (is_link(pte, role->level) && model_has_memory(m, pfn))
				m->roles[*role_slot(m, pfn, role->level - 1, place_of(m, role, k)) -
					 1]
					.of_root = true;
		}
	}
	judge_all(m, false);
}

/* --- ways ------------------------------------------------------------------------------------- */

static uint64_t entry_at(const struct model *m, uint64_t pfn, unsigned index)
{
	for (unsigned k = 0; k < M_ENTRIES; k++)
		if (m_index[k] == index)
			return model_entry(m, pfn, k);
	return 0;
}

static bool leads_from(const struct model *m, uint64_t root, uint64_t va, uint64_t table,
		       unsigned level, unsigned index, bool writable, const struct at_alias *rights)
{
	bool user = true, exec = true;
	uint64_t pfn = root;

	for (unsigned l = 4;; l--) {
		unsigned i = va >> (12 + 9 * (l - 1)) & 511;
		uint64_t pte = entry_at(m, pfn, i);

		user = user && (pte & US);
		exec = exec && !(pte >> 63);
		if (!(pte & P) || (writable && !(pte & RW)))
			return false;
		if (l == level)
			return pfn == table && i == index &&
			       (!rights || (rights->user == user && rights->exec == exec &&
					    rights->pte == pte));
		if (!is_link(pte, l) || !model_has_memory(m, address_pfn(pte)))
			return false;
		pfn = address_pfn(pte);
	}
}

bool model_leads(const struct model *m, uint64_t va, uint64_t table, unsigned level, unsigned index,
		 bool writable, const struct at_alias *rights)
{
	if ((va >> 47) != 0 && (va >> 47) != 0x1ffff)
		return false;
	for (unsigned i = 0; i < m->nr_roots; i++)
		if (leads_from(m, m->roots[i], va, table, level, index, writable, rights))
			return true;
	return false;
}

static uint64_t ways_below(const struct model *m, uint64_t table, unsigned level, int64_t place,
			   uint64_t pfn, struct at_transition to)
{
	const struct m_role role = {.pfn = table, .level = level, .place = place};
	uint64_t ways = 0;

	for (unsigned k = 0; k < M_ENTRIES; k++) {
		uint64_t pte = live_entry(m, table, k), below = address_pfn(pte);

		if (!(pte & P) || is_reserved(pte, level) || (to.to == AT_TO_TABLE && !(pte & RW)))
			continue;
		if (is_leaf(pte, level)) {
			uint64_t first = leaf_first(pte, level);

			ways += pfn >= first && pfn < first + span(level) &&
				place_of(m, &role, k) != (int64_t)first &&
				(to.to != AT_TO_MEMTYPE || leaf_type(pte, level) != to.arg);
		} else if (model_has_memory(m, below)) {
			ways += ways_below(m, below, level - 1, place_of(m, &role, k), pfn, to);
		}
	}
	return ways;
}

uint64_t model_ways(const struct model *m, uint64_t pfn, struct at_transition to)
{
	uint64_t ways = 0;

	for (unsigned i = 0; i < m->nr_roots; i++)
		ways += ways_below(m, m->roots[i], 4, -1, pfn, to);
	return ways;
}

void model_maybe(const struct model *m, bool live, bool *maybe, bool *maybe_all)
{
	for (unsigned slot = 0; slot < M_POOL; slot++) {
		for (unsigned k = 0; k < M_ENTRIES; k++) {
			uint64_t pte = live ? live_entry(m, m->pool[slot], k) : m->seen[slot][k];
			uint64_t first = address_pfn(pte), last = first;

			if (!(pte & P))
				continue;
			if ((pte & PS) && (first & ~1ull) % span(2) == 0)
				last = first + span(2);
			if ((pte & PS) && (first & ~1ull) % span(3) == 0)
				last = first + span(3);
			for (uint64_t pfn = first & ~1ull; pfn <= last && pfn < m->frames; pfn++) {
				maybe[pfn] |= !!(pte & RW);
				maybe_all[pfn] = true;
			}
		}
	}
}
