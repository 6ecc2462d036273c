/* SPDX-License-Identifier: MIT */
/* The thread of a vCPU, on a KVM that is played here: each KVM_RUN returns the next of a list of
 * exits. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "fake_kvm.h"
#include "machine.h"
#include "status.h"
#include "suites.h"

#define VCPU_FD 1000
#define PAGE    4096u

/* One return of KVM_RUN; `fill` describes the exit, else it fails with `error`. */
struct step {
	void (*fill)(struct kvm_run *run);
	int error;
};

static union {
	struct kvm_run run;
	uint8_t bytes[2 * PAGE];
} area;

static struct machine machine;
static struct vcpu vcpu;
static const struct step *script;
static uint8_t seen[64]; /* what the device got */
static unsigned nr_seen, nr_written;

static int play_kvm(int fd, unsigned long request, void *arg)
{
	if (fd != VCPU_FD)
		return FAKE_PASS;
	if (request == KVM_GET_REGS) {
		memset(arg, 0, sizeof(struct kvm_regs));
		return 0;
	}
	if (request == KVM_GET_SREGS) {
		memset(arg, 0, sizeof(struct kvm_sregs));
		return 0;
	}
	if (request != KVM_RUN) {
		errno = ENOTTY;
		return -1;
	}
	if (script->fill) {
		script++->fill(&area.run);
		return 0;
	}
	errno = script++->error;
	return -1;
}

static uint64_t device_read(void *dev, struct vcpu *by, uint64_t off, unsigned len)
{
	(void)dev, (void)len;
	ck_assert_ptr_eq(by, &vcpu);
	return 0x1122334455667700 + off;
}

static void device_write(void *dev, struct vcpu *by, uint64_t off, unsigned len, uint64_t value)
{
	(void)off, (void)len;
	ck_assert_ptr_eq(by, &vcpu);
	if (value == 0xff)
		stop_request(dev, 5);
	else
		seen[nr_seen++] = value;
}

static void device_written(void *dev)
{
	(void)dev;
	nr_written++;
}

static void set_up(void)
{
	static const struct bus_ops ops = {
		.read = device_read, .write = device_write, .written = device_written};
	struct bus_region port = {.base = 0x3f8, .size = 8, .ops = &ops, .dev = &machine.stop};
	struct bus_region mmio = {
		.base = 0xd0000000, .size = 16, .ops = &ops, .dev = &machine.stop};

	memset(&machine, 0, sizeof(machine));
	memset(&area, 0, sizeof(area));
	nr_seen = nr_written = 0;
	fake_kvm = play_kvm;
	machine.stop.status = -1;
	machine.stop.fd = eventfd(0, EFD_NONBLOCK);
	vcpu_pause_init(&machine.vm.pause);
	unassigned_init(&machine.io.unassigned, false);
	ck_assert_int_eq(bus_add(&machine.io.pio, &port), 0);
	ck_assert_int_eq(bus_add(&machine.io.mmio, &mmio), 0);
	machine.vm.stop = &machine.stop;
	machine.vm.io_ops = &io_space_ops;
	machine.vm.io = &machine.io;
	machine.vm.nr_vcpus = 1;
	machine.vm.vcpus = &vcpu;
	vcpu = (struct vcpu){
		.fd = VCPU_FD, .vm = &machine.vm, .run = &area.run, .run_size = sizeof(area)};
}

static void tear_down(void)
{
	vcpu_pause_destroy(&machine.vm.pause);
	close(machine.stop.fd);
}

/* The thread's function, on this thread; returns the status. */
static int run(const struct step *steps)
{
	uint64_t woken;

	script = steps;
	vcpu_thread(&vcpu);
	ck_assert_int_eq(read(machine.stop.fd, &woken, 8), 8);
	ck_assert(!vcpu.in_guest);
	return machine.stop.status;
}

