/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * virtio console device, virtio 1.2 section 5.3, with one port on a character stream of the host.
 * With the key "port" set it is not a console but a named port, as guest agents use them.
 *
 * The device offers MULTIPORT, so that the guest is told the port's kind and name and whether the
 * host listens; a driver that does not know it (firmware) finds a plain console in the first two
 * queues. The window's size is not told: streams do not know one.
 *
 * Bytes from the host wait in a small buffer of ours until the guest has opened the port and given
 * room; more stay with the stream. Bytes from the guest never wait.
 */

#include "bus/virtio.h"
#include "guestlink/char_backend.h"

#define VIRTIO_ID_CONSOLE 3

enum { QUEUE_RX, QUEUE_TX, QUEUE_CONTROL_RX, QUEUE_CONTROL_TX, QUEUES };

#define QUEUE_SIZE 128
#define PORT_ID 0

/* Feature bits, 5.3.3 */
#define CONSOLE_F_MULTIPORT 1
#define CONSOLE_F_EMERG_WRITE 2

/* Configuration, 5.3.4 */
#define CONSOLE_CONFIG_MAX_PORTS 4
#define CONSOLE_CONFIG_EMERGENCY 8
#define CONSOLE_CONFIG_SIZE 12

/* Control messages, 5.3.6.2 */
#define CONTROL_SIZE 8
#define CONTROL_DEVICE_READY 0
#define CONTROL_DEVICE_ADD 1
#define CONTROL_PORT_READY 3
#define CONTROL_CONSOLE_PORT 4
#define CONTROL_PORT_OPEN 6
#define CONTROL_PORT_NAME 7

#define NAME_MAX_SIZE 64
#define RX_BUFFER_SIZE 4096

/* What is still to be told to the guest, in this order. */
enum {
	PENDING_ADD,
	PENDING_KIND,
	PENDING_OPEN,
	PENDING_COUNT,
};

/**
 * struct virtio_console
 * @pending: set of BIT(PENDING_*): waits for buffers of the control queue
 * @guest_open: the guest has opened the port
 * @host_open: the stream has somebody at its other end
 * @rx_data: ring buffer of @rx_count bytes from @rx_first on
 */
struct virtio_console {
	struct virtio_device vdev;
	struct char_backend *chr;
	uint8_t pending;
	bool guest_open;
	bool host_open;
	uint16_t rx_first;
	uint16_t rx_count;
	uint8_t rx_data[RX_BUFFER_SIZE];
};

static struct virtio_console *console_from_virtio(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_console, vdev);
}

static struct virtio_console *console_from_device(struct device *dev)
{
	return console_from_virtio(virtio_device_from_device(dev));
}

static const char *port_name(const struct virtio_console *console)
{
	return config_get_string(&console->vdev.pci.dev.env.config, "port");
}

/* ------- to the guest ------- */

static bool guest_listens(const struct virtio_console *console)
{
	return virtqueue_ready(&console->vdev.queues[QUEUE_RX]) &&
	       (console->guest_open || !virtio_has_feature(&console->vdev, CONSOLE_F_MULTIPORT));
}

/** copy_rx() - as much of what waits as the chain takes. */
static size_t copy_rx(struct virtio_console *console, const struct virtqueue_chain *chain)
{
	size_t done = 0;

	while (console->rx_count > 0) {
		size_t run = MIN(console->rx_count, RX_BUFFER_SIZE - console->rx_first);
		size_t copied = iov_from_buf(chain->in, chain->in_count, done,
					     console->rx_data + console->rx_first, run);

		done += copied;
		console->rx_first = (console->rx_first + copied) % RX_BUFFER_SIZE;
		console->rx_count -= copied;
		if (copied < run) {
			break;
		}
	}
	return done;
}

static void flush_rx(struct virtio_console *console)
{
	struct virtqueue *vq = &console->vdev.queues[QUEUE_RX];
	struct virtqueue_chain chain;
	bool moved = false;

	while (console->rx_count > 0 && guest_listens(console) && !console->vdev.paused &&
	       virtqueue_pop(vq, &chain) > 0) {
		virtqueue_push(vq, &chain, copy_rx(console, &chain));
		moved = true;
	}
	virtqueue_flush(vq);
	if (moved) {
		char_backend_ready(console->chr);
	}
}

static size_t console_can_receive(void *opaque)
{
	struct virtio_console *console = opaque;
	size_t room;

	pthread_mutex_lock(&console->vdev.pci.dev.lock);
	room = RX_BUFFER_SIZE - console->rx_count;
	pthread_mutex_unlock(&console->vdev.pci.dev.lock);
	return room;
}

static void console_receive(void *opaque, const uint8_t *data, size_t size)
{
	struct virtio_console *console = opaque;

	pthread_mutex_lock(&console->vdev.pci.dev.lock);
	for (size_t i = 0; i < size && console->rx_count < RX_BUFFER_SIZE; i++) {
		console->rx_data[(console->rx_first + console->rx_count) % RX_BUFFER_SIZE] =
			data[i];
		console->rx_count++;
	}
	flush_rx(console);
	pthread_mutex_unlock(&console->vdev.pci.dev.lock);
}

