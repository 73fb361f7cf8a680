/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * virtio entropy device, virtio 1.2 section 5.4: one queue of buffers that are filled with random
 * bytes from the host's kernel (getrandom(2), which never runs dry once the host has booted).
 *
 * A guest that reads without end would keep a host CPU busy, so a budget of bytes is granted every
 * tenth of a second of the machine's time; buffers wait in the ring when it is spent. A buffer may
 * be given back with less than it holds, which drivers must expect.
 */

#include <sys/random.h>

#include "bus/virtio.h"

#define VIRTIO_ID_ENTROPY 4

#define QUEUE_SIZE 8
#define PERIODS_PER_S 10
#define PERIOD_NS (NS_PER_S / PERIODS_PER_S)

/**
 * struct virtio_rng
 * @grant: bytes for each period
 * @budget: bytes left of this one
 * @refill: its end; armed while the budget is not whole
 */
struct virtio_rng {
	struct virtio_device vdev;
	uint32_t grant;
	uint32_t budget;
	struct timer refill;
};

static struct virtio_rng *rng_from_virtio(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_rng, vdev);
}

/** fill() - up to @size random bytes; returns how many. */
static size_t fill(const struct virtqueue_chain *chain, size_t size)
{
	size_t done = 0;

	for (unsigned int i = 0; i < chain->in_count && done < size; i++) {
		size_t piece = MIN(chain->in[i].iov_len, size - done);
		ssize_t got = getrandom(chain->in[i].iov_base, piece, 0);

		if (got <= 0) {
			break;
		}
		done += got;
		if ((size_t)got < piece) {
			break;
		}
	}
	return done;
}

static void serve(struct virtio_rng *rng)
{
	struct virtqueue *vq = &rng->vdev.queues[0];
	struct virtqueue_chain chain;

	while (rng->budget > 0 && virtqueue_pop(vq, &chain) > 0) {
		size_t done = fill(&chain, rng->budget);

		rng->budget -= done;
		virtqueue_push(vq, &chain, done);
	}
	virtqueue_flush(vq);
	if (rng->budget < rng->grant && timer_deadline(&rng->refill) == TIMER_NEVER) {
		timer_arm(&rng->refill, machine_clock_now(rng->refill.clock) + PERIOD_NS);
	}
}

static void rng_notify(struct virtio_device *vdev, unsigned int n)
{
	serve(rng_from_virtio(vdev));
}

static void handle_refill(void *opaque)
{
	struct virtio_rng *rng = opaque;

	rng->budget = rng->grant;
	serve(rng);
}

static uint64_t rng_features(struct virtio_device *vdev)
{
	return 0;
}

static int rng_create(struct device *dev, struct error *err)
{
	struct virtio_rng *rng = rng_from_virtio(virtio_device_from_device(dev));

	rng->grant = config_get_size(&dev->env.config, "rate") / PERIODS_PER_S;
	timer_init(&rng->refill, dev->env.clock, &dev->lock, handle_refill, rng);
	return 0;
}

static void rng_destroy(struct device *dev)
{
	timer_finish(&rng_from_virtio(virtio_device_from_device(dev))->refill);
}

static void rng_reset(struct device *dev, enum reset_kind kind)
{
	struct virtio_rng *rng = rng_from_virtio(virtio_device_from_device(dev));

	rng->budget = rng->grant;
	timer_cancel(&rng->refill);
}

static int rng_post_load(void *base, struct error *err)
{
	struct virtio_rng *rng = base;

	/* Another rate is no reason to refuse. */
	rng->budget = MIN(rng->budget, rng->grant);
	return 0;
}

static const struct config_key rng_keys[] = {
	VIRTIO_CONFIG_KEYS,
	{ .name = "rate",
	  .type = CONFIG_SIZE,
	  .def = "1M",
	  .help = "random bytes that the guest gets per second, at most",
	  .min = 1024,
	  .max = MIB(1024) },
	{ .name = NULL },
};

static const struct state_field rng_fields[] = {
	STATE_FIELD(struct virtio_rng, budget),
	STATE_FIELD_TIMER(struct virtio_rng, refill),
	STATE_FIELDS_END,
};

static const struct state_table rng_state = {
	.version = 1,
	.fields = rng_fields,
	.post_load = rng_post_load,
};

static const struct virtio_device_ops virtio_rng_ops = {
	.pci = {
		.base = {
			.name = "virtio-rng",
			.bus = DEVICE_BUS_VIRTIO,
			.instance_size = sizeof(struct virtio_rng),
			.keys = rng_keys,
			.state = &rng_state,
			.create = rng_create,
			.destroy = rng_destroy,
			.reset = rng_reset,
		},
		VIRTIO_PCI_IDS(VIRTIO_ID_ENTROPY, 0x00ff00),
	},
	.type = VIRTIO_ID_ENTROPY,
	.queue_count = 1,
	.queue_size = QUEUE_SIZE,
	.features = rng_features,
	.notify = rng_notify,
};
DEVICE_REGISTER(virtio_rng_ops.pci.base);
