/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts under KVM with a split interrupt controller.
 *
 * Messages (MSI, and what the IOAPIC sends) go to the kernel's local APICs by KVM_SIGNAL_MSI. The
 * IOAPIC must hear when a level-triggered one ends; KVM reports the end of those vectors that it
 * finds in the routes of the IOAPIC's pins (api.rst, KVM_CAP_SPLIT_IRQCHIP). So each
 * level-triggered message is given one of those 24 routes when it is first seen; there are as
 * many pins, so the least recently used one can be taken when the guest has changed a pin's
 * message. It does not matter which pin it is.
 *
 * The PIC's request reaches the BSP as level of a wire. The kernel has its LINT0: it says when an
 * interrupt can be taken (ready_for_interrupt_injection), and only then is the PIC asked for the
 * vector, as the processor would.
 */

#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/engines.h"
#include "engine/kvm/kvm_engine.h"

/* Bits of a message's data, SDM vol. 3, 11.11.2. */
#define MSI_LEVEL_TRIGGERED BIT(15)
#define MSI_ADDRESS UINT64_C(0xfee00000)
#define MSI_DELIVERY_NMI (4 << 8)

static struct kvm_engine *kvm_from_sink(struct msi_sink *sink)
{
	return kvm_from_engine(container_of(sink, struct engine, msi));
}

static bool route_used(const struct kvm_route *route)
{
	return route->fd >= 0 || route->stamp != 0;
}

/* The table replaces the kernel's; routes_lock held. */
static int write_routes_locked(struct kvm_engine *kvm)
{
	struct kvm_irq_routing *table;
	int ret;

	table = calloc(1, sizeof(*table) + KVM_ROUTES * sizeof(table->entries[0]));
	if (!table) {
		return -ENOMEM;
	}
	for (unsigned int gsi = 0; gsi < KVM_ROUTES; gsi++) {
		const struct kvm_route *route = &kvm->routes[gsi];
		struct kvm_irq_routing_entry *entry = &table->entries[table->nr];

		if (!route_used(route)) {
			continue;
		}
		entry->gsi = gsi;
		entry->type = KVM_IRQ_ROUTING_MSI;
		entry->u.msi.address_lo = (uint32_t)route->msg.address;
		entry->u.msi.address_hi = (uint32_t)(route->msg.address >> 32);
		entry->u.msi.data = route->msg.data;
		table->nr++;
	}
	ret = ioctl(kvm->vm_fd, KVM_SET_GSI_ROUTING, table) < 0 ? -errno : 0;
	free(table);
	return ret;
}

/* Makes sure that the end of this message's vector will be reported. */
static void learn_level_message(struct kvm_engine *kvm, const struct msi_message *msg)
{
	struct kvm_route *oldest = &kvm->routes[0];
	int ret = 0;

	pthread_mutex_lock(&kvm->routes_lock);
	kvm->route_stamp++;
	for (unsigned int i = 0; i < KVM_LEVEL_ROUTES; i++) {
		struct kvm_route *route = &kvm->routes[i];

		if (route->stamp && route->msg.address == msg->address &&
		    route->msg.data == msg->data) {
			route->stamp = kvm->route_stamp;
			goto out_unlock;
		}
		if (route->stamp < oldest->stamp) {
			oldest = route;
		}
	}
	oldest->msg = *msg;
	oldest->stamp = kvm->route_stamp;
	ret = write_routes_locked(kvm);
out_unlock:
	pthread_mutex_unlock(&kvm->routes_lock);
	if (ret) {
		log_error(LOG_AREA_ENGINE, "kvm: cannot route a level-triggered interrupt: %s",
			  strerror(-ret));
	}
}

static void on_deliver(struct msi_sink *sink, const struct msi_message *msg)
{
	struct kvm_engine *kvm = kvm_from_sink(sink);
	struct kvm_msi msi = {
		.address_lo = (uint32_t)msg->address,
		.address_hi = (uint32_t)(msg->address >> 32),
		.data = msg->data,
	};

	if (msg->data & MSI_LEVEL_TRIGGERED) {
		learn_level_message(kvm, msg);
	}
	if (ioctl(kvm->vm_fd, KVM_SIGNAL_MSI, &msi) < 0) {
		log_debug(LOG_AREA_ENGINE, "kvm: message 0x%llx 0x%x is not delivered: %s",
			  (unsigned long long)msg->address, msg->data, strerror(errno));
	}
}

/* ------- irqfds ------- */

static int set_irqfd(struct kvm_engine *kvm, int fd, unsigned int gsi, uint32_t flags)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)fd, .gsi = gsi, .flags = flags };

	return ioctl(kvm->vm_fd, KVM_IRQFD, &irqfd) < 0 ? -errno : 0;
}

static int on_irqfd_add(struct msi_sink *sink, int fd, const struct msi_message *msg)
{
	struct kvm_engine *kvm = kvm_from_sink(sink);
	unsigned int gsi;
	int ret = -ENOTSUP;

	/* An eventfd cannot report the end of a level. */
	if (msg->data & MSI_LEVEL_TRIGGERED) {
		return -ENOTSUP;
	}
	pthread_mutex_lock(&kvm->routes_lock);
	for (gsi = KVM_LEVEL_ROUTES; gsi < KVM_ROUTES && kvm->routes[gsi].fd >= 0; gsi++) {
	}
	if (gsi == KVM_ROUTES) {
		goto out_unlock;
	}
	kvm->routes[gsi].msg = *msg;
	kvm->routes[gsi].fd = fd;
	ret = write_routes_locked(kvm);
	if (ret == 0) {
		ret = set_irqfd(kvm, fd, gsi, 0);
	}
	if (ret) {
		kvm->routes[gsi].fd = -1;
	}
out_unlock:
	pthread_mutex_unlock(&kvm->routes_lock);
	return ret;
}

