/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include <errno.h>
#include <liburing.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "kvm/host.h"
#include "kvm/kvm.h"
#include "sandbox/landlock.h"
#include "machine_map.h"
#include "options.h"
#include "sandbox/sandbox.h"
#include "say.h"
#include "kvm/shadow.h"
#include "pin/tracking/uffd.h"
#include "status.h"
#include "kvm/tlb_flush.h"
#include "kvm/upcall.h"

static const struct {
	int cap;
	const char *name;
	const char *what;
} capabilities[] = {
	{KVM_CAP_NR_MEMSLOTS, "nr_memslots", "memory slots"},
	{KVM_CAP_NR_VCPUS, "nr_vcpus", "vCPUs, recommended"},
	{KVM_CAP_MAX_VCPUS, "max_vcpus", "vCPUs, at most"},
	{KVM_CAP_IRQCHIP, "irqchip", "interrupt controllers in the kernel"},
	{KVM_CAP_IRQFD, "irqfd", "interrupts by eventfd"},
	{KVM_CAP_IOEVENTFD, "ioeventfd", "notifications by eventfd"},
	{KVM_CAP_IMMEDIATE_EXIT, "immediate_exit", "kicks without a race"},
	{KVM_CAP_SYNC_REGS, "sync_regs", "registers in the run page (bits)"},
	{KVM_CAP_VCPU_EVENTS, "vcpu_events", "exceptions raised by the host"},
	{KVM_CAP_TSC_DEADLINE_TIMER, "tsc_deadline_timer", "TSC deadline in local APICs"},
	{KVM_CAP_READONLY_MEM, "readonly_mem", "read-only slots"},
	{KVM_CAP_DIRTY_LOG_RING, "dirty_log_ring", "dirty ring (bytes at most)"},
	{KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, "manual_dirty_log_protect2",
	 "manual dirty log protection (bits)"},
};

static json_t *usable_or_not(const char *why_not)
{
	json_t *object = json_object();

	json_object_set_new(object, "usable", json_boolean(!why_not));
	json_object_set_new(object, "why_not", why_not ? json_string(why_not) : json_null());
	return object;
}

static json_t *probe_capabilities(int fd)
{
	json_t *object = json_object();

	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		int value = ioctl(fd, KVM_CHECK_EXTENSION, capabilities[i].cap);

		json_object_set_new(object, capabilities[i].name,
				    json_integer(value > 0 ? value : 0));
	}
	return object;
}

/* Adds "kvm" and, where it can be opened, "capabilities". Returns whether a guest can run. */
static bool probe_kvm(json_t *root)
{
	char why[256] = "";
	int fd = kvm_open_device(why, sizeof(why));
	json_t *kvm;

	if (fd >= 0 && kvm_check(fd, 1, why, sizeof(why)) &&
	    upcall_check(fd, UPCALL_VECTOR, why, sizeof(why)))
		why[0] = '\0';
	kvm = usable_or_not(*why ? why : NULL);
	if (fd >= 0) {
		json_object_set_new(kvm, "api_version",
				    json_integer(ioctl(fd, KVM_GET_API_VERSION, 0)));
		json_object_set_new(root, "capabilities", probe_capabilities(fd));
		close(fd);
	}
	json_object_set_new(root, "kvm", kvm);
	return !*why;
}

