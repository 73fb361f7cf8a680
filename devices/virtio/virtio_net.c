/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * virtio network device, virtio 1.2 section 5.1: one pair of queues and the control queue.
 *
 * No offloads are offered: the back ends take and give whole Ethernet frames with their checksums
 * in place, and segmenting for the guest here would only move the work. So the header in front of
 * each frame says nothing but, with mergeable buffers, over how many chains a received frame goes.
 *
 * Frames from the back end arrive on its own thread. When the guest has given no buffers the back
 * end keeps the frame and waits; before the driver is up, frames are dropped, as by a cable that is
 * not plugged in.
 */

#include "bus/virtio.h"
#include "net/net.h"

#define VIRTIO_ID_NET 1

enum { QUEUE_RX, QUEUE_TX, QUEUE_CONTROL, QUEUES };

#define QUEUE_SIZE 256
#define TX_BATCH 256

/* Feature bits, 5.1.3 */
#define NET_F_MTU 3
#define NET_F_MAC 5
#define NET_F_MRG_RXBUF 15
#define NET_F_STATUS 16
#define NET_F_CTRL_VQ 17
#define NET_F_CTRL_RX 18
#define NET_F_CTRL_RX_EXTRA 20
#define NET_F_CTRL_MAC_ADDR 23

/* Configuration, 5.1.4 */
#define NET_CONFIG_MAC 0
#define NET_CONFIG_STATUS 6
#define NET_CONFIG_MTU 10
#define NET_CONFIG_SIZE 12
#define STATUS_LINK_UP 1

/* Header of a frame, 5.1.6 */
#define HEADER_SIZE 12
#define HEADER_NUM_BUFFERS 10

/* Control commands, 5.1.6.5 */
#define CTRL_RX 0
#define CTRL_RX_MODES 6
#define CTRL_MAC 1
#define CTRL_MAC_TABLE_SET 0
#define CTRL_MAC_ADDR_SET 1
#define CTRL_OK 0
#define CTRL_ERR 1

/* Receive modes, in the order of their commands. */
enum {
	RX_PROMISC,
	RX_ALL_MULTI,
	RX_ALL_UNI,
	RX_NO_MULTI,
	RX_NO_UNI,
	RX_NO_BROADCAST,
};

#define MAC_SIZE 6
#define MAC_TABLE_MAX 64
#define FRAME_MIN 14
#define RX_CHAINS_MAX 64

/**
 * struct mac_table - addresses to be received; one that overflows takes all of its kind
 */
struct mac_table {
	uint16_t count;
	bool overflow;
	uint8_t macs[MAC_TABLE_MAX * MAC_SIZE];
};

/**
 * struct virtio_net
 * @rx_waiting: the back end holds a frame back until there are buffers
 * @rx_chains: of the frame that is being received
 */
struct virtio_net {
	struct virtio_device vdev;
	struct net_backend *net;
	uint8_t mac[MAC_SIZE];
	uint8_t rx_modes; /* set of BIT(RX_*) */
	struct mac_table unicast;
	struct mac_table multicast;
	bool rx_waiting;
	struct virtqueue_chain rx_chains[RX_CHAINS_MAX];
	uint32_t rx_written[RX_CHAINS_MAX];
};

static struct virtio_net *net_from_virtio(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_net, vdev);
}

static struct virtio_net *net_from_device(struct device *dev)
{
	return net_from_virtio(virtio_device_from_device(dev));
}

/* ------- receiving ------- */

static bool in_table(const struct mac_table *table, const uint8_t *mac)
{
	for (unsigned int i = 0; i < table->count; i++) {
		if (memcmp(table->macs + i * MAC_SIZE, mac, MAC_SIZE) == 0) {
			return true;
		}
	}
	return table->overflow;
}