/* ------- control ------- */

/** build_control() - the message for @what; returns its size. */
static size_t build_control(const struct virtio_console *console, unsigned int what,
			    uint8_t *ret_message)
{
	const char *name = port_name(console);
	uint16_t event = CONTROL_DEVICE_ADD;
	uint16_t value = 1;
	size_t size = 0;

	if (what == PENDING_KIND) {
		event = name ? CONTROL_PORT_NAME : CONTROL_CONSOLE_PORT;
		size = name ? strlen(name) : 0;
	} else if (what == PENDING_OPEN) {
		event = CONTROL_PORT_OPEN;
		value = console->host_open;
	}
	store_le32(ret_message, PORT_ID);
	store_le16(ret_message + 4, event);
	store_le16(ret_message + 6, value);
	if (size > 0) {
		memcpy(ret_message + CONTROL_SIZE, name, size);
	}
	return CONTROL_SIZE + size;
}

static void flush_control(struct virtio_console *console)
{
	struct virtqueue *vq = &console->vdev.queues[QUEUE_CONTROL_RX];
	uint8_t message[CONTROL_SIZE + NAME_MAX_SIZE];
	struct virtqueue_chain chain;

	for (unsigned int what = 0; what < PENDING_COUNT; what++) {
		size_t size;

		if (!(console->pending & BIT(what))) {
			continue;
		}
		if (virtqueue_pop(vq, &chain) <= 0) {
			break;
		}
		size = build_control(console, what, message);
		console->pending &= ~BIT(what);
		virtqueue_push(vq, &chain,
			       iov_from_buf(chain.in, chain.in_count, 0, message, size));
	}
	virtqueue_flush(vq);
}

static void tell_guest(struct virtio_console *console, unsigned int what)
{
	console->pending |= BIT(what);
	flush_control(console);
}

static void handle_control(struct virtio_console *console, const struct virtqueue_chain *chain)
{
	uint8_t message[CONTROL_SIZE];
	uint16_t value;

	if (iov_to_buf(chain->out, chain->out_count, 0, message, sizeof(message)) !=
	    sizeof(message)) {
		device_guest_error(&console->vdev.pci.dev, "a control message of %zu bytes",
				   chain->out_size);
		return;
	}
	value = load_le16(message + 6);
	if (load_le16(message + 4) == CONTROL_DEVICE_READY) {
		if (value == 1) {
			tell_guest(console, PENDING_ADD);
		}
		return;
	}
	if (load_le32(message) != PORT_ID) {
		device_guest_error(&console->vdev.pci.dev, "there is no port %u",
				   load_le32(message));
		return;
	}
	switch (load_le16(message + 4)) {
	case CONTROL_PORT_READY:
		if (value == 1) {
			tell_guest(console, PENDING_KIND);
			tell_guest(console, PENDING_OPEN);
		}
		break;
	case CONTROL_PORT_OPEN:
		console->guest_open = value;
		flush_rx(console);
		break;
	}
}

static void console_hangup(void *opaque, bool open)
{
	struct virtio_console *console = opaque;

	pthread_mutex_lock(&console->vdev.pci.dev.lock);
	if (console->host_open != open) {
		console->host_open = open;
		if (virtio_has_feature(&console->vdev, CONSOLE_F_MULTIPORT)) {
			tell_guest(console, PENDING_OPEN);
		}
	}
	pthread_mutex_unlock(&console->vdev.pci.dev.lock);
}

/* ------- from the guest ------- */

static void transmit(struct virtio_console *console)
{
	struct virtqueue *vq = &console->vdev.queues[QUEUE_TX];
	struct virtqueue_chain chain;

	do {
		virtqueue_set_notification(vq, false);
		while (virtqueue_pop(vq, &chain) > 0) {
			for (unsigned int i = 0; i < chain.out_count; i++) {
				char_backend_write(console->chr, chain.out[i].iov_base,
						   chain.out[i].iov_len);
			}
			virtqueue_push(vq, &chain, 0);
		}
		virtqueue_flush(vq);
	} while (virtqueue_set_notification(vq, true));
}

static void receive_control(struct virtio_console *console)
{
	struct virtqueue *vq = &console->vdev.queues[QUEUE_CONTROL_TX];
	struct virtqueue_chain chain;

	while (virtqueue_pop(vq, &chain) > 0) {
		handle_control(console, &chain);
		virtqueue_push(vq, &chain, 0);
	}
	virtqueue_flush(vq);
}

static void console_notify(struct virtio_device *vdev, unsigned int n)
{
	struct virtio_console *console = console_from_virtio(vdev);

	switch (n) {
	case QUEUE_RX: flush_rx(console); break;
	case QUEUE_TX: transmit(console); break;
	case QUEUE_CONTROL_RX: flush_control(console); break;
	case QUEUE_CONTROL_TX: receive_control(console); break;
	}
}

