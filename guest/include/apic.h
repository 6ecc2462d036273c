/* SPDX-License-Identifier: MIT */
/* The local APIC (x2APIC, or xAPIC where the processor has nothing better) and the IOAPIC. */
#ifndef APIC_H
#define APIC_H

#include <stdbool.h>
#include <stdint.h>

/* Once, on the boot CPU, before any CPU's apic_init_cpu(): maps what is reached through memory and
 * silences the PICs. */
void apic_init(void);
/* Turns on the APIC of this CPU; returns its id. */
uint32_t apic_init_cpu(void);

/* End of interrupt, on this CPU. */
void apic_eoi(void);

/* One ICR write each; what was stored before is visible to the receiver. */
void apic_send_ipi(uint32_t apic_id, uint8_t vector);
void apic_send_to_others(uint8_t vector);
void apic_send_init(uint32_t apic_id);
/* The CPU starts in real mode at page << 12. */
void apic_send_sipi(uint32_t apic_id, uint8_t page);

/* Routes a GSI, edge-triggered, to a vector on that CPU. False if the IOAPIC has no such pin. */
bool ioapic_route(unsigned gsi, uint8_t vector, uint32_t apic_id);

#endif
