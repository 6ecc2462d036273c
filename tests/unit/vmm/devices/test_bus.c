/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include "devices/bus.h"
#include "suites.h"

/* A device that remembers the last access. */
struct dummy {
	uint64_t off, value;
	unsigned len, reads, writes, done;
};

static uint64_t dummy_read(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len)
{
	struct dummy *dummy = dev;

	(void)vcpu;
	dummy->off = off;
	dummy->len = len;
	dummy->reads++;
	return dummy->value;
}

static void dummy_write(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len, uint64_t value)
{
	struct dummy *dummy = dev;

	(void)vcpu;
	dummy->off = off;
	dummy->len = len;
	dummy->value = value;
	dummy->writes++;
}

static void dummy_written(void *dev)
{
	((struct dummy *)dev)->done++;
}

static const struct bus_ops ops = {
	.read = dummy_read, .write = dummy_write, .written = dummy_written};
static const struct bus_ops ops_plain = {.read = dummy_read, .write = dummy_write};

static int add(struct bus *bus, uint64_t base, uint64_t size, struct dummy *dev)
{
	struct bus_region region = {.base = base, .size = size, .ops = &ops, .dev = dev};

	return bus_add(bus, &region);
}

START_TEST(finds_the_device)
{
	struct dummy a = {.value = 1}, b = {.value = 2}, c = {.value = 3};
	struct bus bus = {0};
	uint64_t value;

	ck_assert_int_eq(add(&bus, 0x200, 0x10, &b), 0);
	ck_assert_int_eq(add(&bus, 0x100, 0x100, &a), 0);
	ck_assert_int_eq(add(&bus, 0x210, 8, &c), 0);
	ck_assert(bus_read(&bus, NULL, 0x1ff, 1, &value));
	ck_assert_uint_eq(value, 1);
	ck_assert_uint_eq(a.off, 0xff);
	ck_assert(bus_read(&bus, NULL, 0x200, 4, &value));
	ck_assert_uint_eq(value, 2);
	ck_assert_uint_eq(b.len, 4);
	ck_assert(bus_write(&bus, NULL, 0x210, 8, 77));
	ck_assert_uint_eq(c.value, 77);
	ck_assert_uint_eq(c.off, 0);
	bus_written(&bus, 0x210);
	ck_assert_uint_eq(c.done, 1);
	ck_assert_uint_eq(a.done + b.done, 0);
}
END_TEST

/* Unassigned I/O reads as all ones: outside, across an end, and with lengths that don't exist. */
START_TEST(unassigned_io)
{
	static const struct {
		uint64_t addr;
		unsigned len;
	} accesses[] = {{0xff, 1},  {0x108, 1},  {0x107, 2},      {0xff, 2},       {0x100, 3},
			{0x100, 0}, {0x100, 16}, {UINT64_MAX, 1}, {UINT64_MAX, 8}, {0, 8}};
	struct dummy dev = {.value = 5};
	struct bus bus = {0};
	uint64_t value = 0;

	ck_assert_int_eq(add(&bus, 0x100, 8, &dev), 0);
	for (unsigned i = 0; i < sizeof(accesses) / sizeof(accesses[0]); i++) {
		ck_assert(!bus_read(&bus, NULL, accesses[i].addr, accesses[i].len, &value));
		ck_assert_uint_eq(value, UINT64_MAX);
		ck_assert(!bus_write(&bus, NULL, accesses[i].addr, accesses[i].len, 1));
	}
	bus_written(&bus, 0x108);
	ck_assert_uint_eq(dev.reads + dev.writes + dev.done, 0);
}
END_TEST

START_TEST(overlaps)
{
	struct dummy dev = {0};
	struct bus bus = {0};

	ck_assert_int_eq(add(&bus, 0x100, 0x10, &dev), 0);
	ck_assert_int_eq(add(&bus, 0x100, 0x10, &dev), -EEXIST);
	ck_assert_int_eq(add(&bus, 0xff, 2, &dev), -EEXIST);
	ck_assert_int_eq(add(&bus, 0x10f, 1, &dev), -EEXIST);
	ck_assert_int_eq(add(&bus, 0, 0x1000, &dev), -EEXIST);
	ck_assert_int_eq(add(&bus, 0x104, 1, &dev), -EEXIST);
	ck_assert_int_eq(add(&bus, 0x200, 0, &dev), -EINVAL);
	ck_assert_int_eq(add(&bus, UINT64_MAX, 2, &dev), -EINVAL);
	ck_assert_int_eq(add(&bus, 0xff, 1, &dev), 0);
	ck_assert_int_eq(add(&bus, 0x110, 1, &dev), 0);
	ck_assert_int_eq(add(&bus, UINT64_MAX, 1, &dev), 0);
	ck_assert_uint_eq(bus.nr, 4);
}
END_TEST

START_TEST(full)
{
	struct dummy dev = {0};
	struct bus bus = {0};

	for (unsigned i = 0; i < BUS_MAX_REGIONS; i++)
		ck_assert_int_eq(add(&bus, i * 16, 16, &dev), 0);
	ck_assert_int_eq(add(&bus, 0x10000, 16, &dev), -ENOSPC);
}
END_TEST

START_TEST(end_is_optional)
{
	struct dummy dev = {0};
	struct bus bus = {0};
	struct bus_region region = {.base = 1, .size = 1, .ops = &ops_plain, .dev = &dev};

	ck_assert_int_eq(bus_add(&bus, &region), 0);
	bus_written(&bus, 1);
}
END_TEST

TCase *bus_tests(void)
{
	TCase *tc = tcase_create("bus");

	tcase_add_test(tc, finds_the_device);
	tcase_add_test(tc, unassigned_io);
	tcase_add_test(tc, overlaps);
	tcase_add_test(tc, full);
	tcase_add_test(tc, end_is_optional);
	return tc;
}
