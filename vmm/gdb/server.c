/* SPDX-License-Identifier: MIT */
/* The debugger's connection. */
#include "gdb/gdb.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "gdb/internal.h"
#include "kvm/vm.h"
#include "say.h"
#include "status.h"
#include "stop.h"

enum { LISTEN, DEBUGGER, HIT };

/* --- the connection --------------------------------------------------------------------------- */

static void lose_debugger(struct gdb *gdb)
{
	close(gdb->fd);
	gdb->fd = -1;
	gdb->nr_in = gdb->taken = 0;
	gdb->nr_out = gdb->sent = 0;
	gdb->no_ack = gdb->hang_up = false;
	gdb->reader.state = GDB_BETWEEN;
}

static void end_debugging(struct gdb *gdb)
{
	gdb_detach(gdb);
	lose_debugger(gdb);
}

static void send_more(struct gdb *gdb)
{
	ssize_t n = send(gdb->fd, gdb->out + gdb->sent, gdb->nr_out - gdb->sent,
			 MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		end_debugging(gdb);
		return;
	}
	gdb->sent += (size_t)n;
	if (gdb->sent < gdb->nr_out)
		return;
	gdb->nr_out = gdb->sent = 0;
	if (gdb->hang_up)
		lose_debugger(gdb);
}

static void send_reply(struct gdb *gdb)
{
	if (gdb->reply.overflow) {
		gdb->reply = (struct gdb_reply){0};
		gdb_reply_text(&gdb->reply, "E02");
	}
	gdb->nr_out += gdb_reply_frame(&gdb->reply, gdb->out + gdb->nr_out);
	gdb->reply.len = 0;
	send_more(gdb);
}

static void acknowledge_packet(struct gdb *gdb, char how)
{
	if (!gdb->no_ack)
		gdb->out[gdb->nr_out++] = how;
}

static void send_stop(struct gdb *gdb, unsigned vcpu, const struct gdb_hit *hit)
{
	gdb_reply_stop(gdb, vcpu, hit);
	send_reply(gdb);
}

/* While the guest runs, the debugger may send Ctrl-C only. */
static void take_packet(struct gdb *gdb)
{
	acknowledge_packet(gdb, '+');
	if (!gdb->running && gdb_command(gdb))
		send_reply(gdb);
	else if (gdb->hang_up)
		lose_debugger(gdb);
	else
		send_more(gdb);
}

static void take_byte(struct gdb *gdb, uint8_t byte)
{
	switch (gdb_reader_feed(&gdb->reader, byte)) {
	case GDB_PACKET:
		take_packet(gdb);
		break;
	case GDB_DAMAGED:
		acknowledge_packet(gdb, '-');
		send_more(gdb);
		break;
	case GDB_INTERRUPT:
		if (!gdb->running)
			break;
		gdb_stop_all(gdb);
		send_stop(gdb, gdb->reported, NULL);
		break;
	case GDB_NACK: /* a stream socket loses nothing, so nothing has to be sent again */
	case GDB_NOTHING:
		break;
	}
}

/* Nothing is taken while an answer is being sent, so there is always room for the next. */
static void take_bytes(struct gdb *gdb)
{
	while (gdb->fd >= 0 && gdb->nr_out == 0 && gdb->taken < gdb->nr_in)
		take_byte(gdb, gdb->in[gdb->taken++]);
}

/* One piece: a debugger that never stops sending must not keep the main thread. What was received
 * before has been taken. */
static void receive_bytes(struct gdb *gdb)
{
	ssize_t n = recv(gdb->fd, gdb->in, sizeof(gdb->in), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_debugging(gdb);
		return;
	}
	gdb->nr_in = (size_t)n;
	gdb->taken = 0;
	take_bytes(gdb);
}

/* Has the debugger closed its end? Of what it has sent there may still be something to read. */
static bool debugger_has_gone(const struct gdb *gdb)
{
	struct pollfd end = {.fd = gdb->fd, .events = POLLRDHUP};

	return poll(&end, 1, 0) > 0;
}

