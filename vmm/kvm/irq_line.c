/* SPDX-License-Identifier: MIT */
#include "kvm/irq_line.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

int irq_line_set(const struct irq_line *line, bool level)
{
	struct kvm_irq_level irq = {.irq = line->gsi, .level = level};

	return ioctl(line->vm_fd, KVM_IRQ_LINE, &irq) < 0 ? -errno : 0;
}
