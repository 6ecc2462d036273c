/* SPDX-License-Identifier: MIT */
/* The control socket: what a client sends, in pieces that a byte 0xff ends. Each line must have one
 * answer, a JSON object on a line. */
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "control/control.h"
#include "control/request.h"
#include "live_audit.h"
#include "fuzz_machine.h"
#include "kvm/host.h"

static struct fuzz_machine fm;
static struct live_audit *audit;
static struct control *control;
static char folder[] = "/tmp/fuzz-control-XXXXXX";
static int client;

/* Instead of host.c, whose files take the kernel longer than all else. */
json_t *host_describe(void)
{
	return json_object();
}

uint64_t host_read_kb(int fd, const char *name)
{
	(void)fd, (void)name;
	return 4096;
}

static void tidy_up(void)
{
	close(client);
	control_close(control);
	rmdir(folder);
}

static void connect_once(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (control)
		return;
	MUST(mkdtemp(folder) != NULL);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", folder);
	control = control_open(addr.sun_path);
	client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(control && connect(client, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	atexit(tidy_up);
}

static void serve(void)
{
	const struct control_target target = {&fm.machine, fm.pin, &audit};
	struct pollfd fds[CONTROL_NR_FDS];

	for (;;) {
		control_poll(control, fds);
		if (poll(fds, CONTROL_NR_FDS, 0) <= 0)
			return;
		control_serve(control, &target, fds);
	}
}

/* Takes the answers that have come by now; each is whole. */
static unsigned take_answers(void)
{
	static char text[1 << 18];
	ssize_t len = recv(client, text, sizeof(text), MSG_DONTWAIT);
	unsigned nr = 0;

	for (char *at = text, *end; len > 0 && at < text + len; at = end + 1, nr++) {
		json_t *answer;

		end = memchr(at, '\n', (size_t)(text + len - at));
		MUST(end != NULL);
		answer = json_loadb(at, (size_t)(end - at), JSON_REJECT_DUPLICATES, NULL);
		MUST(json_is_object(answer) && json_object_size(answer) > 0);
		json_decref(answer);
	}
	return nr;
}

static unsigned send_piece(const uint8_t *data, size_t size)
{
	MUST(send(client, data, size, 0) == (ssize_t)size);
	serve();
	return take_answers();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = {data, size};
	unsigned lines = 1, answers = 0;
	uint8_t how = take1(&in);

	connect_once();
	fm.opt = (struct options){.flush = how & 1 ? ALIAS_FLUSH_TRAP : ALIAS_FLUSH_NONE,
				  .track = how >> 1 & 1 ? TRACK_OFF : TRACK_DIRTY,
				  .control = folder};
	fuzz_machine_start(&fm);
	while (in.left > 0) {
		const uint8_t *end = memchr(in.at, 0xff, in.left);
		size_t len = end ? (size_t)(end - in.at) : in.left;

		for (size_t i = 0; i < len; i++)
			lines += in.at[i] == '\n';
		if (len > 0)
			answers += send_piece(in.at, len);
		in.at += len + !!end;
		in.left -= len + !!end;
	}
	answers += send_piece((const uint8_t *)"\n", 1);
	MUST(answers == lines);
	live_audit_free(audit);
	audit = NULL;
	fuzz_machine_end(&fm);
	return 0;
}
