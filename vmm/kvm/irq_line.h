/* SPDX-License-Identifier: MIT */
/* An interrupt line from a device to the interrupt controllers in KVM. */
#ifndef VMM_KVM_IRQ_LINE_H
#define VMM_KVM_IRQ_LINE_H

#include <stdbool.h>
#include <stdint.h>

struct irq_line {
	int vm_fd;    /* not owned */
	uint32_t gsi; /* the pin of the IOAPIC */
};

/* Raises or lowers the line. Any thread. Returns 0, or a negated errno. */
int irq_line_set(const struct irq_line *line, bool level);

#endif
