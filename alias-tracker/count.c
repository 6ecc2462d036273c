/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "internal.h"

bool count_init(struct count *count, uint64_t units, uint64_t seed)
{
	count->bits = calloc((units + 63) / 64, sizeof(*count->bits));
	count->units = count->bits ? units : 0;
	map_init(&count->spill, seed);
	return count->bits != NULL;
}

void count_free(struct count *count)
{
	map_clear(&count->spill);
	free(count->bits);
	*count = (struct count){0};
}

bool count_add(struct count *count, uint64_t unit)
{
	if (unit >= count->units)
		return true;
	if (count_any(count, unit)) {
		struct map_slot *spilled = map_find(&count->spill, unit);

		if (!spilled)
			return map_put(&count->spill, unit, 2);
		spilled->value++;
		return true;
	}
	count->bits[unit / 64] |= 1ull << unit % 64;
	return true;
}

bool count_drop(struct count *count, uint64_t unit)
{
	if (unit >= count->units)
		return false;
	struct map_slot *spilled = map_find(&count->spill, unit);

	if (!spilled) {
		count->bits[unit / 64] &= ~(1ull << unit % 64);
		return true;
	}
	if (spilled->value == 2)
		map_delete(&count->spill, unit);
	else
		spilled->value--;
	return false;
}

uint64_t count_of(const struct count *count, uint64_t unit)
{
	if (!count_any(count, unit))
		return 0;
	uint64_t n = map_get(&count->spill, unit);

	return n ? n : 1;
}

size_t count_bytes(const struct count *count)
{
	return (count->units + 63) / 64 * sizeof(*count->bits) + map_bytes(&count->spill);
}
