/* SPDX-License-Identifier: MIT */
/*
 * ACPI machine language, as far as a list of devices needs it (ACPI 6.4, chapter 20): each function
 * appends one thing. What has no room is left out and `full` is set, for the last to look at.
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
/* Begin something that has a length, and return what aml_end() is to be given. */
size_t aml_scope(struct aml *aml, const char *path);
size_t aml_device(struct aml *aml, const char name[4]);
void aml_end(struct aml *aml, size_t begun);

/* Name (NAME, value) of several kinds; strings have printable characters alone. */
void aml_name_string(struct aml *aml, const char name[4], const char *value);
void aml_name_integer(struct aml *aml, const char name[4], uint32_t value);
/* The compressed form of a PNP id, as "PNP0501". */
void aml_name_eisa_id(struct aml *aml, const char name[4], const char *id);
/* A package of up to 255 bytes. */
void aml_name_package(struct aml *aml, const char name[4], const uint8_t *values, uint8_t nr);

/* _CRS: resources are added between the two. */
size_t aml_begin_resources(struct aml *aml);
void aml_end_resources(struct aml *aml, size_t begun);
void aml_io_ports(struct aml *aml, uint16_t port, uint8_t nr);
void aml_memory(struct aml *aml, uint32_t base, uint32_t size);
/* Edge, active high, exclusive. */
void aml_interrupt(struct aml *aml, uint32_t gsi);

#endif
