/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <x86intrin.h>
#include "../alias-audit/names.h"
#include "clock.h"
#include "devices/acpi_pm.h"
#include "devices/console.h"
#include "boot/device_tree.h"
#include "kvm/host.h"
#include "boot/image.h"
#include "boot/linux.h"
#include "kvm/kvm.h"
#include "sandbox/landlock.h"
#include "boot/pvh.h"
#include "sandbox/sandbox.h"
#include "say.h"
#include "kvm/shadow.h"
#include "kvm/upcall.h"
#include "status.h"
#include "trace.h"
#include "devices/uart.h"
#include "devices/blk/image.h"
#include "devices/blk/virtio_blk.h"
#include "devices/virtio_console.h"
#include "devices/virtio_host.h"

/* How long the guest has run, or may have, by `now`: not at all before all threads were confined.
 */
static uint64_t ran_ns(const struct machine *machine, uint64_t now)
{
	return machine->first_char.start_ns ? now - machine->first_char.start_ns : 0;
}

int machine_time_left(const struct machine *machine)
{
	uint64_t limit_ns = machine->opt->timeout * 1000000000ull;
	uint64_t passed_ns = ran_ns(machine, now_ns());

	if (!limit_ns)
		return -1;
	return passed_ns < limit_ns ? (int)((limit_ns - passed_ns) / 1000000) : 0;
}

double machine_seconds(const struct machine *machine)
{
	return (double)ran_ns(machine, machine->end_ns ? machine->end_ns : now_ns()) / 1e9;
}

/* The guest's first character. A vCPU's thread, once. */
static void note_first_char(void *ctx)
{
	struct machine *machine = ctx;
	struct first_char *first = &machine->first_char;
	uint64_t exits = 0;

	for (unsigned i = 0; i < machine->vm.nr_vcpus; i++)
		exits += atomic_load_explicit(&machine->vm.vcpus[i].runs, memory_order_relaxed);
	first->tsc = __rdtsc() - first->start_tsc;
	first->ns = now_ns() - first->start_ns;
	atomic_store_explicit(&first->exits, exits, memory_order_release);
}

static uint64_t poweroff_read(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len)
{
	(void)dev, (void)vcpu, (void)off, (void)len;
	return UINT64_MAX;
}

static void poweroff_write(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len, uint64_t value)
{
	struct machine *machine = dev;

	(void)vcpu;
	if (off == 0 && value <= ALIAS_EXIT_MAX) {
		stop_request(&machine->stop, (int)value);
		return;
	}
	if (off == 0)
		say("the guest powers off with status 0x%" PRIx64 ", outside of 0 to %u", value,
		    ALIAS_EXIT_MAX);
	else
		say("the guest powers off without a status: it wrote %u bits to port 0x%x, not 32 "
		    "to 0x%x",
		    8 * len, POWEROFF_PORT + (unsigned)off, POWEROFF_PORT);
	stop_request(&machine->stop, VMM_EX_SHUTDOWN);
}

static const struct bus_ops poweroff_ops = {.read = poweroff_read, .write = poweroff_write};

uint64_t machine_shared_size(const struct machine *machine)
{
	return (1 + (uint64_t)machine->vm.nr_vcpus) * ALIAS_PAGE_SIZE;
}

bool machine_shares_frame(const struct machine *machine, uint64_t pfn)
{
	uint64_t gpa = pfn * ALIAS_PAGE_SIZE;

	return pfn <= UINT64_MAX / ALIAS_PAGE_SIZE &&
	       (gpa - SHARED_GPA < machine_shared_size(machine) ||
		gpa - machine->log_gpa < machine->log_size);
}

/* The guest's logs are at the end of the first slot, if a log may be wanted. */
static void place_logs(struct machine *machine)
{
	const struct options *opt = machine->opt;
	uint64_t size = machine->vm.nr_vcpus * (uint64_t)ALIAS_LOG_SIZE;
	uint64_t end = machine->vm.mem.slot[0].size;

	if (opt->track != TRACK_LOG && (opt->track == TRACK_OFF || !opt->control))
		return;
	if (size > end / OPTIONS_LOG_SHARE)
		return;
	machine->log_gpa = end - size;
	machine->log_size = size;
}