static bool wants_frame(const struct virtio_net *net, const uint8_t *mac)
{
	static const uint8_t broadcast[MAC_SIZE] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	if (net->rx_modes & BIT(RX_PROMISC)) {
		return true;
	}
	if (memcmp(mac, broadcast, MAC_SIZE) == 0) {
		return !(net->rx_modes & BIT(RX_NO_BROADCAST));
	}
	if (mac[0] & 1) {
		return !(net->rx_modes & BIT(RX_NO_MULTI)) &&
		       ((net->rx_modes & BIT(RX_ALL_MULTI)) || in_table(&net->multicast, mac));
	}
	return !(net->rx_modes & BIT(RX_NO_UNI)) &&
	       ((net->rx_modes & BIT(RX_ALL_UNI)) || memcmp(mac, net->mac, MAC_SIZE) == 0 ||
		in_table(&net->unicast, mac));
}

/**
 * struct rx_header - where the header of the frame being received lies
 *
 * Drivers may cut buffers anywhere, so even these 12 bytes can lie in several pieces.
 */
struct rx_header {
	struct iovec iov[HEADER_SIZE];
	unsigned int count;
};

static void keep_header(struct rx_header *header, const struct virtqueue_chain *chain)
{
	header->count = MIN(chain->in_count, (unsigned int)HEADER_SIZE);
	memcpy(header->iov, chain->in, header->count * sizeof(header->iov[0]));
}

static void give_back(struct virtio_net *net, unsigned int count)
{
	while (count-- > 0) {
		virtqueue_unpop(&net->vdev.queues[QUEUE_RX], &net->rx_chains[count]);
	}
}

/** put_frame() - the frame into as many chains as it takes, up to @limit. Return: how many; 0 when
 *  there are not enough now, -EMSGSIZE when it does not fit into @limit. */
static int put_frame(struct virtio_net *net, const uint8_t *frame, size_t size,
		     unsigned int limit, struct rx_header *ret_header)
{
	struct virtqueue *vq = &net->vdev.queues[QUEUE_RX];
	static const uint8_t zeroes[HEADER_SIZE];
	size_t done = 0;

	for (unsigned int count = 0; count < limit; count++) {
		struct virtqueue_chain *chain = &net->rx_chains[count];
		size_t skip = count == 0 ? HEADER_SIZE : 0;
		size_t piece;

		if (virtqueue_pop(vq, chain) <= 0) {
			give_back(net, count);
			return 0;
		}
		if (skip && iov_from_buf(chain->in, chain->in_count, 0, zeroes, skip) < skip) {
			give_back(net, count + 1);
			return -EMSGSIZE;
		}
		if (skip) {
			keep_header(ret_header, chain);
		}
		piece = iov_from_buf(chain->in, chain->in_count, skip, frame + done, size - done);
		net->rx_written[count] = skip + piece;
		/* Its arrays go with the next pop. */
		virtqueue_note_written(vq, chain, skip + piece);
		chain->in_count = 0;
		done += piece;
		if (done == size) {
			return count + 1;
		}
	}
	give_back(net, limit);
	return -EMSGSIZE;
}

/** receive_locked() - false when the frame has to wait. */
static bool receive_locked(struct virtio_net *net, const uint8_t *frame, size_t size)
{
	struct virtqueue *vq = &net->vdev.queues[QUEUE_RX];
	bool merge = virtio_has_feature(&net->vdev, NET_F_MRG_RXBUF);
	struct rx_header header;
	uint8_t number[2];
	int count;

	if (size < FRAME_MIN || !virtqueue_ready(vq) || !wants_frame(net, frame)) {
		return true;
	}
	if (net->vdev.paused) {
		net->rx_waiting = true;
		return false;
	}
	count = put_frame(net, frame, size, merge ? RX_CHAINS_MAX : 1, &header);
	if (count == 0 && virtqueue_set_notification(vq, true)) {
		/* Between the look and asking to be told, more may have come. */
		count = put_frame(net, frame, size, merge ? RX_CHAINS_MAX : 1, &header);
	}
	if (count < 0) {
		device_guest_error(&net->vdev.pci.dev,
				   "its buffers do not take a frame of %zu bytes", size);
		return true;
	}
	if (count == 0) {
		net->rx_waiting = virtqueue_ready(vq);
		return !net->rx_waiting;
	}
	virtqueue_set_notification(vq, false);
	store_le16(number, count);
	iov_from_buf(header.iov, header.count, HEADER_NUM_BUFFERS, number, sizeof(number));
	virtqueue_push_many(vq, net->rx_chains, net->rx_written, count);
	virtqueue_flush(vq);
	return true;
}

