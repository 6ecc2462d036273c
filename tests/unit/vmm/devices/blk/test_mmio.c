/* SPDX-License-Identifier: MIT */
/* The transport's registers and its status machine, before a device that only takes notes. */
#include <string.h>
#include <linux/virtio_ids.h>
#include "registers.h"
#include "suites.h"
#include "devices/virtio_mmio.h"

#define FEATURES (1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_RING_F_INDIRECT_DESC)

static struct {
	unsigned starts, stops, notifies, edges;
	struct virtqueue_layout layout;
	uint64_t features;
	bool refuse;
} seen;

static struct virtio_mmio mmio;
static struct bus bus;
static const struct virtqueue_layout layout = {
	.num = 64, .desc = 0x123456789000, .avail = 0x2000, .used = 0xabc00003000};
static const struct virtio_blk_config config = {.capacity = 0x1122334455667788, .blk_size = 512};

static bool start(void *dev, unsigned queue, const struct virtqueue_layout *where,
		  uint64_t features)
{
	ck_assert_uint_eq(queue, 0);
	seen.starts++;
	seen.layout = *where;
	seen.features = features;
	if (seen.refuse)
		virtio_mmio_needs_reset(dev);
	return !seen.refuse;
}

static void stop(void *dev, unsigned queue)
{
	(void)dev, (void)queue;
	seen.stops++;
}

static void notify(void *dev, unsigned queue)
{
	(void)dev, (void)queue;
	seen.notifies++;
}

static void raise_edge(void *dev)
{
	(void)dev;
	seen.edges++;
}

static const struct virtio_mmio_ops ops = {
	.start = start,
	.stop = stop,
	.notify = notify,
	.raise = raise_edge,
};

static void setup(void)
{
	struct bus_region region = {.base = MMIO_BASE,
				    .size = VIRTIO_MMIO_REGION_SIZE,
				    .ops = &virtio_mmio_bus_ops,
				    .dev = &mmio};
	const struct virtio_mmio_device device = {.id = VIRTIO_ID_BLOCK,
						  .nr_queues = 1,
						  .features = FEATURES,
						  .config = &config,
						  .config_size = sizeof(config)};

	memset(&seen, 0, sizeof(seen));
	bus = (struct bus){0};
	virtio_mmio_init(&mmio, &ops, &mmio, &device);
	ck_assert_int_eq(bus_add(&bus, &region), 0);
}

static void teardown(void)
{
	virtio_mmio_destroy(&mmio);
}

START_TEST(it_says_what_it_is)
{
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_VERSION), 2);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_DEVICE_ID), 2);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_CONFIG_GENERATION), 0);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_QUEUE_NUM_MAX), 256);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_SHM_LEN_LOW), UINT32_MAX);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_STATUS), 0);
	ck_assert(reg_read_features(&bus) == (FEATURES | VERSION_1));
	reg_write(&bus, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	reg_write(&bus, VIRTIO_MMIO_DEVICE_FEATURES_SEL, UINT32_MAX);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_DEVICE_FEATURES), 0);
}
END_TEST

START_TEST(bring_up)
{
	uint32_t status = reg_bring_up(&bus, FEATURES | VERSION_1, &layout);

	ck_assert_uint_eq(status, ACK | DRIVER | FEAT_OK | DRIVER_OK);
	ck_assert_uint_eq(seen.starts, 1);
	ck_assert_uint_eq(seen.layout.num, layout.num);
	ck_assert(seen.layout.desc == layout.desc);
	ck_assert(seen.layout.avail == layout.avail);
	ck_assert(seen.layout.used == layout.used);
	ck_assert(seen.features == (FEATURES | VERSION_1));
	ck_assert_uint_eq(seen.edges, 0);
	reg_write(&bus, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	reg_write(&bus, VIRTIO_MMIO_QUEUE_NOTIFY, 1);
	ck_assert_uint_eq(seen.notifies, 1);
}
END_TEST

START_TEST(features_that_are_not_accepted)
{
	static const uint64_t bad[] = {0, FEATURES, VERSION_1 | 1ull << VIRTIO_BLK_F_RO,
				       VERSION_1 | 1ull << 63};
	uint32_t status = reg_bring_up(&bus, bad[_i], &layout);

	/* A driver that goes on all the same gets nowhere. */
	ck_assert_uint_eq(status, ACK | DRIVER);
	ck_assert_uint_eq(seen.starts, 0);
}
END_TEST

START_TEST(features_are_settled_by_features_ok)
{
	reg_write(&bus, VIRTIO_MMIO_STATUS, ACK | DRIVER);
	reg_write_features(&bus, VERSION_1);
	/* There are no such bits. */
	reg_write(&bus, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 2);
	reg_write(&bus, VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
	reg_write(&bus, VIRTIO_MMIO_STATUS, ACK | DRIVER | FEAT_OK);
	reg_write_features(&bus, UINT64_MAX);
	reg_write_layout(&bus, 0, &layout);
	reg_write(&bus, VIRTIO_MMIO_QUEUE_READY, 1);
	reg_write(&bus, VIRTIO_MMIO_STATUS, ACK | DRIVER | FEAT_OK | DRIVER_OK);
	ck_assert(seen.features == VERSION_1);
}
END_TEST

START_TEST(status_bits_only_go_by_reset)
{
	reg_bring_up(&bus, VERSION_1, &layout);
	reg_write(&bus, VIRTIO_MMIO_STATUS, ACK);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_STATUS), ACK | DRIVER | FEAT_OK | DRIVER_OK);
	/* A driver cannot say that the device needs a reset, nor set bits that mean nothing. */
	reg_write(&bus, VIRTIO_MMIO_STATUS, 0xffffff00 | BROKEN);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_STATUS), ACK | DRIVER | FEAT_OK | DRIVER_OK);
	ck_assert_uint_eq(seen.starts, 1);
	ck_assert_uint_eq(seen.stops, 0);
}
END_TEST