static int load_linux(const struct machine *machine, const struct image *image)
{
	const struct linux_config config = {
		.cmdline = machine->opt->bootargs,
		.initrd = machine->opt->initrd,
		.nr_vcpus = machine->vm.nr_vcpus,
		.nr_disks = machine->opt->nr_disks,
	};

	return linux_load(&machine->vm.mem, image, &config);
}

static int load_guest(struct machine *machine, const struct image *image)
{
	struct fdt_config config = {
		.mem = &machine->vm.mem,
		.bootargs = machine->opt->bootargs,
		.nr_vcpus = machine->vm.nr_vcpus,
		.nr_disks = machine->opt->nr_disks,
		.shared_size = machine_shared_size(machine),
	};
	int err = image_load(image, &machine->vm.mem);
	int size;

	place_logs(machine);
	config.log_gpa = machine->log_gpa;
	config.log_size = machine->log_size;
	if (err)
		return err;
	size = fdt_write(memory_ptr(&machine->vm.mem, FDT_GPA, FDT_MAX_SIZE), FDT_MAX_SIZE,
			 &config);
	if (size < 0) {
		say("the device tree does not fit into %llu KiB", FDT_MAX_SIZE >> 10);
		return -ENOSPC;
	}
	pvh_write_guest(&machine->vm.mem, config.bootargs, size, config.shared_size,
			config.log_size);
	return 0;
}

static void say_set_up(const struct machine *machine, uint64_t entry)
{
	const struct options *opt = machine->opt;

	if (!opt->verbose)
		return;
	say("%s: entry 0x%" PRIx64 ", %u vCPU%s, %" PRIu64 " MiB, %u disk%s", opt->guest, entry,
	    opt->cpus, opt->cpus > 1 ? "s" : "", opt->mem >> 20, opt->nr_disks,
	    opt->nr_disks == 1 ? "" : "s");
	if (!machine->is_linux)
		say("flush %s, track %s, command line \"%s\"", flush_name(opt->flush),
		    track_name(opt->track), opt->bootargs);
	else
		say("Linux, command line \"%s\"", opt->bootargs);
	if (!opt->sandbox)
		say("no sandbox: any thread may make any system call");
	else if (landlock_abi())
		say("sandbox: seccomp on each thread, Landlock (version %d)", landlock_abi());
	else
		say("sandbox: seccomp on each thread, without Landlock: this kernel lacks it, or "
		    "the filter of a container hides it");
}

int machine_enter_image(struct machine *machine, const struct image *image)
{
	const struct vcpu_entry_64 entry_64 = {
		.rip = image->entry,
		.rsi = LINUX_BOOT_PARAMS_GPA,
		.cr3 = LINUX_PAGE_TABLES_GPA,
		.gdt = LINUX_GDT_GPA,
		.gdt_limit = LINUX_GDT_LIMIT,
	};
	int err = 0;

	for (unsigned i = 0; !err && image->kind != IMAGE_GUEST && i < machine->vm.nr_vcpus; i++)
		err = vcpu_set_mtrrs(&machine->vm.vcpus[i]);
	if (err)
		return err;
	if (image->kind == IMAGE_GUEST)
		machine->upcalls_broken = upcall_is_ruled_out(
			&machine->vm.vcpus[0],
			memory_ptr(&machine->vm.mem, SHARED_GPA, ALIAS_PAGE_SIZE), SHARED_GPA);
	if (image->kind == IMAGE_BZIMAGE)
		err = vcpu_set_entry_64(&machine->vm.vcpus[0], &entry_64);
	else
		err = vcpu_set_entry(&machine->vm.vcpus[0], (uint32_t)image->entry, START_INFO_GPA);
	if (!err)
		say_set_up(machine, image->entry);
	return err;
}

