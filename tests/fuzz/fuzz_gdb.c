/* SPDX-License-Identifier: MIT */
/* The debugger at --gdb, which may send anything. The input is a list of pieces, each ended by a
 * byte 0xff: a packet's data, to which frame and checksum are added; after '!' raw bytes; after '^'
 * a vCPU stops at a breakpoint, with the next bytes as the reason. What comes back must be
 * acknowledgements and whole packets; a debugger that has left leaves no breakpoint behind. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "../unit/vmm/fake_kvm.h"
#include "fuzz.h"
#include "gdb/gdb.h"
#include "gdb/internal.h"
#include "kvm/vm.h"
#include "stop.h"

#define NR_VCPUS  2
#define VCPU_FD   100000 /* of no file */
#define MEMORY    (1u << 20)
#define MAX_PIECE 2000

static struct vm vm;
static struct vcpu vcpus[NR_VCPUS];
static struct kvm_run runs[NR_VCPUS];
static struct kvm_regs regs;
static struct kvm_fpu fpu;
static struct stop stop;
static char folder[] = "/tmp/fuzz-gdb-XXXXXX";

/* Every other 4 KiB page is mapped, at its own address; nothing is paged with bit 0 of `how`. */
static uint8_t how;

static int play_kvm(int fd, unsigned long request, void *arg)
{
	struct kvm_translation *translation = arg;

	if (request == KVM_ENABLE_CAP)
		return 0;
	if (fd < VCPU_FD || fd >= VCPU_FD + NR_VCPUS)
		return request == KVM_CREATE_VM ? -1 : FAKE_PASS;
	switch (request) {
	case KVM_GET_REGS:
		*(struct kvm_regs *)arg = regs;
		return 0;
	case KVM_SET_REGS:
		regs = *(struct kvm_regs *)arg;
		return 0;
	case KVM_GET_SREGS:
		*(struct kvm_sregs *)arg = (struct kvm_sregs){
			.cr0 = how & 1 ? 1 : 0x80000001, .cr3 = 0x1000, .efer = 0x500};
		return 0;
	case KVM_GET_FPU:
		*(struct kvm_fpu *)arg = fpu;
		return 0;
	case KVM_SET_FPU:
		fpu = *(struct kvm_fpu *)arg;
		return 0;
	case KVM_TRANSLATE:
		translation->physical_address = translation->linear_address % (2 * MEMORY);
		translation->valid = !(translation->linear_address >> 12 & 1);
		return 0;
	case KVM_SET_GUEST_DEBUG:
		return 0;
	}
	fuzz_fail("no such request is known of KVM: %#lx", request);
}

static void serve(struct gdb *gdb)
{
	struct pollfd fds[GDB_NR_FDS];

	for (;;) {
		gdb_poll(gdb, fds);
		if (poll(fds, GDB_NR_FDS, 0) <= 0)
			return;
		gdb_serve(gdb, fds);
	}
}

/* What has come must be whole. */
static void check_answers(int client)
{
	static char text[1 << 18];
	ssize_t len = recv(client, text, sizeof(text), MSG_DONTWAIT);

	for (ssize_t i = 0; i < len; i++) {
		uint8_t sum = 0;
		char end[4];

		if (text[i] == '+' || text[i] == '-')
			continue;
		MUST(text[i] == '$');
		for (i++; i < len && text[i] != '#'; i++)
			sum += (uint8_t)text[i];
		MUST(i + 2 < len);
		snprintf(end, sizeof(end), "#%02x", sum);
		MUST(!memcmp(text + i, end, 3));
		i += 2;
	}
}

static void send_packet(int client, const uint8_t *data, size_t len)
{
	char packet[MAX_PIECE + 5] = "$";
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += data[i];
	memcpy(packet + 1, data, len);
	snprintf(packet + 1 + len, 4, "#%02x", sum);
	send(client, packet, len + 4, MSG_NOSIGNAL);
}

/* A vCPU that is let run stops; its registers are where the guest was. */
static void hit(struct gdb *gdb, struct bytes *in)
{
	unsigned i = take1(in) % NR_VCPUS;

	if (!(gdb->running >> i & 1) || (gdb->hits >> i & 1))
		return;
	runs[i].debug.arch = (struct kvm_debug_exit_arch){
		.exception = take1(in) & 1 ? 1 : 3, .pc = take(in, 4), .dr6 = take(in, 2)};
	runs[i].exit_reason = KVM_EXIT_DEBUG;
	vm.debug_ops->exit(gdb, &vcpus[i]);
}

static void do_piece(struct gdb *gdb, int client, const uint8_t *at, size_t len)
{
	struct bytes rest = {at + 1, len ? len - 1 : 0};

	if (len && *at == '^')
		hit(gdb, &rest);
	else if (len && *at == '!')
		send(client, rest.at, rest.left, MSG_NOSIGNAL);
	else
		send_packet(client, at, len);
	serve(gdb);
	check_answers(client);
}

static void start(struct gdb *gdb)
{
	static const struct image image = {
		.nr = 1, .segment = {{.gpa = 0x100000 / 2, .va = 0x400000, .memsz = 0x4000}}};

	for (unsigned i = 0; i < NR_VCPUS; i++)
		vcpus[i] = (struct vcpu){
			.index = i, .fd = VCPU_FD + (int)i, .run = &runs[i], .vm = &vm};
	vm = (struct vm){.nr_vcpus = NR_VCPUS, .vcpus = vcpus, .stop = &stop};
	vcpu_pause_init(&vm.pause);
	MUST(memory_init(&vm.mem, MEMORY) == 0);
	MUST(stop_init(&stop) == 0);
	gdb_attach(gdb, &vm, &image, VCPU_FD - 1);
	gdb->target.int3 = how & 2;
	gdb->target.hardware = how & 4;
}

static void end(struct gdb *gdb, int client)
{
	close(client);
	serve(gdb);
	MUST(gdb->fd < 0 && gdb->target.nr_software == 0);
	gdb_close(gdb);
	memory_free(&vm.mem);
	vcpu_pause_destroy(&vm.pause);
	stop_free(&stop);
}

static void remove_folder(void)
{
	rmdir(folder);
}

/* Once: its name may well end in an X again. */
static void make_folder(void)
{
	static bool made;

	if (made)
		return;
	MUST(mkdtemp(folder) != NULL);
	atexit(remove_folder);
	made = true;
}

/* Returns its socket. */
static int open_gdb(struct gdb **gdb)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	make_folder();
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", folder);
	*gdb = gdb_open(addr.sun_path);
	MUST(*gdb && connect(client, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	return client;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = {data, size};
	struct gdb *gdb;
	int client = open_gdb(&gdb);

	how = take1(&in);
	fake_kvm = play_kvm;
	start(gdb);
	serve(gdb);
	while (in.left > 0) {
		const uint8_t *piece_end = memchr(in.at, 0xff, in.left);
		size_t len = piece_end ? (size_t)(piece_end - in.at) : in.left;

		do_piece(gdb, client, in.at, len < MAX_PIECE ? len : MAX_PIECE);
		in.at += len + !!piece_end;
		in.left -= len + !!piece_end;
	}
	end(gdb, client);
	fake_kvm = NULL;
	return 0;
}
