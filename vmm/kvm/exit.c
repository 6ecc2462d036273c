/* SPDX-License-Identifier: MIT */
#include "kvm/exit.h"

#include <string.h>

#define NAME(reason) [reason] = #reason

static const char *const names[] = {
	NAME(KVM_EXIT_UNKNOWN),
	NAME(KVM_EXIT_EXCEPTION),
	NAME(KVM_EXIT_IO),
	NAME(KVM_EXIT_HYPERCALL),
	NAME(KVM_EXIT_DEBUG),
	NAME(KVM_EXIT_HLT),
	NAME(KVM_EXIT_MMIO),
	NAME(KVM_EXIT_IRQ_WINDOW_OPEN),
	NAME(KVM_EXIT_SHUTDOWN),
	NAME(KVM_EXIT_FAIL_ENTRY),
	NAME(KVM_EXIT_INTR),
	NAME(KVM_EXIT_SET_TPR),
	NAME(KVM_EXIT_TPR_ACCESS),
	NAME(KVM_EXIT_NMI),
	NAME(KVM_EXIT_INTERNAL_ERROR),
	NAME(KVM_EXIT_SYSTEM_EVENT),
	NAME(KVM_EXIT_IOAPIC_EOI),
	NAME(KVM_EXIT_HYPERV),
	NAME(KVM_EXIT_X86_RDMSR),
	NAME(KVM_EXIT_X86_WRMSR),
	NAME(KVM_EXIT_DIRTY_RING_FULL),
	NAME(KVM_EXIT_X86_BUS_LOCK),
	NAME(KVM_EXIT_XEN),
	NAME(KVM_EXIT_NOTIFY),
};

const char *exit_name(uint32_t reason)
{
	if (reason < sizeof(names) / sizeof(names[0]) && names[reason])
		return names[reason];
	return "unknown exit";
}

static bool length_is_valid(uint32_t len, uint32_t max)
{
	return (len == 1 || len == 2 || len == 4 || len == 8) && len <= max;
}

static struct exit decode_pio(const struct kvm_run *run, size_t size)
{
	struct exit exit = {
		.kind = EXIT_PIO,
		.io =
			{
				.write = run->io.direction == KVM_EXIT_IO_OUT,
				.len = run->io.size,
				.count = run->io.count,
				.addr = run->io.port,
				.data = run->io.data_offset,
			},
	};

	if (!length_is_valid(run->io.size, 4) || run->io.count == 0 || run->io.data_offset > size ||
	    run->io.count > (size - run->io.data_offset) / run->io.size)
		exit.kind = EXIT_MALFORMED;
	return exit;
}

static struct exit decode_mmio(const struct kvm_run *run)
{
	struct exit exit = {
		.kind = EXIT_MMIO,
		.io =
			{
				.write = run->mmio.is_write,
				.len = run->mmio.len,
				.count = 1,
				.addr = run->mmio.phys_addr,
				.data = offsetof(struct kvm_run, mmio.data),
			},
	};

	/* A page-crossing access comes in parts of any length up to 8. */
	if (run->mmio.len == 0 || run->mmio.len > sizeof(run->mmio.data))
		exit.kind = EXIT_MALFORMED;
	return exit;
}

struct exit exit_decode(const struct kvm_run *run, size_t size)
{
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		return decode_pio(run, size);
	case KVM_EXIT_MMIO:
		return decode_mmio(run);
	case KVM_EXIT_DEBUG:
		return (struct exit){.kind = EXIT_DEBUG};
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return (struct exit){.kind = EXIT_AGAIN};
	case KVM_EXIT_SHUTDOWN:
	case KVM_EXIT_SYSTEM_EVENT:
		return (struct exit){.kind = EXIT_SHUTDOWN};
	case KVM_EXIT_UNKNOWN:
	case KVM_EXIT_EXCEPTION:
	case KVM_EXIT_FAIL_ENTRY:
	case KVM_EXIT_INTERNAL_ERROR:
		return (struct exit){.kind = EXIT_STUCK};
	default:
		return (struct exit){.kind = EXIT_UNHANDLED};
	}
}

uint64_t exit_get(const struct kvm_run *run, const struct exit_io *io, uint32_t i)
{
	uint64_t value = 0;

	memcpy(&value, (const uint8_t *)run + io->data + (size_t)i * io->len, io->len);
	return value;
}

void exit_put(struct kvm_run *run, const struct exit_io *io, uint32_t i, uint64_t value)
{
	memcpy((uint8_t *)run + io->data + (size_t)i * io->len, &value, io->len);
}
