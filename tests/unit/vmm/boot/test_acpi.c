/* SPDX-License-Identifier: MIT */
/* The ACPI tables: whole by their own checksums, and read back by the reference compiler, iasl. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "boot/acpi.h"
#include "suites.h"

#define GPA      0xe0000u
#define MAX_SIZE 0x10000u

static uint8_t tables[MAX_SIZE];

static const struct acpi_config usual = {
	.nr_vcpus = 3,
	.ioapic_gpa = 0xfec00000,
	.sleep_control = 0x600,
	.sleep_status = 0x601,
	.reset = 0x602,
	.reset_value = 6,
	.panic_port = 0x505,
	.uart = {.port = 0x3f8, .nr_ports = 8, .gsi = 4},
	.nr_virtio = 2,
	.virtio = {{.gpa = 0xd0000000, .size = 0x1000, .gsi = 5},
		   {.gpa = 0xd0001000, .size = 0x1000, .gsi = 13}},
};

static uint64_t number(const uint8_t *at, unsigned bytes)
{
	uint64_t value = 0;

	memcpy(&value, at, bytes);
	return value;
}

static void expect_checksum(const uint8_t *bytes, size_t nr)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < nr; i++)
		sum += bytes[i];
	ck_assert_uint_eq(sum, 0);
}

/* The table at this gpa, whole and of this signature. */
static const uint8_t *table(uint64_t gpa, const char *signature)
{
	const uint8_t *at = tables + (gpa - GPA);

	ck_assert_uint_ge(gpa, GPA);
	ck_assert_uint_lt(gpa, GPA + MAX_SIZE - 36);
	ck_assert_mem_eq(at, signature, 4);
	ck_assert_uint_le(number(at + 4, 4), GPA + MAX_SIZE - gpa);
	expect_checksum(at, number(at + 4, 4));
	return at;
}

static const uint8_t *xsdt(void)
{
	ck_assert_mem_eq(tables, "RSD PTR ", 8);
	expect_checksum(tables, 20);
	expect_checksum(tables, 36);
	ck_assert_uint_eq(tables[15], 2);
	return table(number(tables + 24, 8), "XSDT");
}

START_TEST(tables_lead_to_each_other)
{
	size_t size = acpi_write(tables, sizeof(tables), GPA, &usual);
	const uint8_t *fadt, *madt;

	ck_assert_uint_gt(size, 0);
	ck_assert_uint_eq(number(xsdt() + 4, 4), 36 + 2 * 8);
	fadt = table(number(xsdt() + 36, 8), "FACP");
	madt = table(number(xsdt() + 44, 8), "APIC");
	ck_assert_uint_lt(number(fadt + 140, 8), GPA + size);
	table(number(fadt + 140, 8), "DSDT");
	ck_assert_uint_eq(number(fadt + 112, 4) & (1u << 20 | 1u << 10), 1u << 20 | 1u << 10);
	ck_assert_uint_eq(number(fadt + 120, 8), 0x602);
	ck_assert_uint_eq(fadt[128], 6);
	ck_assert_uint_eq(number(fadt + 248, 8), 0x600);
	ck_assert_uint_eq(number(fadt + 260, 8), 0x601);
	ck_assert_uint_eq(number(madt + 36, 4), 0xfee00000);
}
END_TEST

START_TEST(as_many_cpus_as_there_are)
{
	static const unsigned counts[] = {1, 2, 64, 254};
	struct acpi_config config = usual;
	const uint8_t *madt;

	config.nr_vcpus = counts[_i];
	ck_assert_uint_gt(acpi_write(tables, sizeof(tables), GPA, &config), 0);
	madt = table(number(xsdt() + 44, 8), "APIC");
	ck_assert_uint_eq(number(madt + 4, 4), 44 + counts[_i] * 8 + 12);
	for (unsigned i = 0; i < counts[_i]; i++) {
		const uint8_t *apic = madt + 44 + i * 8;

		ck_assert_uint_eq(apic[0], 0);
		ck_assert_uint_eq(apic[1], 8);
		ck_assert_uint_eq(apic[3], i);
		ck_assert_uint_eq(number(apic + 4, 4), 1);
	}
	ck_assert_uint_eq(madt[44 + counts[_i] * 8], 1);
	ck_assert_uint_eq(number(madt + 44 + counts[_i] * 8 + 4, 4), 0xfec00000);
}
END_TEST