static bool probe_userfaultfd(const char **why)
{
	int fd = uffd_open(why);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static json_t *probe_io_uring(void)
{
	struct io_uring ring;
	int err = io_uring_queue_init(1, &ring, 0);

	if (err == 0)
		io_uring_queue_exit(&ring);
	switch (err) {
	case 0:
		return usable_or_not(NULL);
	case -EPERM:
		return usable_or_not(
			"forbidden here, by sysctl kernel.io_uring_disabled or the filter "
			"of a container; disks can't be used");
	case -ENOSYS:
		return usable_or_not(
			"this kernel has no io_uring, or the filter of a container hides "
			"it; disks can't be used");
	default:
		return usable_or_not(strerror(-err));
	}
}

static json_t *probe_strict(void)
{
	char why[256] = "";
	int fd = kvm_open_device(why, sizeof(why));
	bool ok = fd >= 0 && shadow_check(fd, why, sizeof(why));
	json_t *object = usable_or_not(ok ? NULL : why);

	if (fd >= 0)
		close(fd);
	json_object_set_new(object, "how",
			    json_string("page tables are read-only, on KVM's shadow MMU"));
	return object;
}

static json_t *probe_tlb_flush(void)
{
	char text[256] = "";
	const char *why;
	int fd = kvm_open_device(text, sizeof(text));
	json_t *object;

	if (fd < 0)
		why = text;
	else if (tlb_flush_is_possible(&why) && !tlb_flush_works(fd))
		why = "KVM does not do this, or its statistics do not show it";
	object = usable_or_not(why);
	if (fd >= 0)
		close(fd);
	return object;
}

static json_t *probe_seccomp(void)
{
	const char *why = NULL;

	return usable_or_not(sandbox_is_possible(&why) ? NULL : why);
}

static json_t *probe_landlock(void)
{
	int abi = landlock_abi();
	json_t *object =
		usable_or_not(abi ? NULL
				  : "this kernel has none, its parameter lsm= leaves it out, or "
				    "a container hides it; a run does without");

	if (abi)
		json_object_set_new(object, "how", json_sprintf("version %d", abi));
	return object;
}

static json_t *probe_mode(bool kvm, const char *how)
{
	json_t *object = usable_or_not(kvm ? NULL : "no usable KVM");

	json_object_set_new(object, "how", json_string(how));
	return object;
}

static json_t *probe_all(bool *kvm)
{
	json_t *root = json_object(), *modes = json_object();
	const char *why = NULL;
	bool uffd = probe_userfaultfd(&why);

	json_object_set_new(root, "version", json_string(options_version()));
	json_object_set_new(root, "host", host_describe());
	*kvm = probe_kvm(root);
	json_object_set_new(root, "tlb_flush", probe_tlb_flush());
	json_object_set_new(root, "userfaultfd_wp", usable_or_not(uffd ? NULL : why));
	json_object_set_new(root, "io_uring", probe_io_uring());
	json_object_set_new(root, "seccomp", probe_seccomp());
	json_object_set_new(root, "landlock", probe_landlock());
	json_object_set_new(
		modes, "dirty",
		probe_mode(*kvm, uffd ? "quiet tables are write-protected by userfaultfd"
				      : "every table is compared at each pin"));
	json_object_set_new(
		modes, "log",
		probe_mode(*kvm, uffd ? "the guest keeps a log; audits use userfaultfd"
				      : "the guest keeps a log; an audit compares every table"));
	json_object_set_new(modes, "scan", probe_mode(*kvm, "every table is compared at each pin"));
	json_object_set_new(modes, "strict", *kvm ? probe_strict() : probe_mode(false, ""));
	json_object_set_new(root, "track", modes);
	return root;
}

static void print_verdict(const char *name, const json_t *object)
{
	const char *why_not = json_string_value(json_object_get(object, "why_not"));
	const char *how = json_string_value(json_object_get(object, "how"));

	if (why_not)
		printf("  %-26s no: %s\n", name, why_not);
	else
		printf("  %-26s yes%s%s\n", name, how ? ": " : "", how ? how : "");
}

static void print_host(json_t *host)
{
	json_t *kvm = json_object_get(host, "kvm");

	printf("Host\n  %-26s %s\n", "kernel", json_string_value(json_object_get(host, "kernel")));
	for (void *at = json_object_iter(kvm); at; at = json_object_iter_next(kvm, at))
		printf("  %-26s %s\n", json_object_iter_key(at),
		       json_string_value(json_object_iter_value(at)));
}

static void print_table(json_t *root)
{
	json_t *caps = json_object_get(root, "capabilities");
	json_t *modes = json_object_get(root, "track");

	print_host(json_object_get(root, "host"));
	printf("\nWhat a guest needs\n");
	print_verdict("/dev/kvm", json_object_get(root, "kvm"));
	print_verdict("io_uring (for disks)", json_object_get(root, "io_uring"));
	print_verdict("TLBs flushed by the host", json_object_get(root, "tlb_flush"));
	print_verdict("userfaultfd write-protect", json_object_get(root, "userfaultfd_wp"));
	printf("\nWhat can confine vmm\n");
	print_verdict("seccomp", json_object_get(root, "seccomp"));
	print_verdict("Landlock", json_object_get(root, "landlock"));
	if (caps)
		printf("\nWhat KVM offers\n");
	for (size_t i = 0; caps && i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
		printf("  %-26s %-8lld %s\n", capabilities[i].name,
		       json_integer_value(json_object_get(caps, capabilities[i].name)),
		       capabilities[i].what);
	printf("\nHow page tables can be tracked (--track)\n");
	for (void *at = json_object_iter(modes); at; at = json_object_iter_next(modes, at))
		print_verdict(json_object_iter_key(at), json_object_iter_value(at));
}

int probe_print(bool json)
{
	bool kvm = false;
	json_t *root = probe_all(&kvm);

	if (json) {
		json_dumpf(root, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_table(root);
	}
	json_decref(root);
	return kvm ? 0 : VMM_EX_NOKVM;
}