START_TEST(reset_forgets_everything)
{
	reg_bring_up(&bus, FEATURES | VERSION_1, &layout);
	virtio_mmio_used(&mmio);
	reg_write(&bus, VIRTIO_MMIO_STATUS, 0);
	ck_assert_uint_eq(seen.stops, 1);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_STATUS), 0);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_QUEUE_READY), 0);
	reg_write(&bus, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	ck_assert_uint_eq(seen.notifies, 0);
	/* The old features and the old queue are no help to a driver that skips a step. */
	reg_write(&bus, VIRTIO_MMIO_STATUS, ACK | DRIVER | FEAT_OK | DRIVER_OK);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_STATUS), ACK | DRIVER);
	reg_write(&bus, VIRTIO_MMIO_STATUS, 0);
	ck_assert_uint_eq(seen.stops, 1);
	ck_assert_uint_eq(reg_bring_up(&bus, VERSION_1, &layout),
			  ACK | DRIVER | FEAT_OK | DRIVER_OK);
	ck_assert_uint_eq(seen.starts, 2);
}
END_TEST

START_TEST(the_queue_is_settled_while_ready)
{
	static const struct virtqueue_layout other = {.num = 4, .desc = 0x7000};

	reg_bring_up(&bus, VERSION_1, &layout);
	reg_write_layout(&bus, 0, &other);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_QUEUE_READY), 1);
	/* Taking it back stops the device; giving it again starts it with what is there then. */
	reg_write(&bus, VIRTIO_MMIO_QUEUE_READY, 0);
	ck_assert_uint_eq(seen.stops, 1);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_QUEUE_READY), 0);
	reg_write(&bus, VIRTIO_MMIO_QUEUE_READY, 1);
	ck_assert_uint_eq(seen.starts, 2);
	ck_assert_uint_eq(seen.layout.num, layout.num);
}
END_TEST

START_TEST(there_is_one_queue)
{
	reg_write(&bus, VIRTIO_MMIO_QUEUE_SEL, 1);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	reg_write(&bus, VIRTIO_MMIO_QUEUE_READY, 1);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_QUEUE_READY), 0);
	reg_write(&bus, VIRTIO_MMIO_QUEUE_SEL, 0);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_QUEUE_READY), 0);
}
END_TEST

/* InterruptStatus collects what edges stand for, and is cleared by what is acknowledged only. */
START_TEST(interrupts)
{
	reg_bring_up(&bus, VERSION_1, &layout);
	virtio_mmio_used(&mmio);
	virtio_mmio_used(&mmio);
	ck_assert_uint_eq(seen.edges, 2);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
	virtio_mmio_needs_reset(&mmio);
	ck_assert_uint_eq(seen.edges, 3);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_STATUS),
			  ACK | DRIVER | FEAT_OK | DRIVER_OK | BROKEN);
	reg_write(&bus, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	reg_write(&bus, VIRTIO_MMIO_INTERRUPT_ACK, UINT32_MAX);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}
END_TEST