/* And never a byte behind it. */
START_TEST(no_room)
{
	size_t size = acpi_write(tables, sizeof(tables), GPA, &usual);

	for (size_t less = 0; less < size; less++) {
		uint8_t *exact = malloc(less + 1);

		exact[less] = 0x5a;
		ck_assert_uint_eq(acpi_write(exact, less, GPA, &usual), 0);
		ck_assert_uint_eq(exact[less], 0x5a);
		free(exact);
	}
	ck_assert_uint_eq(acpi_write(tables, size, GPA, &usual), size);
}
END_TEST

static char *output_of(const char *command)
{
	FILE *pipe = popen(command, "r");
	char *text = calloc(1, 65536);

	ck_assert_ptr_nonnull(pipe);
	text[fread(text, 1, 65535, pipe)] = '\0';
	ck_assert_msg(pclose(pipe) == 0, "%s:\n%s", command, text);
	return text;
}

static void save(const char *folder, const char *name, const uint8_t *table_at)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(table_at, number(table_at + 4, 4), 1, file), 1);
	fclose(file);
}

static void expect_in(const char *text, const char *part)
{
	ck_assert_msg(strstr(text, part) != NULL, "no \"%s\" in:\n%s", part, text);
}

/* Taken apart, it says what went in; and compiles again, with as many errors as it should have. */
START_TEST(iasl_is_content)
{
	static const char *const says[] = {
		"EisaId (\"PNP0501\")",
		"\"QEMU0001\"",
		"\"LNRO0005\"",
		"Memory32Fixed (ReadWrite",
		"0xD0000000",
		"0xD0001000",
		"Edge, ActiveHigh, Excl",
		"0x0000000D",
		"Name (_S5",
		"Device (VR00)",
		"IO (Decode16",
		"0x03F8",
	};
	char folder[] = "/tmp/unit-vmm-XXXXXX", command[512], *text;

	if (system("command -v iasl >/dev/null 2>&1")) {
		printf("skip iasl_is_content: there is no iasl (acpica-tools)\n");
		return;
	}
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_uint_gt(acpi_write(tables, sizeof(tables), GPA, &usual), 0);
	save(folder, "facp.dat", table(number(xsdt() + 36, 8), "FACP"));
	save(folder, "apic.dat", table(number(xsdt() + 44, 8), "APIC"));
	save(folder, "xsdt.dat", xsdt());
	save(folder, "dsdt.dat",
	     table(number(tables + (number(xsdt() + 36, 8) - GPA) + 140, 8), "DSDT"));
	snprintf(command, sizeof(command),
		 "cd %s && for t in facp apic xsdt dsdt; do iasl -d $t.dat 2>&1 || exit 1; done; "
		 "iasl -f dsdt.dsl 2>&1",
		 folder);
	text = output_of(command);
	expect_in(text, "0 Errors");
	ck_assert_msg(!strstr(text, "Invalid"), "%s", text);
	free(text);
	snprintf(command, sizeof(command), "cat %s/dsdt.dsl", folder);
	text = output_of(command);
	for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++)
		expect_in(text, says[i]);
	free(text);
	snprintf(command, sizeof(command), "cat %s/facp.dsl && rm -rf %s", folder, folder);
	text = output_of(command);
	expect_in(text, "Hardware Reduced (V5) : 1");
	expect_in(text, "Reset Register Supported (V2) : 1");
	free(text);
}
END_TEST

TCase *acpi_tests(void)
{
	TCase *tc = tcase_create("acpi");

	tcase_add_test(tc, tables_lead_to_each_other);
	tcase_add_loop_test(tc, as_many_cpus_as_there_are, 0, 4);
	tcase_add_test(tc, no_room);
	tcase_add_test(tc, iasl_is_content);
	return tc;
}
