/* SPDX-License-Identifier: MIT */
#include "kvm/tlb_flush.h"

#include <cpuid.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "alias_abi.h"
#include "kvm/kvm.h"
#include "kvm/probe_vm.h"

#define LEAF_HYPERVISOR 0x40000000u
#define HYPERV          "Microsoft Hv"

static bool is_on_hyperv(void)
{
	char signature[13] = "";
	uint32_t eax, ebx, ecx, edx;

	__cpuid(1, eax, ebx, ecx, edx);
	if (!(ecx & 1u << 31))
		return false;
	__cpuid(LEAF_HYPERVISOR, eax, ebx, ecx, edx);
	memcpy(signature, &ebx, 4);
	memcpy(signature + 4, &ecx, 4);
	memcpy(signature + 8, &edx, 4);
	return !strcmp(signature, HYPERV);
}

bool tlb_flush_is_possible(const char **why)
{
	struct kvm_second_stage stage;

	*why = NULL;
	if (!kvm_second_stage(&stage))
		*why = "KVM shadows the guest's page tables: its CPUs send each other IPIs";
	else if (is_on_hyperv())
		*why = "this host runs under Hyper-V: the guest's CPUs send each other IPIs";
	return !*why;
}

int tlb_flush_all(void *page)
{
	return madvise(page, ALIAS_PAGE_SIZE, MADV_DONTNEED) < 0 ? -errno : 0;
}

/* --- does it work here? ----------------------------------------------------------------------- */

#define STAT          "remote_tlb_flush_requests"
#define STAT_NAME_MAX 64u

/* out PROBE_VM_PORT, al; hlt */
static const uint8_t probe_code[] = {0xe6, PROBE_VM_PORT, 0xf4};

static bool read_at(int fd, void *to, size_t size, uint64_t at)
{
	return pread(fd, to, size, (off_t)at) == (ssize_t)size;
}

/* Returns the offset of the counter in the statistics of `fd`; 0: none. Each description is
 * followed by its name. */
static uint64_t find_stat(int fd)
{
	struct kvm_stats_header header;
	struct kvm_stats_desc desc;
	char name[STAT_NAME_MAX];

	if (!read_at(fd, &header, sizeof(header), 0) || header.name_size > sizeof(name))
		return 0;
	for (uint32_t i = 0; i < header.num_desc; i++) {
		uint64_t at = header.desc_offset + i * (sizeof(desc) + header.name_size);

		if (!read_at(fd, &desc, sizeof(desc), at) ||
		    !read_at(fd, name, header.name_size, at + sizeof(desc)))
			return 0;
		if (!strncmp(name, STAT, header.name_size))
			return header.data_offset + desc.offset;
	}
	return 0;
}

/* Does it flush? KVM maps the page that the vCPU has just run from. */
static bool flushes_once(const struct probe_vm *vm, int fd)
{
	uint64_t at = find_stat(fd), before, after;

	return at && read_at(fd, &before, sizeof(before), at) &&
	       tlb_flush_all(vm->memory + PROBE_VM_CODE) == 0 &&
	       read_at(fd, &after, sizeof(after), at) && after == before + 1;
}

bool tlb_flush_works(int kvm_fd)
{
	struct probe_vm vm;
	bool ok = probe_vm_begin(&vm, kvm_fd, probe_code, sizeof(probe_code)) &&
		  probe_vm_runs_to_out(&vm);
	int fd = ok ? ioctl(vm.vm_fd, KVM_GET_STATS_FD, NULL) : -1;

	ok = fd >= 0 && flushes_once(&vm, fd);
	if (fd >= 0)
		close(fd);
	probe_vm_end(&vm);
	return ok;
}