START_TEST(a_queue_that_can_not_be_served)
{
	seen.refuse = true;
	ck_assert_uint_eq(reg_bring_up(&bus, VERSION_1, &layout),
			  ACK | DRIVER | FEAT_OK | DRIVER_OK | BROKEN);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	ck_assert_uint_eq(seen.edges, 1);
	/* It isn't tried again before a reset. */
	reg_write(&bus, VIRTIO_MMIO_QUEUE_READY, 0);
	reg_write(&bus, VIRTIO_MMIO_QUEUE_READY, 1);
	reg_write(&bus, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	ck_assert_uint_eq(seen.starts, 1);
	ck_assert_uint_eq(seen.stops, 0);
	ck_assert_uint_eq(seen.notifies, 0);
	seen.refuse = false;
	ck_assert_uint_eq(reg_bring_up(&bus, VERSION_1, &layout),
			  ACK | DRIVER | FEAT_OK | DRIVER_OK);
}
END_TEST

START_TEST(configuration_is_read_in_any_width)
{
	uint64_t value;

	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_CONFIG), 0x55667788);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_CONFIG + 4), 0x11223344);
	bus_read(&bus, NULL, MMIO_BASE + VIRTIO_MMIO_CONFIG + 1, 1, &value);
	ck_assert_uint_eq(value, 0x77);
	bus_read(&bus, NULL, MMIO_BASE + VIRTIO_MMIO_CONFIG, 8, &value);
	ck_assert(value == config.capacity);
	/* Behind its end, and across it, there are zeroes. */
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_CONFIG + 0x80), 0);
	bus_read(&bus, NULL, MMIO_BASE + VIRTIO_MMIO_CONFIG + sizeof(config) - 2, 8, &value);
	ck_assert_uint_eq(value, 0);
	reg_write(&bus, VIRTIO_MMIO_CONFIG, 1);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_CONFIG), 0x55667788);
}
END_TEST

/* A driver that reads it in parts knows by the generation whether they belong together. */
START_TEST(configuration_changes)
{
	const struct virtio_blk_config other = {.capacity = 7};

	virtio_mmio_set_config(&mmio, &other, sizeof(other.capacity));
	ck_assert_uint_eq(seen.edges, 0); /* no driver is there yet */
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_CONFIG_GENERATION), 1);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_CONFIG), 7);
	reg_bring_up(&bus, VERSION_1, &layout);
	virtio_mmio_set_config(&mmio, &config, sizeof(config.capacity));
	ck_assert_uint_eq(seen.edges, 1);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_CONFIG_GENERATION), 2);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_CONFIG), 0x55667788);
}
END_TEST

/* Every width at every offset, read and written: nothing happens but by the 32-bit registers. */
START_TEST(accesses_of_other_widths_do_nothing)
{
	static const unsigned widths[] = {1, 2, 8};
	uint64_t value, seen_bits = 0;

	for (unsigned i = 0; i < 3; i++)
		for (uint64_t off = 0; off < VIRTIO_MMIO_CONFIG; off++) {
			bus_write(&bus, NULL, MMIO_BASE + off, widths[i], UINT64_MAX);
			bus_read(&bus, NULL, MMIO_BASE + off, widths[i], &value);
			if (off + widths[i] <= VIRTIO_MMIO_CONFIG)
				seen_bits |= value;
		}
	for (uint64_t off = 1; off < VIRTIO_MMIO_CONFIG; off += 2) {
		bus_write(&bus, NULL, MMIO_BASE + off, 4, UINT32_MAX);
		bus_read(&bus, NULL, MMIO_BASE + off, 4, &value);
		if (off + 4 <= VIRTIO_MMIO_CONFIG)
			seen_bits |= value;
	}
	ck_assert_uint_eq(seen_bits, 0);
	ck_assert_uint_eq(reg_read(&bus, VIRTIO_MMIO_STATUS), 0);
	ck_assert_uint_eq(seen.starts + seen.notifies, 0);
	ck_assert_uint_eq(reg_bring_up(&bus, VERSION_1, &layout),
			  ACK | DRIVER | FEAT_OK | DRIVER_OK);
}
END_TEST

TCase *mmio_tests(void)
{
	TCase *tests = tcase_create("mmio");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, it_says_what_it_is);
	tcase_add_test(tests, bring_up);
	tcase_add_loop_test(tests, features_that_are_not_accepted, 0, 4);
	tcase_add_test(tests, features_are_settled_by_features_ok);
	tcase_add_test(tests, status_bits_only_go_by_reset);
	tcase_add_test(tests, reset_forgets_everything);
	tcase_add_test(tests, the_queue_is_settled_while_ready);
	tcase_add_test(tests, there_is_one_queue);
	tcase_add_test(tests, interrupts);
	tcase_add_test(tests, a_queue_that_can_not_be_served);
	tcase_add_test(tests, configuration_is_read_in_any_width);
	tcase_add_test(tests, configuration_changes);
	tcase_add_test(tests, accesses_of_other_widths_do_nothing);
	return tests;
}
