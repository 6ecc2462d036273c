/* SPDX-License-Identifier: MIT */
/*
 * ACPI machine language, as far as a list of devices needs it (ACPI 6.4, chapter 20). Each function
 * appends one object. If there is no room for it, it appends nothing and sets `full`, which the
 * caller checks at the end.
 */
#ifndef VMM_BOOT_AML_H
#define VMM_BOOT_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
	uint8_t *bytes;
	size_t nr, size;
	bool full;
};

void aml_bytes(struct aml *aml, const void *bytes, size_t nr);
/* Begin an object that contains others. Pass the result to aml_end(). */
size_t aml_scope(struct aml *aml, const char *path);
size_t aml_device(struct aml *aml, const char name[4]);
void aml_end(struct aml *aml, size_t begun);

/* Append Name (NAME, value), for several kinds of value. Strings must be printable. */
void aml_name_string(struct aml *aml, const char name[4], const char *value);
void aml_name_integer(struct aml *aml, const char name[4], uint32_t value);
/* A PNP id such as "PNP0501", in compressed form. */
void aml_name_eisa_id(struct aml *aml, const char name[4], const char *id);
/* A package of up to 255 bytes. */
void aml_name_package(struct aml *aml, const char name[4], const uint8_t *values, uint8_t nr);

/* _CRS. Resources are appended between the two calls. */
size_t aml_begin_resources(struct aml *aml);
void aml_end_resources(struct aml *aml, size_t begun);
void aml_io_ports(struct aml *aml, uint16_t port, uint8_t nr);
void aml_memory(struct aml *aml, uint32_t base, uint32_t size);
/* Edge, active high, exclusive. */
void aml_interrupt(struct aml *aml, uint32_t gsi);

#endif