static void on_irqfd_remove(struct msi_sink *sink, int fd)
{
	struct kvm_engine *kvm = kvm_from_sink(sink);

	pthread_mutex_lock(&kvm->routes_lock);
	for (unsigned int gsi = KVM_LEVEL_ROUTES; gsi < KVM_ROUTES; gsi++) {
		if (kvm->routes[gsi].fd == fd) {
			set_irqfd(kvm, fd, gsi, KVM_IRQFD_FLAG_DEASSIGN);
			kvm->routes[gsi].fd = -1;
		}
	}
	pthread_mutex_unlock(&kvm->routes_lock);
}

/* ------- the PIC ------- */

void kvm_set_extint(struct engine *engine, bool level)
{
	struct kvm_engine *kvm = kvm_from_engine(engine);
	struct kvm_vcpu *bsp;

	atomic_store(&kvm->extint, level);
	if (!level || engine->vcpu_count == 0) {
		return;
	}
	bsp = kvm_from_vcpu(engine->vcpus[0]);
	if (atomic_load(&bsp->in_run)) {
		__atomic_store_n(&bsp->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		vcpu_signal(&bsp->vcpu);
	}
}

void kvm_inject_extint(struct kvm_vcpu *vcpu)
{
	struct engine *engine = vcpu->vcpu.engine;
	struct kvm_engine *kvm = kvm_from_engine(engine);

	vcpu->run->request_interrupt_window = 0;
	if (!atomic_load(&kvm->extint) || !engine->env.pic_intack) {
		return;
	}
	if (vcpu->run->ready_for_interrupt_injection && !vcpu->extint_queued) {
		struct kvm_interrupt interrupt;
		int vector = engine->env.pic_intack(engine->env.opaque);

		if (vector < 0) {
			return;
		}
		interrupt.irq = (uint32_t)vector;
		if (ioctl(vcpu->fd, KVM_INTERRUPT, &interrupt) < 0) {
			log_error(LOG_AREA_ENGINE, "kvm: the PIC's interrupt 0x%x is lost: %s",
				  interrupt.irq, strerror(errno));
		}
		vcpu->extint_queued = true;
	}
	/* Another may be waiting behind it. */
	if (atomic_load(&kvm->extint)) {
		vcpu->run->request_interrupt_window = 1;
	}
}

/*
 * Two things are in no state that KVM gives out before the vCPU comes round to entering the
 * guest: a vector that was given to KVM_INTERRUPT, and a tick of the APIC's timer that fell due
 * while the vCPU was paused. With a signal pending that is let in only by KVM_RUN's own mask, KVM
 * goes just so far and comes back: the vector is then among the vCPU's events and the tick in the
 * APIC's registers.
 */
int kvm_settle(struct kvm_vcpu *vcpu)
{
	/* The kernel's set of signals: everything blocked but the kick. */
	uint64_t blocked = ~BIT(VCPU_KICK_SIGNAL - 1);
	uint8_t buffer[sizeof(struct kvm_signal_mask) + sizeof(blocked)];
	struct kvm_signal_mask header = { .len = sizeof(blocked) };
	struct timespec none = { 0 };
	sigset_t kick;
	sigset_t before;
	int ret = 0;

	sigemptyset(&kick);
	sigaddset(&kick, VCPU_KICK_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &kick, &before);
	memcpy(buffer, &header, sizeof(header));
	memcpy(buffer + sizeof(header), &blocked, sizeof(blocked));
	if (ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, buffer) < 0) {
		ret = -errno;
		goto out_mask;
	}
	tgkill(getpid(), gettid(), VCPU_KICK_SIGNAL);
	vcpu->run->immediate_exit = 0;
	vcpu->run->request_interrupt_window = 0;
	/* EAGAIN: it waits for INIT or SIPI. */
	if (ioctl(vcpu->fd, KVM_RUN, 0) < 0 && errno != EINTR && errno != EAGAIN) {
		ret = -errno;
	}
	ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, NULL);
	sigtimedwait(&kick, NULL, &none);
	vcpu->extint_queued = false;
out_mask:
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ret;
}

void kvm_nmi(struct vcpu *vcpu)
{
	/* Not KVM_NMI, which waits for the vCPU to leave the guest. */
	struct msi_message msg = {
		.address = MSI_ADDRESS | (uint64_t)vcpu->index << 12,
		.data = MSI_DELIVERY_NMI,
	};

	vcpu->engine->msi.deliver(&vcpu->engine->msi, &msg);
}

void kvm_irq_init(struct kvm_engine *kvm)
{
	pthread_mutex_init(&kvm->routes_lock, NULL);
	for (unsigned int i = 0; i < KVM_ROUTES; i++) {
		kvm->routes[i].fd = -1;
	}
	kvm->engine.msi.deliver = on_deliver;
	kvm->engine.msi.irqfd_add = on_irqfd_add;
	kvm->engine.msi.irqfd_remove = on_irqfd_remove;
}

void kvm_irq_finish(struct kvm_engine *kvm)
{
	pthread_mutex_destroy(&kvm->routes_lock);
}