static int create_uart(struct machine *machine)
{
	struct uart_config com1 = {
		.pio = &machine->io.pio,
		.irq = {.vm_fd = machine->vm.fd, .gsi = UART_GSI},
		.console = machine->console,
		.stop = &machine->stop,
	};

	machine->uart = uart_create(&com1);
	if (!machine->uart)
		return -ENOMEM;
	machine->input = uart_input(machine->uart);
	return 0;
}

static struct virtio_host virtio_host(struct machine *machine)
{
	return (struct virtio_host){
		.mem = &machine->vm.mem,
		.mmio = &machine->io.mmio,
		.vm_fd = machine->vm.fd,
		.sandbox = machine->sandbox,
		.stop = &machine->stop,
	};
}

static int create_virtio_console(struct machine *machine)
{
	const struct virtio_host host = virtio_host(machine);
	struct terminal_size size;

	machine->virtio_console = virtio_console_create(&host, machine->console,
							terminal_get_size(&size) ? &size : NULL,
							VIRTIO_CONSOLE_GPA, VIRTIO_CONSOLE_GSI);
	if (!machine->virtio_console)
		return -ENOMEM;
	if (linux_uses_hvc(machine->opt->bootargs))
		machine->input = virtio_console_input(machine->virtio_console);
	return 0;
}

/* Devices for one kind of guest only. */
static int create_guest_devices(struct machine *machine)
{
	struct bus_region poweroff = {
		.base = POWEROFF_PORT, .size = 4, .ops = &poweroff_ops, .dev = machine};

	int err;

	if (machine->is_linux) {
		err = create_virtio_console(machine);
		return err ? err : acpi_pm_create(&machine->io.pio, &machine->stop);
	}
	return bus_add(&machine->io.pio, &poweroff);
}

int machine_add_disks(struct machine *machine)
{
	struct virtio_host host = virtio_host(machine);

	for (unsigned i = 0; i < machine->opt->nr_disks; i++) {
		int err;

		host.track = machine->trace ? trace_disk(machine->trace, i) : NULL;
		err = virtio_blk_create(&host, i, &machine->opt->disk[i],
					VIRTIO_GPA + i * VIRTIO_STRIDE, VIRTIO_GSI + i,
					&machine->blk[i]);

		if (err)
			return err;
	}
	return 0;
}

static void set_up(struct machine *machine, const struct options *opt)
{
	*machine = (struct machine){
		.opt = opt,
		.kvm_fd = -1,
		.vm = {.fd = -1},
		.stop = {.status = -1, .fd = -1},
		.about = {.status_fd = -1, .smaps_fd = -1},
	};
	unassigned_init(&machine->io.unassigned, opt->verbose);
}

/* All that needs no KVM comes first, so that its errors are reported on hosts without KVM, too. */
static int create_host_side(struct machine *machine)
{
	int err = stop_init(&machine->stop);

	if (!err)
		err = vm_init(&machine->vm, machine->opt->cpus, &machine->stop);
	if (err)
		return err;
	for (unsigned i = 0; machine->trace && i < machine->vm.nr_vcpus; i++)
		machine->vm.vcpus[i].track = trace_vcpu(machine->trace, i);
	machine->vm.io_ops = &io_space_ops;
	machine->vm.io = &machine->io;
	machine->console = console_create(machine->stop.fd, note_first_char, machine);
	if (!machine->console)
		return -ENOMEM;
	return machine->opt->track == TRACK_STRICT
		       ? memory_init_twice(&machine->vm.mem, machine->opt->mem)
		       : memory_init(&machine->vm.mem, machine->opt->mem);
}

/* What the main thread opens at the end, NULL if nothing. */
static const char *plain_file(const char *path)
{
	return path && strcmp(path, "-") ? path : NULL;
}