static void io(struct kvm_run *run, bool out, uint16_t port, const char *data, uint32_t count)
{
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = out ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	run->io.size = 1;
	run->io.port = port;
	run->io.count = count;
	run->io.data_offset = PAGE;
	memcpy(area.bytes + PAGE, data, count);
}

static void stop(struct kvm_run *run)
{
	io(run, true, 0x3f8, "\xff", 1);
}

static void print(struct kvm_run *run)
{
	io(run, true, 0x3f8, "hello", 5);
}

static void ask_three(struct kvm_run *run)
{
	io(run, false, 0x3fb, "___", 3);
}

static void ask_nobody(struct kvm_run *run)
{
	ck_assert_mem_eq(area.bytes + PAGE, "\x03\x03\x03", 3);
	io(run, false, 0x80, "_", 1);
}

static void load(struct kvm_run *run)
{
	ck_assert_uint_eq(area.bytes[PAGE], 0xff);
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = 0xd0000008;
	run->mmio.is_write = 0;
	run->mmio.len = 4;
}

static void store(struct kvm_run *run)
{
	ck_assert_mem_eq(run->mmio.data, "\x08\x77\x66\x55", 4);
	run->mmio.is_write = 1;
	run->mmio.data[0] = 'm';
	run->mmio.len = 1;
}

START_TEST(accesses)
{
	static const struct step steps[] = {{print, 0},      {ask_three, 0}, {NULL, EINTR},
					    {ask_nobody, 0}, {load, 0},      {store, 0},
					    {NULL, EAGAIN},  {stop, 0}};

	ck_assert_int_eq(run(steps), 5);
	ck_assert_uint_eq(nr_seen, 6);
	ck_assert_mem_eq(seen, "hellom", 6);
	ck_assert_uint_eq(nr_written, 3); /* once for all of "hello" */
	ck_assert_uint_eq(vcpu.runs, 8);
	ck_assert_uint_eq(vcpu.stats.exits_pio, 4);
	ck_assert_uint_eq(vcpu.stats.exits_mmio, 2);
	ck_assert_uint_eq(vcpu.stats.exits_intr, 2);
	ck_assert_uint_eq(machine.io.unassigned.accesses, 1);
}
END_TEST

static void shut_down(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_SHUTDOWN;
}

static void internal_error(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
}

static void fail_entry(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_FAIL_ENTRY;
}

static void debug(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_DEBUG;
}

static void nonsense(struct kvm_run *run)
{
	io(run, true, 0x3f8, "x", 1);
	run->io.data_offset = sizeof(area);
}

static const struct {
	struct step step;
	int status;
} endings[] = {
	{{shut_down, 0}, VMM_EX_SHUTDOWN},  {{internal_error, 0}, VMM_EX_SOFTWARE},
	{{fail_entry, 0}, VMM_EX_SOFTWARE}, {{debug, 0}, VMM_EX_SOFTWARE},
	{{nonsense, 0}, VMM_EX_SOFTWARE},   {{NULL, EFAULT}, VMM_EX_OSERR},
	{{NULL, ENOEXEC}, VMM_EX_OSERR},
};

START_TEST(ends)
{
	ck_assert_int_eq(run(&endings[_i].step), endings[_i].status);
	ck_assert_uint_eq(nr_seen, 0);
	ck_assert_uint_eq(vcpu.runs, 1);
}
END_TEST

/* The first who stops the machine says how it ended. */
START_TEST(first_status_counts)
{
	static const struct step steps[] = {{stop, 0}};

	ck_assert_int_eq(run(steps), 5);
	stop_request(&machine.stop, 70);
	ck_assert_int_eq(machine.stop.status, 5);
}
END_TEST

TCase *run_tests(void)
{
	TCase *tc = tcase_create("run");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, accesses);
	tcase_add_loop_test(tc, ends, 0, sizeof(endings) / sizeof(endings[0]));
	tcase_add_test(tc, first_status_counts);
	return tc;
}
