/* SPDX-License-Identifier: MIT */
/* Guests and images that go wrong: each has its exit status and one sentence. */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "alias_abi.h"
#include "run.h"
#include "suites.h"

#define NR_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

static void guest_exits_with(const char *word, int status)
{
	struct run run;

	RUN(&run, path_guest(), "--", "workload=exit", word);
	expect_status(&run, status);
	ck_assert_int_eq(stat_of(&run, "status"), status);
	run_free(&run);
}

START_TEST(the_guests_status_is_the_programs)
{
	guest_exits_with("status=0", 0);
	guest_exits_with("status=7", 7);
	guest_exits_with("status=63", 63);
}
END_TEST

START_TEST(a_hanging_guest_times_out)
{
	struct run run;

	RUN(&run, "-c", _i ? "4" : "1", "--timeout", "2", path_guest(), "--", "workload=hang");
	expect_status(&run, 75);
	expect_contains(run.err, "time limit of 2 s");
	ck_assert_int_eq(stat_of(&run, "status"), 75);
	run_free(&run);
}
END_TEST

START_TEST(a_triple_fault_is_no_success)
{
	struct run run;

	RUN(&run, path_guest(), "--", "workload=triplefault");
	expect_status(&run, 80);
	expect_contains(run.err, "triple fault");
	expect_contains(run.err, "rip");
	run_free(&run);
}
END_TEST

START_TEST(a_panic_is_63)
{
	struct run run;

	RUN(&run, path_guest(), "--", "workload=panic");
	expect_status(&run, 63);
	expect_contains(run.out, "guest: panic:");
	run_free(&run);
}
END_TEST

START_TEST(wrong_boot_arguments_are_62)
{
	struct run run;

	RUN(&run, path_guest(), "--", "wrokload=demo");
	expect_status(&run, 62);
	run_free(&run);
}
END_TEST

static const struct {
	const char *args[4];
	int status;
	const char *says;
} command_lines[] = {
	{{"--no-such-option", "g"}, 64, "no-such-option"},
	{{"-m", "4x", "g"}, 64, "4x"},
	{{"-m", "0", "g"}, 64, "0"},
	{{"-m", "-5", "g"}, 64, "-5"},
	{{"-m", "99999999999T", "g"}, 64, "99999999999T"},
	{{"-m", "1G2", "g"}, 64, "1G2"},
	{{"-c", "0", "g"}, 64, "0"},
	{{"--stats=same", "--trace=same", "g"}, 64, "both name same"},
	{{"--stats=-", "--trace=-", "g"}, 64, "both name -"},
	{{"--stats=same", "--trace=./same", "g"}, 64, "--stats and --trace both name same"},
	{{"--stats=same", "--control=same", "g"}, 64, "--stats and --control both name same"},
	{{"--trace=same", "--gdb=./same", "g"}, 64, "--trace and --gdb both name same"},
	{{"--control=same", "--gdb=./same", "g"}, 64, "--control and --gdb both name same"},
	{{"--trace", "g", "g"}, 64, "the guest image"},
	{{"--trace=d", "--disk=d", "g"}, 64, "a disk"},
	{{"--stats=i", "--initrd=i", "g"}, 64, "the initrd"},
	{{"--stats=s", "--symbols=s", "g"}, 64, "the file of --symbols"},
	{{"-c", "65", "g"}, 64, "65"},
	{{"-c", "2cpus", "g"}, 64, "2cpus"},
	{{"-f", "sometimes", "g"}, 64, "sometimes"},
	{{"-t", "magic", "g"}, 64, "magic"},
	{{"--timeout", "soon", "g"}, 64, "soon"},
	{{"--on-violation", "cry", "g"}, 64, "cry"},
	{{"--flush-proof", "hope", "g"}, 64, "hope"},
	{{"ctl"}, 64, "REQUEST"},
	{{"ctl", "p", "pause", "1"}, 64, "not a request"},
	{{"ctl", "p", "strategy", "\xff"}, 64, "strategy needs a NAME"},
	{{"ctl", "p", "frame", "0x"}, 64, "frame needs the number"},
	{{"ctl", "--what"}, 64, "--what"},
	{{NULL}, 64, "GUEST"},
	{{"/no/such/guest"}, 66, "/no/such/guest"},
	{{"/dev/null"}, 65, "/dev/null"},
};

START_TEST(bad_command_lines)
{
	const char *argv[8] = {path_vmm()};
	struct run run;

	for (int i = 0; i < 4 && command_lines[_i].args[i]; i++)
		argv[i + 1] = command_lines[_i].args[i];
	run_program(&run, NULL, argv);
	expect_status(&run, command_lines[_i].status);
	expect_contains(run.err, command_lines[_i].says);
	ck_assert_msg(!strncmp(run.err, "vmm: ", 5) || !strncmp(run.err, "vmm ctl: ", 9), "%s",
		      run.err);
	run_free(&run);
}
END_TEST

