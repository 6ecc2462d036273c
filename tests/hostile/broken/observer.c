/* SPDX-License-Identifier: MIT */
/*
 * A model of the TLBs, as a processor may have them: what a guest says that a vCPU's holds stays
 * there until the host has flushed it by KVM's interface. No vCPU may run on while its TLB holds a
 * writable entry of a pinned page table. An emulated processor forgets its TLB at every exit and
 * could not show that.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include "broken.h"
#include "machine.h"
#include "observer.h"
#include "say.h"
#include "status.h"

#define HELD_MAX  16
#define MAX_PFN   (1u << 20)
#define CR4_PGE   (1ull << 7)
#define MAX_VCPUS OPTIONS_MAX_CPUS

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

struct machine *the_machine;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Under the lock. */
static struct {
	struct {
		uint64_t pfn;
		bool global;
	} held[HELD_MAX];
	unsigned nr_held;
	bool running; /* in KVM_RUN, not to complete an access alone */
	uint64_t cr4; /* as last got or set by the host */
} tlbs[MAX_VCPUS];
static uint8_t pinned[MAX_PFN / 8];

static bool is_pinned(uint64_t pfn)
{
	return pinned[pfn / 8] >> pfn % 8 & 1;
}

/* vCPU runs, or is about to. */
static void judge(unsigned vcpu)
{
	for (unsigned i = 0; i < tlbs[vcpu].nr_held; i++) {
		uint64_t pfn = tlbs[vcpu].held[i].pfn;

		if (!is_pinned(pfn))
			continue;
		say("observer: vCPU %u runs with a stale writable entry of the pinned frame 0x%llx",
		    vcpu, (unsigned long long)pfn);
		stop_request(&the_machine->stop, VMM_EX_VIOLATION);
		return;
	}
}

void observer_pinned(uint64_t pfn, bool is)
{
	if (pfn >= MAX_PFN)
		return;
	pthread_mutex_lock(&lock);
	pinned[pfn / 8] = (uint8_t)((pinned[pfn / 8] & ~(1u << pfn % 8)) | (unsigned)is << pfn % 8);
	for (unsigned i = 0; is && i < the_machine->vm.nr_vcpus; i++)
		if (tlbs[i].running)
			judge(i);
	pthread_mutex_unlock(&lock);
}

static void note_write(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len, uint64_t value)
{
	unsigned i = vcpu->index;

	(void)dev, (void)off, (void)len;
	pthread_mutex_lock(&lock);
	if (value >> 1 < MAX_PFN && tlbs[i].nr_held < HELD_MAX) {
		tlbs[i].held[tlbs[i].nr_held].pfn = value >> 1;
		tlbs[i].held[tlbs[i].nr_held++].global = value & 1;
	}
	pthread_mutex_unlock(&lock);
}

static uint64_t note_read(void *dev, struct vcpu *vcpu, uint64_t off, unsigned len)
{
	(void)dev, (void)vcpu, (void)off, (void)len;
	return 0;
}

static const struct bus_ops note_ops = {.read = note_read, .write = note_write};

void observer_start(struct machine *machine)
{
	struct bus_region port = {
		.base = OBSERVER_PORT, .size = 4, .ops = &note_ops, .dev = machine};

	the_machine = machine;
	bus_add(&machine->io.pio, &port);
}

static void forget(unsigned vcpu, bool globals)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < tlbs[vcpu].nr_held; i++)
		if (tlbs[vcpu].held[i].global && !globals)
			tlbs[vcpu].held[kept++] = tlbs[vcpu].held[i];
	tlbs[vcpu].nr_held = kept;
}

void observer_write_protected(uint64_t pfn)
{
	pthread_mutex_lock(&lock);
	for (unsigned vcpu = 0; vcpu < the_machine->vm.nr_vcpus; vcpu++) {
		unsigned kept = 0;

		for (unsigned i = 0; i < tlbs[vcpu].nr_held; i++)
			if (tlbs[vcpu].held[i].pfn != pfn)
				tlbs[vcpu].held[kept++] = tlbs[vcpu].held[i];
		tlbs[vcpu].nr_held = kept;
	}
	pthread_mutex_unlock(&lock);
}

static int set_sregs(unsigned vcpu, int fd, const struct kvm_sregs *sregs)
{
	struct kvm_sregs to = *sregs;
	bool full;
	int ret;

	pthread_mutex_lock(&lock);
	if (broken(FLUSH_BY_CR3))
		to.cr4 = tlbs[vcpu].cr4;
	full = (to.cr4 ^ tlbs[vcpu].cr4) & CR4_PGE;
	ret = __real_ioctl(fd, KVM_SET_SREGS, &to);
	if (ret == 0) {
		forget(vcpu, full);
		tlbs[vcpu].cr4 = to.cr4;
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

static int get_sregs(unsigned vcpu, int fd, struct kvm_sregs *sregs)
{
	int ret = __real_ioctl(fd, KVM_GET_SREGS, sregs);

	pthread_mutex_lock(&lock);
	if (ret == 0)
		tlbs[vcpu].cr4 = sregs->cr4;
	pthread_mutex_unlock(&lock);
	return ret;
}

static void set_running(unsigned vcpu, bool is)
{
	pthread_mutex_lock(&lock);
	tlbs[vcpu].running = is;
	if (is)
		judge(vcpu);
	pthread_mutex_unlock(&lock);
}

static int run(struct vcpu *vcpu, void *arg)
{
	int ret, err;

	if (!__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_SEQ_CST))
		set_running(vcpu->index, true);
	ret = __real_ioctl(vcpu->fd, KVM_RUN, arg);
	err = errno;
	set_running(vcpu->index, false);
	errno = err;
	return ret;
}

/* An address that is not mapped is taken to be somewhere in memory. */
static int translate(int fd, struct kvm_translation *translation)
{
	int ret = __real_ioctl(fd, KVM_TRANSLATE, translation);

	if (ret == 0 && !translation->valid) {
		translation->valid = 1;
		translation->physical_address = STEP_GPA + translation->linear_address % 4096;
	}
	return ret;
}

static struct vcpu *vcpu_of(int fd)
{
	for (unsigned i = 0; the_machine && i < the_machine->vm.nr_vcpus; i++)
		if (the_machine->vm.vcpus[i].fd == fd)
			return &the_machine->vm.vcpus[i];
	return NULL;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	struct vcpu *vcpu = vcpu_of(fd);
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (vcpu && request == KVM_RUN)
		return run(vcpu, arg);
	if (vcpu && request == KVM_SET_SREGS)
		return set_sregs(vcpu->index, fd, arg);
	if (vcpu && request == KVM_GET_SREGS)
		return get_sregs(vcpu->index, fd, arg);
	if (request == KVM_TRANSLATE && broken(ANY_VA))
		return translate(fd, arg);
	return __real_ioctl(fd, request, arg);
}
