/* SPDX-License-Identifier: MIT */
#include "stats.h"

#include <malloc.h>
#include "json_object.h"
#include "kvm/host.h"
#include "machine.h"
#include "pin/pin.h"
#include "devices/blk/virtio_blk.h"

static const struct field option_fields[] = {
	FIELD_OF(FIELD_TEXT, "guest", options, guest),
	FIELD_OF(FIELD_TEXT, "bootargs", options, bootargs),
	FIELD(options, cpus),
	FIELD(options, mem),
	FIELD_OF(FIELD_TEXT, "initrd", options, initrd),
	FIELD(options, timeout),
	FIELD_OF(FIELD_BOOL, "sandbox", options, sandbox),
};

static const struct field pin_option_fields[] = {
	FIELD(options, audit),
	FIELD(options, verify),
};

static const struct field disk_fields[] = {
	FIELD_OF(FIELD_TEXT, "file", disk_option, path),
	FIELD_OF(FIELD_BOOL, "readonly", disk_option, readonly),
};

static void add_pin_options(json_t *object, const struct options *opt)
{
	ADD_FIELDS(object, pin_option_fields, opt);
	object_add_text(object, "flush", flush_name(opt->flush));
	object_add_text(object, "track", track_name(opt->track));
	object_add_text(object, "on_violation",
			opt->on_violation == VIOLATION_STOP ? "stop" : "report");
	object_add_text(object, "flush_proof", opt->flush_proof == PROOF_HOST ? "host" : "guest");
}

static json_t *describe_options(const struct options *opt, bool pins)
{
	json_t *object = json_object(), *disks = json_array();

	ADD_FIELDS(object, option_fields, opt);
	if (pins)
		add_pin_options(object, opt);
	for (unsigned i = 0; i < opt->nr_disks; i++) {
		json_t *disk = json_object();

		ADD_FIELDS(disk, disk_fields, &opt->disk[i]);
		json_array_append_new(disks, disk);
	}
	json_object_set_new(object, "disks", disks);
	return object;
}

/* The counters that are printed for each vCPU, and as a sum. */
static const struct field vcpu_fields[] = {
	FIELD(vcpu, runs),
	FIELD_AS("pio", vcpu, stats.exits_pio),
	FIELD_AS("mmio", vcpu, stats.exits_mmio),
	FIELD_AS("interrupted", vcpu, stats.exits_intr),
	FIELD_AS("other", vcpu, stats.exits_other),
	FIELD_AS("hypercalls", vcpu, stats.hypercalls),
	FIELD_AS("flush_calls", vcpu, stats.flush_calls),
	FIELD_AS("upcalls", vcpu, stats.upcalls),
	FIELD_AS("kicked", vcpu, stats.kicked),
	FIELD_AS("tlb_flushes", vcpu, stats.tlb_flushes),
};

static void add_vcpus(json_t *root, struct machine *machine)
{
	const struct vm *vm = &machine->vm;
	json_t *exits = json_object(), *vcpus = json_array();

	ADD_SUMS(exits, vcpu_fields, vm->vcpus, sizeof(struct vcpu), vm->nr_vcpus);
	for (unsigned i = 0; i < vm->nr_vcpus; i++) {
		json_t *vcpu = json_object();

		ADD_FIELDS(vcpu, vcpu_fields, &vm->vcpus[i]);
		json_array_append_new(vcpus, vcpu);
	}
	object_add_number(exits, "unassigned", unassigned_count(&machine->io.unassigned));
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

/* VmHWM may lag behind by a few pages for each thread; for smaps_rollup the kernel walks the page
 * tables. */
static void add_memory(json_t *root, const struct machine *machine)
{
	uint64_t guest = memory_resident(&machine->vm.mem);
	uint64_t peak = host_read_kb(machine->about.status_fd, "VmHWM");
	uint64_t now = host_read_kb(machine->about.smaps_fd, "Rss");
	json_t *memory = json_object();
	struct mallinfo2 heap = mallinfo2();

	if (now > peak)
		peak = now;
	object_add_number(memory, "peak_rss_bytes", peak);
	object_add_number(memory, "guest_resident_bytes", guest);
	object_add_number(memory, "vmm_beyond_guest_bytes", peak > guest ? peak - guest : 0);
	object_add_number(memory, "heap_bytes", heap.uordblks + heap.hblkhd);
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
	object_add_text(root, "version", options_version());
	json_object_set_new(root, "status", status < 0 ? json_null() : json_integer(status));
	json_object_set_new(root, "wall_seconds", json_real(machine_seconds(machine)));
	json_object_set_new(root, "paused", json_boolean(vcpus_are_held(&machine->vm)));
	add_first_char(root, machine);
	add_memory(root, machine);
	add_vcpus(root, machine);
	if (pin)
		pin_stats(pin, root);
	add_disks(root, machine);
	json_object_set_new(root, "options", describe_options(machine->opt, pin));
	json_object_set(root, "host", machine->about.host);
	return root;
}
