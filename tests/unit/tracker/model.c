/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <check.h>
#include <string.h>

/* Some in each half, the slots of a direct map, and neighbours. */
const uint16_t m_index[M_ENTRIES] = {0, 1, 2, 3, 7, 100, 255, 256, 273, 274, 275, 400, 510, 511};

enum { P = 1, RW = 2, US = 4, PWT = 8, PCD = 16, PS = 128 };

static uint64_t span(unsigned level)
{
	return 1ull << 9 * (level - 1);
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
	return level >= 4 || (leaf_first(pte, level) & (span(level) - 1));
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

/* Values that a table was last seen with; of a frame that isn't of the pool all are 0. */
static const uint64_t *seen_entries(const struct model *m, uint64_t pfn)
{
	static const uint64_t none[M_ENTRIES];
	int slot = m->in_pool[pfn];

	return slot < 0 ? none : m->seen[slot];
}

uint64_t model_entry(const struct model *m, uint64_t pfn, unsigned entry)
{
	return seen_entries(m, pfn)[entry];
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

/* --- counts ----------------------------------------------------------------------------------- */

unsigned model_count(const struct model *m, uint64_t pfn)
{
	return m_writable(&m->count, pfn);
}

unsigned model_mapped(const struct model *m, uint64_t pfn)
{
	m_types of_type = m_of_type(&m->count, pfn);
	unsigned sum = 0;

	for (unsigned type = 0; type < 8; type++)
		sum += of_type[type];
	return sum;
}

static void leaf_count(struct model *m, uint64_t first, unsigned level, unsigned type,
		       bool writable)
{
	m->count.writable[level - 1][m_unit(first, level)] += writable;
	m->count.of_type[level - 1][m_unit(first, level)][type]++;
}

/* --- windows ---------------------------------------------------------------------------------- */

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return b - a < a_size || a - b < b_size;
}

void model_add_window(struct model *m, uint64_t base, uint64_t size, uint64_t first)
{
	uint64_t there = first < m->frames ? (m->frames - first) * 4096 : 0;

	if (size > there)
		size = there;
	if (size)
		m->windows[m->nr_windows++] = (struct m_window){base, size, first};
}

static bool touches_window(const struct model *m, uint64_t va, uint64_t size)
{
	for (unsigned i = 0; i < m->nr_windows; i++)
		if (overlap(m->windows[i].base, m->windows[i].size, va, size))
			return true;
	return false;
}

/* The frame that belongs at that address, or -1. */
static int64_t belongs(const struct model *m, uint64_t va)
{
	for (unsigned i = 0; i < m->nr_windows; i++)
		if (va - m->windows[i].base < m->windows[i].size)
			return m->windows[i].first + (va - m->windows[i].base) / 4096;
	return -1;
}

static uint64_t entry_va(const struct model *m, uint64_t va, unsigned level, unsigned entry)
{
	uint64_t half = span(m->levels) * 4096 * 256;

	va += m_index[entry] * span(level) * 4096;
	return level == m->levels && va >= half ? va - 2 * half : va;
}

/* Is it known where an entry of the role begins, or does it not matter? */
static bool has_place(const struct model *m, const struct m_role *role)
{
	return role->level == m->levels || role->place;
}

static int64_t entry_belongs(const struct model *m, const struct m_role *role, unsigned entry)
{
	return has_place(m, role) ? belongs(m, entry_va(m, role->va, role->level, entry)) : -1;
}

/* The place of what an entry links to; *va is its address if it has one. */
static unsigned child_place(struct model *m, const struct m_role *role, unsigned entry,
			    uint64_t *va)
{
	*va = entry_va(m, role->va, role->level, entry);
	if (!has_place(m, role) || !touches_window(m, *va, span(role->level) * 4096))
		return 0;
	for (unsigned i = 1; i <= m->nr_places; i++)
		if (m->place_va[i] == *va)
			return i;
	if (m->nr_places + 1 == M_PLACES)
		ck_abort_msg("more places than the model has room for");
	m->place_va[++m->nr_places] = *va;
	return m->nr_places;
}

/* --- listing roles ------------------------------------------------------------------------- */

static struct m_role *role_new(struct model *m, uint64_t pfn, unsigned level)
{
	struct m_role *role = &m->roles[m->nr_roles];

	if (m->nr_roles == M_ROLES_MAX)
		ck_abort_msg("more roles than the model has room for");
	*role = (struct m_role){.pfn = pfn, .level = level};
	role->another = m->any_role[level - 1][pfn];
	m->any_role[level - 1][pfn] = ++m->nr_roles;
	follow(m, pfn);
	return role;
}

/* What the parent's entry links to: the same role for all links that reach it in one place. */
static void role_add(struct model *m, const struct m_role *parent, unsigned entry, uint64_t pte)
{
	uint64_t pfn = address_pfn(pte), va;
	unsigned level = parent->level - 1, place = child_place(m, parent, entry, &va);
	int32_t *slot = &m->role_of[level - 1][place][pfn];

	if (!*slot) {
		struct m_role *role = role_new(m, pfn, level);

		role->place = place;
		role->va = va;
		*slot = m->nr_roles;
	}
	m->roles[*slot - 1].writable |= parent->writable && (pte & RW);
	m->roles[*slot - 1].judged |= parent->judged;
}

static void root_new(struct model *m, uint64_t pfn, bool judged)
{
	struct m_role *role = role_new(m, pfn, m->levels);

	role->writable = true;
	role->judged = judged;
}

/* Roles are listed from the top level down, so when one has its turn all that lead to it had. */
static void list_roles(struct model *m)
{
	for (unsigned i = 0; i < m->nr_roles; i++) {
		m->any_role[m->roles[i].level - 1][m->roles[i].pfn] = 0;
		if (m->roles[i].level < m->levels)
			m->role_of[m->roles[i].level - 1][m->roles[i].place][m->roles[i].pfn] = 0;
	}
	m->nr_roles = 0;
	for (unsigned i = 0; i < m->nr_roots; i++)
		root_new(m, m->roots[i], true);
	for (unsigned i = 0; i < m->nr_follows; i++)
		if (m->pinned[m->follows[i]] != m->levels)
			root_new(m, m->follows[i], false);
	for (unsigned i = 0; i < m->nr_roles; i++) {
		const struct m_role role = m->roles[i];
		const uint64_t *entries = seen_entries(m, role.pfn);

		for (unsigned k = 0; k < M_ENTRIES; k++) {
			uint64_t pte = entries[k];

			if (is_link(pte, role.level) && model_has_memory(m, address_pfn(pte)))
				role_add(m, &role, k, pte);
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

static bool is_judged(const struct model *m, const struct m_role *role)
{
	for (; role; role = another(m, role))
		if (role->judged)
			return true;
	return false;
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

static void find_ruled(struct model *m)
{
	unsigned next = m->frames;

	m->next_ruled[m->frames] = next;
	for (unsigned pfn = m->frames; pfn-- > 0;) {
		if (m->pinned[pfn] || m->ballooned[pfn] || m->type[pfn])
			next = pfn;
		m->next_ruled[pfn] = next;
	}
}

/* Is the frame one that such a leaf must not map? */
static bool is_forbidden(const struct model *m, uint64_t pfn, bool writable, unsigned type,
			 enum at_violation_kind *kind)
{
	if (m->pinned[pfn] && writable)
		*kind = AT_V_WRITABLE;
	else if (m->ballooned[pfn])
		*kind = AT_V_BALLOONED;
	else if (m->type[pfn] && m->type[pfn] != type)
		*kind = AT_V_MEMTYPE;
	else
		return false;
	return true;
}

/* `role` is the first of those of its frame and level; the leaf counts by any of them. Of the
 * frames that it must not map, the first is told. */
static void judge_leaf(struct model *m, const struct m_role *role, unsigned entry, uint64_t pte,
		       bool count)
{
	uint64_t first = leaf_first(pte, role->level), end = first + span(role->level);
	unsigned type = leaf_type(pte, role->level);
	bool alias = false, writable = false;
	enum at_violation_kind kind;

	for (const struct m_role *by = role; by; by = another(m, by))
		if (entry_belongs(m, by, entry) != (int64_t)first) {
			alias = true;
			writable |= by->writable && (pte & RW);
		}
	if (!alias || first >= m->frames)
		return;
	if (count)
		leaf_count(m, first, role->level, type, writable);
	for (uint64_t pfn = m->next_ruled[first]; pfn < end && pfn < m->frames;
	     pfn = m->next_ruled[pfn + 1]) {
		if (is_forbidden(m, pfn, writable, type, &kind)) {
			violation_add(m, kind, pfn, role, entry);
			break;
		}
	}
}

static void judge_link(struct model *m, const struct m_role *role, unsigned entry, uint64_t pte)
{
	uint64_t pfn = address_pfn(pte);

	if (!is_judged(m, role))
		return;
	if (is_reserved(pte, role->level))
		violation_add(m, AT_V_BAD_TABLE, pfn, role, entry);
	else if (is_link(pte, role->level) && !model_has_memory(m, pfn))
		violation_add(m, AT_V_BAD_TABLE, pfn, role, entry);
	else if (is_link(pte, role->level) && m->pinned[pfn] != role->level - 1)
		violation_add(m, AT_V_UNPINNED, pfn, role, entry);
}

static void judge_all(struct model *m, bool count)
{
	m->nr_violations = 0;
	find_ruled(m);
	for (unsigned i = 0; i < m->nr_roles; i++) {
		const struct m_role *role = &m->roles[i];
		const uint64_t *entries = seen_entries(m, role->pfn);

		if (m->any_role[role->level - 1][role->pfn] != i + 1)
			continue;
		for (unsigned k = 0; k < M_ENTRIES; k++) {
			uint64_t pte = entries[k];

			if (!(pte & P))
				continue;
			if (is_leaf(pte, role->level) && !is_reserved(pte, role->level))
				judge_leaf(m, role, k, pte, count);
			else
				judge_link(m, role, k, pte);
		}
	}
}

static void count_clear(struct m_count *count, unsigned level, uint64_t units)
{
	memset(count->of_type[level - 1], 0, units * sizeof(m_types));
	memset(count->writable[level - 1], 0, units * sizeof(uint16_t));
}

void model_compute(struct model *m)
{
	list_roles(m);
	unfollow(m);
	for (unsigned level = 1; level <= M_LEAF_LEVELS; level++)
		count_clear(&m->count, level, m_nr_units(m, level));
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
	if (level == m->levels)
		m->roots[m->nr_roots++] = pfn;
}

void model_unpin(struct model *m, uint64_t pfn)
{
	for (unsigned i = 0; i < m->nr_roots; i++)
		if (m->roots[i] == pfn)
			m->roots[i] = m->roots[--m->nr_roots];
	m->pinned[pfn] = 0;
}

void model_follow(struct model *m, uint64_t pfn)
{
	m->follows[m->nr_follows++] = pfn;
}

void model_unfollow(struct model *m, uint64_t pfn)
{
	for (unsigned i = 0; i < m->nr_follows; i++)
		if (m->follows[i] == pfn)
			m->follows[i] = m->follows[--m->nr_follows];
}

bool model_is_followed(const struct model *m, uint64_t pfn)
{
	for (unsigned i = 0; i < m->nr_follows; i++)
		if (m->follows[i] == pfn)
			return true;
	return false;
}

bool model_linked(const struct model *m, uint64_t pfn)
{
	for (unsigned level = 1; level < m->levels; level++)
		if (m->any_role[level - 1][pfn])
			return true;
	return false;
}

bool model_followed(const struct model *m, uint64_t pfn)
{
	return m->pinned[pfn] == m->levels || model_is_followed(m, pfn) || model_linked(m, pfn);
}

uint64_t model_in_the_way(const struct model *m, uint64_t pfn, struct at_transition to)
{
	switch (to.to) {
	case AT_TO_TABLE:
		return model_count(m, pfn);
	case AT_TO_MEMTYPE:
		return model_mapped(m, pfn) - (to.arg < 8 ? m_of_type(&m->count, pfn)[to.arg] : 0);
	default:
		return model_mapped(m, pfn);
	}
}

void model_mark_root(struct model *m, uint64_t root)
{
	for (unsigned i = 0; i < m->nr_roles; i++)
		m->roles[i].of_root = m->roles[i].level == m->levels && m->roles[i].pfn == root;
	for (unsigned i = 0; i < m->nr_roles; i++) {
		const struct m_role *role = &m->roles[i];

		for (unsigned k = 0; k < M_ENTRIES && role->of_root; k++) {
			uint64_t pte = model_entry(m, role->pfn, k), pfn = address_pfn(pte), va;

			if (is_link(pte, role->level) && model_has_memory(m, pfn))
				m->roles[m->role_of[role->level - 2][child_place(m, role, k, &va)]
						   [pfn] -
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

	for (unsigned l = m->levels;; l--) {
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
	uint64_t high = va >> (m->levels == 5 ? 56 : 47);

	if (high != 0 && high != (m->levels == 5 ? 0xff : 0x1ffff))
		return false;
	for (unsigned i = 0; i < m->nr_roots; i++)
		if (leads_from(m, m->roots[i], va, table, level, index, writable, rights))
			return true;
	for (unsigned i = 0; i < m->nr_follows; i++)
		if (leads_from(m, m->follows[i], va, table, level, index, writable, rights))
			return true;
	return false;
}

/* A way down, and what it allows. */
struct way {
	uint64_t va;
	unsigned level;
	bool writable, user, exec;
};

struct ways {
	const struct model *m;
	uint64_t pfn;
	uint16_t leads[5][M_POOL]; /* by level: bit k: entry k maps pfn, or some way down does */
	struct at_transition to;   /* found: ways that are in the way of it */
	uint64_t found;
	struct at_uses uses;
	bool exec[2], write[2], exempt_write[2]; /* of the kernel, of users */
};

static bool entry_leads(const struct ways *ways, uint64_t pte, unsigned level)
{
	uint64_t to = address_pfn(pte), first = leaf_first(pte, level);

	if (!(pte & P) || is_reserved(pte, level))
		return false;
	if (is_leaf(pte, level))
		return ways->pfn >= first && ways->pfn < first + span(level);
	return model_has_memory(ways->m, to) && ways->m->in_pool[to] >= 0 &&
	       ways->leads[level - 2][ways->m->in_pool[to]];
}

/* Whatever the frames are walked as, from the bottom up. */
static void ways_find(struct ways *ways)
{
	for (unsigned level = 1; level <= ways->m->levels; level++)
		for (unsigned slot = 0; slot < M_POOL; slot++)
			for (unsigned k = 0; k < M_ENTRIES; k++)
				if (entry_leads(ways, live_entry(ways->m, ways->m->pool[slot], k),
						level))
					ways->leads[level - 1][slot] |= 1u << k;
}

static void way_leaf(struct ways *ways, const struct way *way, uint64_t pte)
{
	uint64_t first = leaf_first(pte, way->level);
	bool exempt = belongs(ways->m, way->va) == (int64_t)first;
	unsigned type = leaf_type(pte, way->level);

	ways->uses.memtypes |= 1 << type;
	ways->uses.writable |= way->writable && !exempt;
	ways->uses.exempt_writable |= way->writable && exempt;
	ways->uses.user_exec |= way->exec && way->user;
	ways->uses.kernel_exec |= way->exec && !way->user;
	ways->exec[way->user] |= way->exec;
	ways->write[way->user] |= way->writable && !exempt;
	ways->exempt_write[way->user] |= way->writable && exempt;
	if (ways->to.to == AT_TO_TABLE && !way->writable)
		return;
	ways->found += !exempt && (ways->to.to != AT_TO_MEMTYPE || type != ways->to.arg);
}

/* Frames that aren't of the pool have no entry that is present. */
static void ways_below(struct ways *ways, uint64_t table, const struct way *to)
{
	int slot = ways->m->in_pool[table];
	unsigned leads = slot < 0 ? 0 : ways->leads[to->level - 1][slot];

	for (unsigned k = 0; k < M_ENTRIES; k++) {
		if (!(leads >> k & 1))
			continue;
		uint64_t pte = live_entry(ways->m, table, k), below = address_pfn(pte);
		struct way way = {
			.va = entry_va(ways->m, to->va, to->level, k),
			.level = to->level,
			.writable = to->writable && (pte & RW),
			.user = to->user && (pte & US),
			.exec = to->exec && !(pte >> 63),
		};

		if (is_leaf(pte, to->level)) {
			way_leaf(ways, &way, pte);
		} else {
			way.level--;
			ways_below(ways, below, &way);
		}
	}
}

static struct ways ways_of(const struct model *m, uint64_t pfn, struct at_transition to)
{
	struct ways ways = {.m = m, .pfn = pfn, .to = to};
	struct way root = {0, m->levels, true, true, true};

	ways_find(&ways);
	for (unsigned i = 0; i < m->nr_roots; i++)
		ways_below(&ways, m->roots[i], &root);
	for (unsigned i = 0; i < m->nr_follows; i++)
		if (m->pinned[m->follows[i]] != m->levels)
			ways_below(&ways, m->follows[i], &root);
	ways.uses.exempt_writable = ways.uses.exempt_writable && !ways.uses.writable;
	return ways;
}

uint64_t model_ways(const struct model *m, uint64_t pfn, struct at_transition to)
{
	return ways_of(m, pfn, to).found;
}

bool model_has_pair(const struct model *m, uint64_t pfn)
{
	struct ways ways = ways_of(m, pfn, (struct at_transition){.to = AT_TO_TABLE});

	if (!ways.uses.writable)
		return ways.exec[0] && ways.exempt_write[0];
	return (ways.exec[0] && ways.write[0]) || (ways.exec[1] && ways.write[1]);
}

struct at_uses model_uses(const struct model *m, uint64_t pfn)
{
	return ways_of(m, pfn, (struct at_transition){.to = AT_TO_TABLE}).uses;
}

static void maybe_add(const struct model *m, struct m_maybe *maybe, uint64_t first, unsigned level,
		      unsigned bits)
{
	if (first < m->frames)
		maybe->bits[level - 1][m_unit(first, level)] |= bits;
}

/* An odd address may be that of the frame before, with the PAT bit of a large leaf. */
void model_maybe(const struct model *m, bool live, struct m_maybe *maybe)
{
	for (unsigned slot = 0; slot < M_POOL; slot++) {
		for (unsigned k = 0; k < M_ENTRIES; k++) {
			uint64_t pte = live ? live_entry(m, m->pool[slot], k) : m->seen[slot][k];
			uint64_t pfn = address_pfn(pte), first = pfn & ~1ull;
			unsigned bits = M_MAPPED | (pte & RW ? M_WRITABLE : 0);

			if (!(pte & P))
				continue;
			maybe_add(m, maybe, pfn, 1, bits);
			for (unsigned level = 2; level <= M_LEAF_LEVELS; level++)
				if ((pte & PS) && !(first & (span(level) - 1)))
					maybe_add(m, maybe, first, level, bits);
		}
	}
}