/* What is printed and does not arrive is an error. */
START_TEST(printing_to_a_full_disk)
{
	static const char *const what[] = {"--help",  "--version",      "--usage",
					   "--probe", "--probe --json", "ctl --help"};
	char command[8192];
	const char *const argv[] = {"/bin/sh", "-c", command, NULL};
	struct run run;

	snprintf(command, sizeof(command), "'%s' %s >/dev/full", path_vmm(), what[_i]);
	run_program(&run, NULL, argv);
	expect_status(&run, 74);
	expect_one_sentence(&run, "standard output");
	run_free(&run);
}
END_TEST

/* One limit for both: the longest that the host lets through is read by the guest. */
START_TEST(the_longest_command_line_boots)
{
	char word[ALIAS_CMDLINE_SIZE];
	const char *const usual = "flush=trap workload=exit status=";
	struct run run;

	memset(word, '0', sizeof(word));
	memcpy(word, "status=", 7);
	word[sizeof(word) - 1 - (strlen(usual) - 7)] = '\0';
	word[strlen(word) - 1] = '7';
	RUN(&run, path_guest(), "--", "workload=exit", word);
	expect_status(&run, 7);
	run_free(&run);
}
END_TEST

/* The guest's image, to be spoilt. */
static uint8_t *load_guest(size_t *size)
{
	int fd = open(path_guest(), O_RDONLY);
	struct stat st;
	uint8_t *image;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	image = malloc(st.st_size);
	ck_assert_ptr_nonnull(image);
	ck_assert_int_eq(read(fd, image, st.st_size), st.st_size);
	close(fd);
	*size = st.st_size;
	return image;
}

static void expect_refused(const uint8_t *image, size_t size, const char *what, size_t at)
{
	const char *path = tmp_file("spoilt.elf");
	const char *const argv[] = {path_vmm(), path, NULL};
	FILE *file = fopen(path, "w");
	struct run run;

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(image, 1, size, file), size);
	ck_assert_int_eq(fclose(file), 0);
	run_program(&run, NULL, argv);
	ck_assert_msg(run.status == 65, "%s %zu: ended with %d\n%s", what, at, run.status, run.err);
	expect_one_sentence(&run, "spoilt.elf");
	run_free(&run);
}

/* The end of the file in each field of the ELF header, of the program headers, and further in. */
START_TEST(truncated_images_are_refused)
{
	static const size_t ehdr_fields[] = {0,  4,  5,  6,  7,  8,  16, 18, 20, 24,
					     32, 40, 48, 52, 54, 56, 58, 60, 62, 63};
	static const size_t phdr_fields[] = {0, 4, 8, 16, 24, 32, 40, 48, 55};
	size_t size;
	uint8_t *image = load_guest(&size);
	const Elf64_Ehdr *ehdr = (const void *)image;

	for (int i = 0; i < NR_OF(ehdr_fields); i++)
		expect_refused(image, ehdr_fields[i], "truncated at", ehdr_fields[i]);
	for (unsigned p = 0; p < ehdr->e_phnum; p++)
		for (int i = 0; i < NR_OF(phdr_fields); i++) {
			size_t at = ehdr->e_phoff + p * sizeof(Elf64_Phdr) + phdr_fields[i];

			expect_refused(image, at, "truncated at", at);
		}
	free(image);
}
END_TEST

START_TEST(other_spoilt_images_are_refused)
{
	static const struct {
		const char *what;
		size_t offset, len;
		uint64_t value;
	} spoils[] = {
		{"magic", 1, 1, 'F'},
		{"class 32", EI_CLASS, 1, ELFCLASS32},
		{"big endian", EI_DATA, 1, ELFDATA2MSB},
		{"type", offsetof(Elf64_Ehdr, e_type), 2, ET_REL},
		{"machine", offsetof(Elf64_Ehdr, e_machine), 2, EM_AARCH64},
		{"phoff far", offsetof(Elf64_Ehdr, e_phoff), 8, UINT64_MAX - 8},
		{"phentsize", offsetof(Elf64_Ehdr, e_phentsize), 2, 1},
		{"phnum 0", offsetof(Elf64_Ehdr, e_phnum), 2, 0},
		{"phnum huge", offsetof(Elf64_Ehdr, e_phnum), 2, 0xfff0},
	};
	size_t size;
	uint8_t *image = load_guest(&size);

	for (int i = 0; i < NR_OF(spoils); i++) {
		uint8_t *copy = malloc(size);

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, image, size);
		memcpy(copy + spoils[i].offset, &spoils[i].value, spoils[i].len);
		expect_refused(copy, size, spoils[i].what, i);
		free(copy);
	}
	free(image);
}
END_TEST