/* ------- configuration ------- */

static uint64_t console_features(struct virtio_device *vdev)
{
	return BIT(CONSOLE_F_MULTIPORT) | BIT(CONSOLE_F_EMERG_WRITE);
}

static void console_get_config(struct virtio_device *vdev, uint8_t *ret_config)
{
	memset(ret_config, 0, CONSOLE_CONFIG_SIZE);
	store_le32(ret_config + CONSOLE_CONFIG_MAX_PORTS, 1);
}

/** console_set_config() - the emergency register: a character before the queues are there. */
static void console_set_config(struct virtio_device *vdev, size_t offset, const uint8_t *data,
			       size_t size)
{
	if (offset == CONSOLE_CONFIG_EMERGENCY) {
		char_backend_write(console_from_virtio(vdev)->chr, data, 1);
	}
}

/* ------- life ------- */

static void console_status_changed(struct virtio_device *vdev, uint8_t status)
{
	struct virtio_console *console = console_from_virtio(vdev);

	/* What came from the host stays: the next driver may want it. */
	if (status == 0) {
		console->pending = 0;
		console->guest_open = false;
	}
}

static int console_create(struct device *dev, struct error *err)
{
	struct virtio_console *console = console_from_device(dev);
	const struct char_client client = {
		.can_receive = console_can_receive,
		.receive = console_receive,
		.hangup = console_hangup,
		.opaque = console,
	};

	if (!dev->env.chr) {
		return error_set(err, EINVAL, "%s: it has no stream", dev->path);
	}
	if (port_name(console) && strlen(port_name(console)) > NAME_MAX_SIZE) {
		return error_set(err, EINVAL, "%s: a port's name has at most %d characters",
				 dev->path, NAME_MAX_SIZE);
	}
	console->chr = dev->env.chr;
	console->host_open = true;
	char_backend_set_client(console->chr, &client);
	return 0;
}

static void console_destroy(struct device *dev)
{
	char_backend_set_client(console_from_device(dev)->chr, &(struct char_client){ 0 });
}

static void console_reset(struct device *dev, enum reset_kind kind)
{
	struct virtio_console *console = console_from_device(dev);

	console->rx_first = 0;
	console->rx_count = 0;
	memset(console->rx_data, 0, sizeof(console->rx_data));
	char_backend_ready(console->chr);
}

static void console_resume(struct device *dev)
{
	struct virtio_console *console = console_from_device(dev);

	pthread_mutex_lock(&dev->lock);
	flush_rx(console);
	pthread_mutex_unlock(&dev->lock);
}

static const struct config_key console_keys[] = {
	VIRTIO_CONFIG_KEYS,
	{ .name = "port",
	  .type = CONFIG_STRING,
	  .help = "name of a port for programs in the guest; not set: a console" },
	{ .name = NULL },
};

static int console_post_load(void *base, struct error *err)
{
	struct virtio_console *console = base;

	if (console->rx_first >= RX_BUFFER_SIZE || console->rx_count > RX_BUFFER_SIZE ||
	    console->pending >= BIT(PENDING_COUNT)) {
		return error_set(err, EINVAL, "%s: %u bytes at %u cannot be waiting",
				 console->vdev.pci.dev.path, console->rx_count,
				 console->rx_first);
	}
	return 0;
}

static const struct state_field console_fields[] = {
	STATE_FIELD(struct virtio_console, pending),
	STATE_FIELD_BOOL(struct virtio_console, guest_open),
	STATE_FIELD(struct virtio_console, rx_first),
	STATE_FIELD(struct virtio_console, rx_count),
	STATE_FIELD_BYTES(struct virtio_console, rx_data),
	STATE_FIELDS_END,
};

static const struct state_table console_state = {
	.version = 1,
	.fields = console_fields,
	.post_load = console_post_load,
};

static const struct virtio_device_ops virtio_console_ops = {
	.pci = {
		.base = {
			.name = "virtio-console",
			.bus = DEVICE_BUS_VIRTIO,
			.instance_size = sizeof(struct virtio_console),
			.keys = console_keys,
			.state = &console_state,
			.create = console_create,
			.destroy = console_destroy,
			.reset = console_reset,
			.resume = console_resume,
		},
		VIRTIO_PCI_IDS(VIRTIO_ID_CONSOLE, 0x078000),
	},
	.type = VIRTIO_ID_CONSOLE,
	.queue_count = QUEUES,
	.queue_size = QUEUE_SIZE,
	.config_size = CONSOLE_CONFIG_SIZE,
	.features = console_features,
	.get_config = console_get_config,
	.set_config = console_set_config,
	.notify = console_notify,
	.status_changed = console_status_changed,
};
DEVICE_REGISTER(virtio_console_ops.pci.base);