static bool net_receive(void *opaque, const uint8_t *frame, size_t size)
{
	struct virtio_net *net = opaque;
	bool taken;

	pthread_mutex_lock(&net->vdev.pci.dev.lock);
	taken = receive_locked(net, frame, size);
	pthread_mutex_unlock(&net->vdev.pci.dev.lock);
	return taken;
}

static void resume_receiving(struct virtio_net *net)
{
	if (net->rx_waiting) {
		net->rx_waiting = false;
		net_backend_ready(net->net);
	}
}

/* ------- transmitting ------- */

static void send_chain(struct virtio_net *net, struct virtqueue_chain *chain)
{
	struct iovec *iov = chain->out;
	unsigned int count = chain->out_count;
	size_t skip = HEADER_SIZE;

	if (chain->out_size < HEADER_SIZE + FRAME_MIN ||
	    chain->out_size > HEADER_SIZE + NET_FRAME_MAX) {
		device_guest_error(&net->vdev.pci.dev, "a frame of %zu bytes", chain->out_size);
		return;
	}
	while (skip >= iov->iov_len) {
		skip -= iov->iov_len;
		iov++;
		count--;
	}
	iov->iov_base = (char *)iov->iov_base + skip;
	iov->iov_len -= skip;
	net_backend_send(net->net, iov, count);
}

static void transmit(struct virtio_net *net)
{
	struct virtqueue *vq = &net->vdev.queues[QUEUE_TX];
	struct virtqueue_chain chain;
	unsigned int budget = TX_BATCH;

	do {
		virtqueue_set_notification(vq, false);
		while (budget > 0 && virtqueue_pop(vq, &chain) > 0) {
			send_chain(net, &chain);
			virtqueue_push(vq, &chain, 0);
			budget--;
		}
		virtqueue_flush(vq);
		if (budget == 0) {
			/* A guest that never stops sending must not keep others waiting. */
			virtqueue_kick(vq);
			return;
		}
	} while (virtqueue_set_notification(vq, true));
}

/* ------- control ------- */

static uint8_t set_rx_mode(struct virtio_net *net, uint8_t command,
			   const struct virtqueue_chain *chain)
{
	uint8_t on;

	if (command >= CTRL_RX_MODES ||
	    (command > RX_ALL_MULTI && !virtio_has_feature(&net->vdev, NET_F_CTRL_RX_EXTRA)) ||
	    !virtio_has_feature(&net->vdev, NET_F_CTRL_RX) ||
	    iov_to_buf(chain->out, chain->out_count, 2, &on, 1) != 1) {
		return CTRL_ERR;
	}
	net->rx_modes = (net->rx_modes & ~BIT(command)) | (on ? BIT(command) : 0);
	return CTRL_OK;
}

/** read_table() - a table at @offset of the command; returns where it ends, 0 when it does not. */
static size_t read_table(const struct virtqueue_chain *chain, size_t offset,
			 struct mac_table *ret_table)
{
	uint8_t bytes[4];
	uint64_t count;
	uint64_t size;

