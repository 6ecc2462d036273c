/* SPDX-License-Identifier: MIT */
#ifndef SUITES_H
#define SUITES_H

#include <check.h>

TCase *gdb_tests(void);
TCase *options_tests(void);
TCase *image_tests(void);
TCase *exit_tests(void);
TCase *bus_tests(void);
TCase *memory_tests(void);
TCase *boot_tests(void);
TCase *acpi_tests(void);
TCase *linux_tests(void);
TCase *cpuid_tests(void);
TCase *input_tests(void);
TCase *uart_tests(void);
TCase *console_tests(void);
TCase *virtio_console_tests(void);
TCase *pause_tests(void);
TCase *run_tests(void);
TCase *flush_tests(void);
TCase *tracking_tests(void);
TCase *json_object_tests(void);
TCase *stats_tests(void);
TCase *text_stream_tests(void);
TCase *trace_tests(void);
TCase *trace_json_tests(void);
TCase *fatal_tests(void);
TCase *say_tests(void);
TCase *guest_log_tests(void);
TCase *control_tests(void);
TCase *insn_tests(void);
TCase *write_protect_tests(void);
TCase *page_walk_tests(void);
TCase *strict_pte_tests(void);
TCase *kvm_tests(void);
TCase *probe_vm_tests(void);
TCase *upcall_tests(void);
TCase *vcpu_tests(void);
TCase *transition_tests(void);
TCase *transition_request_tests(void);
TCase *retry_tests(void);
TCase *balloon_tests(void);
TCase *balloon_request_tests(void);
TCase *sandbox_tests(void);
TCase *hypercall_tests(void);
TCase *origin_tests(void);
TCase *store_tests(void);
TCase *verify_tests(void);
TCase *guest_events_tests(void);
TCase *symbols_tests(void);

#endif
