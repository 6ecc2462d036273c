/* SPDX-License-Identifier: MIT */
/* Unit tests of the VMM's core; none needs KVM. */
#include <stdlib.h>
#include "suites.h"

int main(void)
{
	Suite *suite = suite_create("vmm");
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, gdb_tests());
	suite_add_tcase(suite, options_tests());
	suite_add_tcase(suite, image_tests());
	suite_add_tcase(suite, exit_tests());
	suite_add_tcase(suite, bus_tests());
	suite_add_tcase(suite, memory_tests());
	suite_add_tcase(suite, boot_tests());
	suite_add_tcase(suite, acpi_tests());
	suite_add_tcase(suite, linux_tests());
	suite_add_tcase(suite, cpuid_tests());
	suite_add_tcase(suite, input_tests());
	suite_add_tcase(suite, uart_tests());
	suite_add_tcase(suite, console_tests());
	suite_add_tcase(suite, virtio_console_tests());
	suite_add_tcase(suite, pause_tests());
	suite_add_tcase(suite, run_tests());
	suite_add_tcase(suite, flush_tests());
	suite_add_tcase(suite, tracking_tests());
	suite_add_tcase(suite, json_object_tests());
	suite_add_tcase(suite, stats_tests());
	suite_add_tcase(suite, text_stream_tests());
	suite_add_tcase(suite, trace_tests());
	suite_add_tcase(suite, trace_json_tests());
	suite_add_tcase(suite, fatal_tests());
	suite_add_tcase(suite, say_tests());
	suite_add_tcase(suite, guest_log_tests());
	suite_add_tcase(suite, control_tests());
	suite_add_tcase(suite, insn_tests());
	suite_add_tcase(suite, write_protect_tests());
	suite_add_tcase(suite, page_walk_tests());
	suite_add_tcase(suite, strict_pte_tests());
	suite_add_tcase(suite, kvm_tests());
	suite_add_tcase(suite, probe_vm_tests());
	suite_add_tcase(suite, upcall_tests());
	suite_add_tcase(suite, vcpu_tests());
	suite_add_tcase(suite, transition_tests());
	suite_add_tcase(suite, transition_request_tests());
	suite_add_tcase(suite, retry_tests());
	suite_add_tcase(suite, balloon_tests());
	suite_add_tcase(suite, balloon_request_tests());
	suite_add_tcase(suite, sandbox_tests());
	suite_add_tcase(suite, hypercall_tests());
	suite_add_tcase(suite, origin_tests());
	suite_add_tcase(suite, store_tests());
	suite_add_tcase(suite, verify_tests());
	suite_add_tcase(suite, guest_events_tests());
	suite_add_tcase(suite, symbols_tests());
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
