/* SPDX-License-Identifier: MIT */
#include "devices/virtio_console.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/kvm.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include "devices/bus.h"
#include "devices/console.h"
#include "devices/virtio_host.h"
#include "devices/virtio_mmio.h"
#include "kvm/write_protect.h"
#include "say.h"
#include "stop.h"

enum queues { RECEIVE, TRANSMIT, NR_QUEUES };

/* Output is written in pieces of this size; between them the end of the run is noticed. */
#define PIECE 4096u

struct virtio_console {
	struct virtio_host host;
	struct console *console;
	int irq_fd; /* eventfd: each write is an edge on the interrupt pin */
	int room_fd;
	struct virtio_mmio mmio;
	atomic_bool told_broken; /* reported once, since a guest could repeat it at will */
	atomic_bool has_driver;

	struct virtqueue transmit; /* under the transport's lock */

	/* Taken after the transport's lock, never before it. Guards all below. */
	pthread_mutex_t lock;
	struct virtqueue receive;
	bool receiving; /* the receive queue is started */
	bool listening; /* and the driver keeps what it receives */
	bool want_room; /* tell room_fd when there is room */
};

static void tell_broken(struct virtio_console *virtio, const struct virtqueue *queue)
{
	if (!atomic_exchange(&virtio->told_broken, true))
		say("console: the guest's queue is broken: %s; it stops until it is reset",
		    queue->fault);
	virtio_mmio_needs_reset(&virtio->mmio);
}

/* --- output: vCPU threads, under the transport's lock ----------------------------------------- */

static void print_buffer(struct virtio_console *virtio, const uint8_t *bytes, size_t nr)
{
	while (nr > 0 && !stop_requested(virtio->host.stop)) {
		size_t piece = nr < PIECE ? nr : PIECE;

		console_write(virtio->console, bytes, piece);
		bytes += piece;
		nr -= piece;
	}
}

static void serve_output(struct virtio_console *virtio)
{
	struct virtqueue_chain chain;
	int ret = 0;

	while (!stop_requested(virtio->host.stop)) {
		ret = virtqueue_pop(&virtio->transmit, &chain);
		if (ret <= 0)
			break;
		for (unsigned i = 0; i < chain.nr_out; i++)
			print_buffer(virtio, chain.iov[i].iov_base, chain.iov[i].iov_len);
		console_end(virtio->console);
		virtqueue_push(&virtio->transmit, chain.head, 0);
		/* Publish each by itself, since the driver waits for it. */
		if (virtqueue_publish(&virtio->transmit))
			virtio_mmio_used(&virtio->mmio);
	}
	if (ret < 0)
		tell_broken(virtio, &virtio->transmit);
}

/* --- input ------------------------------------------------------------------------------------ */

/* Fills a chain's buffers; returns how many bytes went there. */
static size_t fill_buffer(const struct virtio_console *virtio, const struct virtqueue_chain *chain,
			  const uint8_t *bytes, size_t nr)
{
	size_t done = 0;

	for (unsigned i = chain->nr_out; i < chain->nr_out + chain->nr_in && done < nr; i++) {
		const struct iovec *iov = &chain->iov[i];
		size_t part = nr - done < iov->iov_len ? nr - done : iov->iov_len;

		memory_store(virtio->host.mem, iov->iov_base, bytes + done, part);
		done += part;
	}
	return done;
}

/* The lock is held. Returns 0, or -EINVAL with the queue's fault filled. */
static int deliver_input(struct virtio_console *virtio, const uint8_t *bytes, size_t nr,
			 size_t *taken)
{
	while (*taken < nr) {
		struct virtqueue_chain chain;
		int ret = virtqueue_pop(&virtio->receive, &chain);
		size_t part;

		if (ret <= 0)
			return ret;
		if (chain.nr_in == 0) { /* else a guest could keep this loop running for ever */
			strcpy(virtio->receive.fault, "a buffer for input can't be written to");
			return -EINVAL;
		}
		part = fill_buffer(virtio, &chain, bytes + *taken, nr - *taken);
		virtqueue_push(&virtio->receive, chain.head, (uint32_t)part);
		*taken += part;
	}
	return 0;
}

static size_t receive_input(void *dev, const uint8_t *bytes, size_t nr)
{
	struct virtio_console *virtio = dev;
	size_t taken = 0;

	pthread_mutex_lock(&virtio->lock);
	if (virtio->listening && deliver_input(virtio, bytes, nr, &taken)) {
		virtio->receiving = virtio->listening = false;
		tell_broken(virtio, &virtio->receive);
	} else if (virtio->listening && virtqueue_publish(&virtio->receive)) {
		virtio_mmio_used(&virtio->mmio);
	}
	virtio->want_room = taken < nr;
	pthread_mutex_unlock(&virtio->lock);
	return taken;
}

/* The driver has given buffers, or listens from now on. The lock is held. */
static void tell_room(struct virtio_console *virtio)
{
	if (!virtio->listening || !virtio->want_room)
		return;
	virtio->want_room = false;
	if (TEMP_FAILURE_RETRY(eventfd_write(virtio->room_fd, 1)) < 0)
		say_errno("eventfd of the console");
}

struct input_sink virtio_console_input(struct virtio_console *virtio)
{
	return (struct input_sink){
		.receive = receive_input, .dev = virtio, .room_fd = virtio->room_fd};
}

/* --- what the transport asks for: vCPU threads ------------------------------------------------ */

/* The lock is held. */
static void start_receiving(struct virtio_console *virtio, uint64_t features)
{
	virtio->receiving = true;
	virtio->listening = !(features & 1ull << VIRTIO_CONSOLE_F_SIZE);
	if (!virtio->listening)
		virtio_mmio_tell_config(&virtio->mmio);
	tell_room(virtio);
}

