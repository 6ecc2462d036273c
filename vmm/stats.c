/* SPDX-License-Identifier: MIT */
#include "stats.h"

#include <malloc.h>
#include <stddef.h>
#include "kvm/host.h"
#include "machine.h"
#include "pin/pin.h"
#include "devices/blk/virtio_blk.h"

static void set_int(json_t *object, const char *name, uint64_t value)
{
	json_object_set_new(object, name, json_integer((json_int_t)value));
}

static void set_string(json_t *object, const char *name, const char *value)
{
	/* What a person typed need not be UTF-8. */
	json_t *string = json_string(value);

	json_object_set_new(object, name, string ? string : json_string("(not UTF-8)"));
}

static json_t *describe_options(const struct options *opt)
{
	json_t *object = json_object(), *disks = json_array();

	set_string(object, "guest", opt->guest);
	set_string(object, "bootargs", opt->bootargs);
	set_int(object, "cpus", opt->cpus);
	set_int(object, "mem", opt->mem);
	if (opt->initrd)
		set_string(object, "initrd", opt->initrd);
	set_string(object, "flush", flush_name(opt->flush));
	set_string(object, "track", track_name(opt->track));
	set_int(object, "audit", opt->audit);
	set_string(object, "on_violation", opt->on_violation == VIOLATION_STOP ? "stop" : "report");
	set_string(object, "flush_proof", opt->flush_proof == PROOF_HOST ? "host" : "guest");
	set_int(object, "timeout", opt->timeout);
	set_int(object, "verify", opt->verify);
	json_object_set_new(object, "sandbox", json_boolean(opt->sandbox));
	for (unsigned i = 0; i < opt->nr_disks; i++) {
		json_t *disk = json_object();

		set_string(disk, "file", opt->disk[i].path);
		json_object_set_new(disk, "readonly", json_boolean(opt->disk[i].readonly));
		json_array_append_new(disks, disk);
	}
	json_object_set_new(object, "disks", disks);
	return object;
}

/* What is told of each vCPU, and in sum. */
static const struct {
	const char *name;
	size_t offset; /* into struct vcpu_stats */
} vcpu_figures[] = {
	{"pio", offsetof(struct vcpu_stats, exits_pio)},
	{"mmio", offsetof(struct vcpu_stats, exits_mmio)},
	{"interrupted", offsetof(struct vcpu_stats, exits_intr)},
	{"other", offsetof(struct vcpu_stats, exits_other)},
	{"hypercalls", offsetof(struct vcpu_stats, hypercalls)},
	{"flush_calls", offsetof(struct vcpu_stats, flush_calls)},
	{"upcalls", offsetof(struct vcpu_stats, upcalls)},
	{"kicked", offsetof(struct vcpu_stats, kicked)},
	{"tlb_flushes", offsetof(struct vcpu_stats, tlb_flushes)},
};

/* The figures of `nr` vCPUs together. */
static json_t *describe_vcpus(const struct vcpu *vcpus, unsigned nr)
{
	json_t *object = json_object();
	uint64_t runs = 0;

	for (unsigned i = 0; i < nr; i++)
		runs += atomic_load(&vcpus[i].runs);
	set_int(object, "runs", runs);
	for (size_t f = 0; f < sizeof(vcpu_figures) / sizeof(vcpu_figures[0]); f++) {
		uint64_t sum = 0;

		for (unsigned i = 0; i < nr; i++)
			sum += *(const uint64_t *)((const char *)&vcpus[i].stats +
						   vcpu_figures[f].offset);
		set_int(object, vcpu_figures[f].name, sum);
	}
	return object;
}

static void add_vcpus(json_t *root, const struct machine *machine)
{
	json_t *exits = describe_vcpus(machine->vm.vcpus, machine->vm.nr_vcpus);
	json_t *vcpus = json_array();

	for (unsigned i = 0; i < machine->vm.nr_vcpus; i++)
		json_array_append_new(vcpus, describe_vcpus(&machine->vm.vcpus[i], 1));
	set_int(exits, "unassigned", machine->io.unassigned.accesses);
	json_object_set_new(root, "exits", exits);
	json_object_set_new(root, "vcpus", vcpus);
}

static void add_first_char(json_t *root, const struct machine *machine)
{
	const struct first_char *first = &machine->first_char;
	uint64_t exits = atomic_load_explicit(&first->exits, memory_order_acquire);

	json_object_set_new(root, "exits_to_first_char",
			    exits ? json_integer((json_int_t)exits) : json_null());
	json_object_set_new(root, "tsc_to_first_char",
			    exits ? json_integer((json_int_t)first->tsc) : json_null());
	json_object_set_new(root, "seconds_to_first_char",
			    exits ? json_real((double)first->ns / 1e9) : json_null());
}

/* VmHWM may lag behind by some pages a thread; the kernel walks the tables for smaps_rollup. */
static void add_memory(json_t *root, const struct machine *machine)
{
	uint64_t guest = memory_resident(&machine->vm.mem);
	uint64_t peak = host_read_kb(machine->about.status_fd, "VmHWM");
	uint64_t now = host_read_kb(machine->about.smaps_fd, "Rss");
	json_t *memory = json_object();
	struct mallinfo2 heap = mallinfo2();

	if (now > peak)
		peak = now;
	set_int(memory, "peak_rss_bytes", peak);
	set_int(memory, "guest_resident_bytes", guest);
	set_int(memory, "vmm_beyond_guest_bytes", peak > guest ? peak - guest : 0);
	set_int(memory, "heap_bytes", heap.uordblks + heap.hblkhd);
	json_object_set_new(root, "memory", memory);
}

static void add_disks(json_t *root, const struct machine *machine)
{
	json_t *disks = json_array();

	for (unsigned i = 0; i < machine->opt->nr_disks; i++) {
		json_t *disk = json_object();

		virtio_blk_stats(machine->blk[i], disk);
		json_array_append_new(disks, disk);
	}
	json_object_set_new(root, "disks", disks);
}

json_t *stats_collect(struct machine *machine, struct pin *pin, int status)
{
	json_t *root = json_object();

	if (!root)
		return NULL;
	set_string(root, "version", options_version());
	json_object_set_new(root, "status", status < 0 ? json_null() : json_integer(status));
	json_object_set_new(root, "wall_seconds", json_real(machine_seconds(machine)));
	add_first_char(root, machine);
	add_memory(root, machine);
	add_vcpus(root, machine);
	if (pin)
		pin_stats(pin, root);
	add_disks(root, machine);
	json_object_set_new(root, "options", describe_options(machine->opt));
	json_object_set(root, "host", machine->about.host);
	return root;
}
