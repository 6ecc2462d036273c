/* SPDX-License-Identifier: MIT */
/* The interrupt controllers: the CPUs' local APICs (x2APIC, or xAPIC where the processor has no
 * x2APIC) and the IOAPIC. */
#ifndef APIC_H
#define APIC_H

#include <stdbool.h>
#include <stdint.h>

/* Maps the registers of the APICs and masks the two PICs. Once, on the boot CPU, before
 * apic_init_cpu() of any CPU. */
void apic_init(void);
/* Turns on this CPU's APIC. Returns its id. */
uint32_t apic_init_cpu(void);

/* Signals the end of an interrupt, on this CPU. */
void apic_eoi(void);

/* Send an IPI with one write to the ICR. The receiver sees all stores made before the call. */
void apic_send_ipi(uint32_t apic_id, uint8_t vector);
void apic_send_to_others(uint8_t vector);
void apic_send_init(uint32_t apic_id);
/* Starts the CPU in real mode at the address page << 12. */
void apic_send_sipi(uint32_t apic_id, uint8_t page);

/* Routes an edge-triggered GSI to `vector` on that CPU. Returns false if the IOAPIC has no such
 * pin. */
bool ioapic_route(unsigned gsi, uint8_t vector, uint32_t apic_id);

#endif