/* The driver is through with its initialization (virtio_console.h). */
static void console_config_read(void *dev)
{
	struct virtio_console *virtio = dev;

	pthread_mutex_lock(&virtio->lock);
	virtio->listening = virtio->receiving;
	tell_room(virtio);
	pthread_mutex_unlock(&virtio->lock);
}

static bool console_start(void *dev, unsigned queue, const struct virtqueue_layout *layout,
			  uint64_t features)
{
	struct virtio_console *virtio = dev;
	struct virtqueue *vq = queue == RECEIVE ? &virtio->receive : &virtio->transmit;
	int err;

	atomic_store(&virtio->has_driver, true);
	pthread_mutex_lock(&virtio->lock);
	err = virtqueue_init(vq, virtio->host.mem, layout, false);
	if (err)
		tell_broken(virtio, vq);
	else if (queue == RECEIVE)
		start_receiving(virtio, features);
	pthread_mutex_unlock(&virtio->lock);
	return !err;
}

static void console_stop(void *dev, unsigned queue)
{
	struct virtio_console *virtio = dev;

	if (queue != RECEIVE)
		return;
	pthread_mutex_lock(&virtio->lock);
	virtio->receiving = virtio->listening = false;
	pthread_mutex_unlock(&virtio->lock);
}

static void console_notify(void *dev, unsigned queue)
{
	struct virtio_console *virtio = dev;

	if (queue == TRANSMIT) {
		if (!virtio->transmit.fault[0])
			serve_output(virtio);
		return;
	}
	pthread_mutex_lock(&virtio->lock);
	tell_room(virtio);
	pthread_mutex_unlock(&virtio->lock);
}

static void raise_irq(void *dev)
{
	struct virtio_console *virtio = dev;

	(void)TEMP_FAILURE_RETRY(eventfd_write(virtio->irq_fd, 1));
}

static const struct virtio_mmio_ops transport_ops = {
	.start = console_start,
	.stop = console_stop,
	.notify = console_notify,
	.config_read = console_config_read,
	.raise = raise_irq,
};

/* --- the device ------------------------------------------------------------------------------- */

static struct virtio_console_config config_of(const struct terminal_size *size)
{
	/* They are little-endian, as we are. */
	return (struct virtio_console_config){
		.cols = size ? size->columns : 0, .rows = size ? size->rows : 0, .max_nr_ports = 1};
}

bool virtio_console_has_driver(const struct virtio_console *virtio)
{
	return atomic_load(&virtio->has_driver);
}

void virtio_console_resize(struct virtio_console *virtio, const struct terminal_size *size)
{
	const struct virtio_console_config config = config_of(size);

	virtio_mmio_set_config(&virtio->mmio, &config, sizeof(config));
}

static void init_transport(struct virtio_console *virtio, const struct terminal_size *size)
{
	const struct virtio_console_config config = config_of(size);
	const struct virtio_mmio_device device = {
		.id = VIRTIO_ID_CONSOLE,
		.nr_queues = NR_QUEUES,
		.features = 1ull << VIRTIO_CONSOLE_F_SIZE,
		.config = &config,
		.config_size = sizeof(config),
	};

	virtio_mmio_init(&virtio->mmio, &transport_ops, virtio, &device);
}

static int set_irqfd(const struct virtio_console *virtio, unsigned gsi)
{
	struct kvm_irqfd irqfd = {.fd = (uint32_t)virtio->irq_fd, .gsi = gsi};

	if (ioctl(virtio->host.vm_fd, KVM_IRQFD, &irqfd))
		return say_errno("KVM_IRQFD (console, GSI %u)", gsi);
	return 0;
}

static int connect_guest(struct virtio_console *virtio, uint64_t mmio_base, unsigned gsi)
{
	struct bus_region region = {
		.base = mmio_base,
		.size = VIRTIO_MMIO_REGION_SIZE,
		.ops = &virtio_mmio_bus_ops,
		.dev = &virtio->mmio,
	};

	virtio->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	virtio->room_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (virtio->irq_fd < 0 || virtio->room_fd < 0)
		return say_errno("eventfd (console)");
	if (set_irqfd(virtio, gsi))
		return -EIO;
	if (!bus_add(virtio->host.mmio, &region))
		return 0;
	say("console: there is no room for its registers at %#llx", (unsigned long long)mmio_base);
	return -ENOSPC;
}

struct virtio_console *virtio_console_create(const struct virtio_host *host,
					     struct console *console,
					     const struct terminal_size *size, uint64_t mmio_base,
					     unsigned gsi)
{
	struct virtio_console *virtio = calloc(1, sizeof(*virtio));

	if (!virtio) {
		say_errno("memory for the console");
		return NULL;
	}
	virtio->host = *host;
	virtio->console = console;
	virtio->irq_fd = virtio->room_fd = -1;
	pthread_mutex_init(&virtio->lock, NULL);
	init_transport(virtio, size);
	if (!connect_guest(virtio, mmio_base, gsi))
		return virtio;
	virtio_console_destroy(virtio);
	return NULL;
}

/* KVM drops the irqfd by itself when it is closed. */
void virtio_console_destroy(struct virtio_console *virtio)
{
	if (!virtio)
		return;
	virtio_mmio_destroy(&virtio->mmio);
	pthread_mutex_destroy(&virtio->lock);
	if (virtio->irq_fd >= 0)
		close(virtio->irq_fd);
	if (virtio->room_fd >= 0)
		close(virtio->room_fd);
	free(virtio);
}