/* A second debugger is not left waiting for the end of the first. */
static void accept_gdb(struct gdb *gdb)
{
	int fd = accept4(gdb->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return; /* gone already */
	if (gdb->fd >= 0 && debugger_has_gone(gdb))
		end_debugging(gdb);
	if (gdb->fd >= 0) {
		close(fd);
		return;
	}
	gdb->fd = fd;
	gdb->vcpu = gdb->reported = 0;
	gdb_stop_all(gdb);
}

/* An INT3 without a breakpoint of the debugger's is the guest's own. */
static bool is_own_int3(const struct gdb_hit *hit)
{
	return hit->arch.exception == GDB_EXCEPTION_INT3 && !hit->at_break;
}

static void take_hits(struct gdb *gdb)
{
	uint64_t hits, running = gdb->running;
	uint64_t count;

	if (read(gdb->hit_fd, &count, sizeof(count)) < 0)
		return;
	hits = atomic_exchange_explicit(&gdb->hits, 0, memory_order_acquire);
	for (unsigned i = 0; i < gdb->target.vm->nr_vcpus; i++) {
		if (!(hits >> i & 1))
			continue;
		if (gdb->fd >= 0 && !is_own_int3(&gdb->hit[i])) {
			gdb_stop_all(gdb);
			if (running)
				send_stop(gdb, i, &gdb->hit[i]);
			return;
		}
		if (gdb->fd >= 0)
			gdb_go_on(gdb, i, KVM_GUESTDBG_INJECT_BP);
		else
			gdb_disarm(&gdb->target, i);
		debug_release_vcpus(gdb->target.vm, 1ull << i);
	}
}

void gdb_poll(const struct gdb *gdb, struct pollfd fds[GDB_NR_FDS])
{
	for (unsigned i = 0; i < GDB_NR_FDS; i++)
		fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	if (!gdb)
		return;
	fds[LISTEN].fd = gdb->listener.fd;
	fds[DEBUGGER].fd = gdb->fd;
	fds[DEBUGGER].events = gdb->nr_out ? POLLOUT : POLLIN;
	/* A stop is reported when nothing else is being sent. */
	if (!gdb->nr_out)
		fds[HIT].fd = gdb->hit_fd;
}

void gdb_serve(struct gdb *gdb, const struct pollfd fds[GDB_NR_FDS])
{
	if (fds[DEBUGGER].revents && gdb->nr_out) {
		send_more(gdb);
		take_bytes(gdb);
	} else if (fds[DEBUGGER].revents) {
		receive_bytes(gdb);
	}
	if (fds[HIT].revents && !gdb->nr_out)
		take_hits(gdb);
	if (fds[LISTEN].revents)
		accept_gdb(gdb);
}

/* --- its life --------------------------------------------------------------------------------- */

static int listen_on_loopback(struct gdb *gdb, const char *where)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)strtoul(where, NULL, 10)),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int on = 1;

	gdb->listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (gdb->listener.fd < 0 ||
	    setsockopt(gdb->listener.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(gdb->listener.fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(gdb->listener.fd, 1) < 0)
		return say_errno("--gdb %s: port of the loopback address", where);
	return 0;
}

struct gdb *gdb_open(const char *where)
{
	struct gdb *gdb = calloc(1, sizeof(*gdb));
	int err;

	if (!gdb) {
		say_errno("memory for the debugger's connection");
		return NULL;
	}
	gdb->fd = gdb->hit_fd = gdb->listener.fd = -1;
	gdb->xml = gdb_registers_xml();
	if (strchr(where, '/'))
		err = listener_open(&gdb->listener, FATAL_GDB, "--gdb", where);
	else
		err = listen_on_loopback(gdb, where);
	if (!err && gdb->xml) {
		gdb->hit_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		err = gdb->hit_fd < 0 ? say_errno("eventfd") : 0;
	}
	if (!err && gdb->xml) {
		say("waiting for GDB: target remote %s%s",
		    strchr(where, '/') ? "" : "localhost:", where);
		return gdb;
	}
	gdb_close(gdb);
	return NULL;
}

void gdb_ended(struct gdb *gdb, int status)
{
	if (gdb->fd < 0 || !gdb->running || gdb->nr_out)
		return;
	gdb_reply_text(&gdb->reply, "W%02x", (unsigned)status & 0xff);
	send_reply(gdb);
}

void gdb_close(struct gdb *gdb)
{
	if (!gdb)
		return;
	if (gdb->fd >= 0)
		close(gdb->fd);
	if (gdb->hit_fd >= 0)
		close(gdb->hit_fd);
	listener_close(&gdb->listener);
	free(gdb->xml);
	free(gdb);
}