static int create_sandbox(struct machine *machine)
{
	const struct options *opt = machine->opt;
	struct sandbox_needs needs = {
		.strict = opt->track == TRACK_STRICT,
		.stats = plain_file(opt->stats),
		.trace = plain_file(opt->trace),
		.traced = opt->trace != NULL,
		.control = opt->control,
		.audit = opt->control || opt->watch,
		.gdb = opt->gdb != NULL,
		.gdb_socket = opt->gdb && strchr(opt->gdb, '/') ? opt->gdb : NULL,
	};

	if (!opt->sandbox)
		return 0;
	machine->sandbox = sandbox_create(&needs);
	machine->vm.sandbox = machine->sandbox;
	return machine->sandbox ? 0 : -EINVAL;
}

static void describe_host(struct about *about)
{
	about->host = host_describe();
	about->status_fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	about->smaps_fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
}

int machine_open_kvm(struct machine *machine)
{
	char why[256];

	machine->kvm_fd = kvm_open(machine->opt->cpus);
	if (machine->kvm_fd < 0)
		return machine->kvm_fd;
	if (machine->opt->track != TRACK_STRICT || shadow_check(machine->kvm_fd, why, sizeof(why)))
		return 0;
	say("%s", why);
	return -EOPNOTSUPP;
}

int machine_create_vm(struct machine *machine)
{
	int err = vm_create(&machine->vm, machine->kvm_fd);

	if (!err)
		err = create_uart(machine);
	return err ? err : create_guest_devices(machine);
}

int machine_init(struct machine *machine, const struct options *opt, const struct image *image,
		 struct trace *trace)
{
	int err;

	set_up(machine, opt);
	machine->trace = trace;
	machine->is_linux = image->kind != IMAGE_GUEST;
	err = create_host_side(machine);
	if (!err)
		err = create_sandbox(machine);
	if (!err && (opt->stats || opt->control))
		describe_host(&machine->about);
	return err;
}

int machine_load(struct machine *machine, const struct image *image)
{
	return machine->is_linux ? load_linux(machine, image) : load_guest(machine, image);
}

/* No vCPU enters the guest before all threads are confined. */
int machine_start(struct machine *machine)
{
	int err;

	hold_all_vcpus(&machine->vm);
	for (unsigned i = 0; i < machine->vm.nr_vcpus; i++) {
		err = vcpu_start(&machine->vm.vcpus[i]);
		if (err)
			return err;
	}
	err = sandbox_enter(machine->sandbox, SANDBOX_MAIN);
	if (err)
		return say_error(err, "the sandbox of the main thread");
	machine->first_char.start_ns = now_ns();
	machine->first_char.start_tsc = __rdtsc();
	release_all_vcpus(&machine->vm);
	return 0;
}

void machine_join(struct machine *machine)
{
	debug_release_vcpus(&machine->vm, ALL_VCPUS);
	release_all_vcpus(&machine->vm);
	for (unsigned i = 0; i < machine->vm.nr_vcpus; i++)
		vcpu_join(&machine->vm.vcpus[i]);
	for (unsigned i = 0; i < OPTIONS_MAX_DISKS; i++)
		if (machine->blk[i])
			virtio_blk_stop(machine->blk[i]);
	machine->end_ns = now_ns();
}

bool machine_sync_disks(struct machine *machine)
{
	bool good = true;

	for (unsigned i = 0; i < OPTIONS_MAX_DISKS; i++)
		if (machine->blk[i] && virtio_blk_sync(machine->blk[i]))
			good = false;
	return good;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void machine_free(struct machine *machine)
{
	for (unsigned i = 0; i < OPTIONS_MAX_DISKS; i++)
		if (machine->blk[i])
			virtio_blk_destroy(machine->blk[i]);
	virtio_console_destroy(machine->virtio_console);
	uart_destroy(machine->uart);
	console_destroy(machine->console);
	vm_free(&machine->vm);
	close_fd(machine->kvm_fd);
	stop_free(&machine->stop);
	close_fd(machine->about.status_fd);
	close_fd(machine->about.smaps_fd);
	json_decref(machine->about.host);
	names_free(machine->names);
	sandbox_destroy(machine->sandbox);
}