	if (iov_to_buf(chain->out, chain->out_count, offset, bytes, 4) != 4) {
		return 0;
	}
	count = load_le32(bytes);
	size = count * MAC_SIZE;
	if (size > chain->out_size - offset - 4) {
		return 0;
	}
	memset(ret_table, 0, sizeof(*ret_table));
	if (count > MAC_TABLE_MAX) {
		ret_table->overflow = true;
	} else {
		ret_table->count = count;
		iov_to_buf(chain->out, chain->out_count, offset + 4, ret_table->macs, size);
	}
	return offset + 4 + size;
}

static uint8_t set_mac(struct virtio_net *net, uint8_t command,
		       const struct virtqueue_chain *chain)
{
	struct mac_table unicast;
	struct mac_table multicast;
	uint8_t mac[MAC_SIZE];
	size_t next;

	if (command == CTRL_MAC_ADDR_SET) {
		if (!virtio_has_feature(&net->vdev, NET_F_CTRL_MAC_ADDR) ||
		    chain->out_size != 2 + MAC_SIZE ||
		    iov_to_buf(chain->out, chain->out_count, 2, mac, MAC_SIZE) != MAC_SIZE) {
			return CTRL_ERR;
		}
		memcpy(net->mac, mac, MAC_SIZE);
		return CTRL_OK;
	}
	if (command != CTRL_MAC_TABLE_SET || !virtio_has_feature(&net->vdev, NET_F_CTRL_RX)) {
		return CTRL_ERR;
	}
	next = read_table(chain, 2, &unicast);
	if (next == 0 || read_table(chain, next, &multicast) != chain->out_size) {
		return CTRL_ERR;
	}
	net->unicast = unicast;
	net->multicast = multicast;
	return CTRL_OK;
}

static void control(struct virtio_net *net)
{
	struct virtqueue *vq = &net->vdev.queues[QUEUE_CONTROL];
	struct virtqueue_chain chain;

	while (virtqueue_pop(vq, &chain) > 0) {
		uint8_t header[2];
		uint8_t ack = CTRL_ERR;

		if (iov_to_buf(chain.out, chain.out_count, 0, header, 2) == 2) {
			if (header[0] == CTRL_RX) {
				ack = set_rx_mode(net, header[1], &chain);
			} else if (header[0] == CTRL_MAC) {
				ack = set_mac(net, header[1], &chain);
			}
		}
		virtqueue_push(vq, &chain, iov_from_buf(chain.in, chain.in_count, 0, &ack, 1));
	}
	virtqueue_flush(vq);
}

static void net_notify(struct virtio_device *vdev, unsigned int n)
{
	struct virtio_net *net = net_from_virtio(vdev);

	switch (n) {
	case QUEUE_RX: resume_receiving(net); break;
	case QUEUE_TX: transmit(net); break;
	case QUEUE_CONTROL: control(net); break;
	}
}

/* ------- configuration ------- */

static unsigned int mtu(const struct virtio_net *net)
{
	return config_get_int(&net->vdev.pci.dev.env.config, "mtu");
}

static uint64_t net_features(struct virtio_device *vdev)
{
	return BIT(NET_F_MAC) | BIT(NET_F_MRG_RXBUF) | BIT(NET_F_STATUS) | BIT(NET_F_CTRL_VQ) |
	       BIT(NET_F_CTRL_RX) | BIT(NET_F_CTRL_RX_EXTRA) | BIT(NET_F_CTRL_MAC_ADDR) |
	       (mtu(net_from_virtio(vdev)) ? BIT(NET_F_MTU) : 0);
}

static void net_get_config(struct virtio_device *vdev, uint8_t *ret_config)
{
	struct virtio_net *net = net_from_virtio(vdev);

	memcpy(ret_config + NET_CONFIG_MAC, net->mac, MAC_SIZE);
	store_le16(ret_config + NET_CONFIG_STATUS, STATUS_LINK_UP);
	store_le16(ret_config + NET_CONFIG_MTU, mtu(net));
}

/* ------- life ------- */