/* Each field of the first loaded segment, one after the other, made absurd. */
START_TEST(spoilt_segments_are_refused)
{
	static const size_t fields[] = {
		offsetof(Elf64_Phdr, p_offset), offsetof(Elf64_Phdr, p_paddr),
		offsetof(Elf64_Phdr, p_filesz), offsetof(Elf64_Phdr, p_memsz)};
	static const uint64_t values[] = {UINT64_MAX, UINT64_MAX - 4095, 1ull << 63, 1ull << 40};
	size_t size;
	uint8_t *image = load_guest(&size);
	Elf64_Ehdr *ehdr = (void *)image;
	Elf64_Phdr *load = (void *)(image + ehdr->e_phoff);

	while (load->p_type != PT_LOAD)
		load++;
	for (int f = 0; f < NR_OF(fields); f++)
		for (int v = 0; v < NR_OF(values); v++) {
			uint64_t *field = (uint64_t *)((char *)load + fields[f]);
			uint64_t was = *field;

			*field = values[v];
			expect_refused(image, size, "field", fields[f]);
			*field = was;
		}
	load->p_paddr = 0x6000;
	expect_refused(image, size, "segment in low memory", 0);
	free(image);
}
END_TEST

START_TEST(an_ordinary_program_is_no_guest)
{
	const char *const argv[] = {path_vmm(), path_vmm(), NULL};
	struct run run;

	run_program(&run, NULL, argv);
	expect_status(&run, 65);
	expect_one_sentence(&run, "not an executable");
	run_free(&run);
}
END_TEST

START_TEST(statistics_that_cannot_be_written)
{
	struct run run;

	RUN(&run, "--stats", "/dev/null/stats.json", path_guest());
	expect_status(&run, 74);
	expect_one_sentence(&run, "--stats /dev/null/stats.json: Not a directory");
	ck_assert_str_eq(run.out, "");
	run_free(&run);
}
END_TEST

START_TEST(statistics_on_standard_output)
{
	struct run run;
	json_t *json;

	RUN(&run, "--stats", "-", path_guest(), "--", "workload=exit", "status=3");
	expect_status(&run, 3);
	json = json_loads(strchr(run.out, '{'), 0, NULL);
	ck_assert_ptr_nonnull(json);
	json_decref(json);
	run_free(&run);
}
END_TEST

/* As root, /dev/kvm can be put away for a moment. */
START_TEST(no_kvm_names_the_cure)
{
	const char *const argv[] = {path_vmm(), path_guest(), NULL};
	struct run run;

	if (rename("/dev/kvm", "/dev/kvm-away")) {
		printf("skip no_kvm_names_the_cure: /dev/kvm can't be moved away here\n");
		return;
	}
	run_program(&run, NULL, argv);
	ck_assert_int_eq(rename("/dev/kvm-away", "/dev/kvm"), 0);
	expect_status(&run, 69);
	expect_one_sentence(&run, "/dev/kvm");
	run_free(&run);
}
END_TEST

START_TEST(probe_says_what_can_run)
{
	const char *const argv[] = {path_vmm(), "--probe", "--json", NULL};
	struct run run;
	json_t *json;

	run_program(&run, NULL, argv);
	expect_status(&run, 0);
	json = json_loads(run.out, 0, NULL);
	ck_assert_ptr_nonnull(json);
	json_decref(json);
	run_free(&run);
}
END_TEST

/* Where the module says that there is a second stage, and no Hyper-V is below, KVM was seen to
 * flush when it forgot the page: the probe counts its flushes. */
START_TEST(the_probe_sees_kvm_flush)
{
	const char *const argv[] = {path_vmm(), "--probe", NULL};
	static const char said[] = "TLBs flushed by the host   ";
	struct run run;
	const char *at;

	run_program(&run, NULL, argv);
	expect_status(&run, 0);
	at = strstr(run.out, said);
	ck_assert_ptr_nonnull(at);
	at += sizeof(said) - 1;
	ck_assert_msg(!strncmp(at, "yes", 3) || !strncmp(at, "no: KVM shadows", 15) ||
			      !strncmp(at, "no: this host runs under Hyper-V", 32),
		      "%.60s", at);
	run_free(&run);
}
END_TEST

Suite *endings_suite(void)
{
	Suite *suite = suite_create("endings");
	TCase *tc = tcase_create("endings");

	tcase_set_timeout(tc, 240);
	tcase_add_test(tc, the_guests_status_is_the_programs);
	tcase_add_loop_test(tc, a_hanging_guest_times_out, 0, 2);
	tcase_add_test(tc, a_triple_fault_is_no_success);
	tcase_add_test(tc, a_panic_is_63);
	tcase_add_test(tc, wrong_boot_arguments_are_62);
	tcase_add_loop_test(tc, bad_command_lines, 0, NR_OF(command_lines));
	tcase_add_loop_test(tc, printing_to_a_full_disk, 0, 6);
	tcase_add_test(tc, the_longest_command_line_boots);
	tcase_add_test(tc, truncated_images_are_refused);
	tcase_add_test(tc, other_spoilt_images_are_refused);
	tcase_add_test(tc, spoilt_segments_are_refused);
	tcase_add_test(tc, an_ordinary_program_is_no_guest);
	tcase_add_test(tc, statistics_that_cannot_be_written);
	tcase_add_test(tc, statistics_on_standard_output);
	tcase_add_test(tc, no_kvm_names_the_cure);
	tcase_add_test(tc, probe_says_what_can_run);
	tcase_add_test(tc, the_probe_sees_kvm_flush);
	suite_add_tcase(suite, tc);
	return suite;
}