/** set_defaults() - what the driver finds after a reset: its own address, and all frames. */
static void set_defaults(struct virtio_net *net)
{
	net_mac_address(&net->vdev.pci.dev.env.config, net->mac);
	net->rx_modes = BIT(RX_PROMISC);
	memset(&net->unicast, 0, sizeof(net->unicast));
	memset(&net->multicast, 0, sizeof(net->multicast));
	/* What waits is dropped when it comes again. */
	resume_receiving(net);
}

static void net_status_changed(struct virtio_device *vdev, uint8_t status)
{
	if (status == 0) {
		set_defaults(net_from_virtio(vdev));
	}
}

static int net_create(struct device *dev, struct error *err)
{
	struct virtio_net *net = net_from_device(dev);
	const struct net_client client = { .receive = net_receive, .opaque = net };

	if (!dev->env.net) {
		return error_set(err, EINVAL, "%s: it has no network", dev->path);
	}
	net->net = dev->env.net;
	net_backend_set_client(net->net, &client);
	return 0;
}

static void net_destroy(struct device *dev)
{
	net_backend_set_client(net_from_device(dev)->net, &(struct net_client){ 0 });
}

static void net_reset(struct device *dev, enum reset_kind kind)
{
	set_defaults(net_from_device(dev));
}

static void net_resume(struct device *dev)
{
	struct virtio_net *net = net_from_device(dev);

	pthread_mutex_lock(&dev->lock);
	resume_receiving(net);
	pthread_mutex_unlock(&dev->lock);
}

static const struct config_key net_keys[] = {
	VIRTIO_CONFIG_KEYS,
	{ .name = "mac",
	  .type = CONFIG_MAC,
	  .help = "the adapter's Ethernet address" },
	{ .name = "mtu",
	  .type = CONFIG_INT,
	  .def = "0",
	  .help = "largest packet the guest should send; 0: what Ethernet allows",
	  .min = 0,
	  .max = 65535 },
	{ .name = NULL },
};

static int table_post_load(void *base, struct error *err)
{
	const struct mac_table *table = base;

	return table->count <= MAC_TABLE_MAX ?
		       0 :
		       error_set(err, EINVAL, "a table of %u Ethernet addresses", table->count);
}

static const struct state_field table_fields[] = {
	STATE_FIELD(struct mac_table, count),
	STATE_FIELD_BOOL(struct mac_table, overflow),
	STATE_FIELD_BYTES(struct mac_table, macs),
	STATE_FIELDS_END,
};

static const struct state_table table_state = {
	.version = 1,
	.fields = table_fields,
	.post_load = table_post_load,
};

static const struct state_field net_fields[] = {
	STATE_FIELD_BYTES(struct virtio_net, mac),
	STATE_FIELD(struct virtio_net, rx_modes),
	STATE_FIELD_STRUCT(struct virtio_net, unicast, 1, &table_state),
	STATE_FIELD_STRUCT(struct virtio_net, multicast, 1, &table_state),
	STATE_FIELDS_END,
};

static const struct state_table net_state = {
	.version = 1,
	.fields = net_fields,
};

static const struct virtio_device_ops virtio_net_ops = {
	.pci = {
		.base = {
			.name = "virtio-net",
			.bus = DEVICE_BUS_VIRTIO,
			.instance_size = sizeof(struct virtio_net),
			.keys = net_keys,
			.state = &net_state,
			.create = net_create,
			.destroy = net_destroy,
			.reset = net_reset,
			.resume = net_resume,
		},
		VIRTIO_PCI_IDS(VIRTIO_ID_NET, 0x020000),
	},
	.type = VIRTIO_ID_NET,
	.queue_count = QUEUES,
	.queue_size = QUEUE_SIZE,
	.config_size = NET_CONFIG_SIZE,
	.features = net_features,
	.get_config = net_get_config,
	.notify = net_notify,
	.status_changed = net_status_changed,
};
DEVICE_REGISTER(virtio_net_ops.pci.base);
