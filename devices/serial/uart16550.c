/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 16550A serial port: National Semiconductor's PC16550D data sheet (1995). 16-byte receive FIFO
 * with trigger levels and time-out, all interrupts in their order, modem status, loopback.
 *
 * Characters take no time: what the guest writes is gone at once, so the transmitter is always
 * empty, and divisor and frame format only remember. Towards the guest nothing is lost: the back
 * end is asked for no more than the FIFO has room for, and told when there is room again. An
 * overrun can only happen in loopback. CTS and DSR are always on, so that a guest with hardware
 * flow control is not held up by nobody listening; DCD says whether somebody is.
 *
 * As on a PC, OUT2 gates the interrupt line. There are no errors on this wire: parity and framing
 * bits are never set, and a break is not passed on.
 */

#include "bus/device.h"

#include <assert.h>

#include "guestlink/char_backend.h"

#define FIFO_SIZE 16
/* Four characters at 115200 baud, data sheet 8.6. */
#define TIMEOUT_NS 350000

enum {
	REG_DATA,
	REG_IER,
	REG_IIR_FCR,
	REG_LCR,
	REG_MCR,
	REG_LSR,
	REG_MSR,
	REG_SCRATCH,
	REGS,
};

#define IER_RECEIVE BIT(0)
#define IER_TRANSMIT BIT(1)
#define IER_LINE BIT(2)
#define IER_MODEM BIT(3)

#define IIR_NONE 0x01
#define IIR_MODEM 0x00
#define IIR_TRANSMIT 0x02
#define IIR_RECEIVE 0x04
#define IIR_LINE 0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFO 0xc0

#define FCR_ENABLE BIT(0)
#define FCR_CLEAR_RECEIVE BIT(1)
#define FCR_KEPT 0xc9

#define LCR_DLAB BIT(7)

#define MCR_DTR BIT(0)
#define MCR_RTS BIT(1)
#define MCR_OUT1 BIT(2)
#define MCR_OUT2 BIT(3)
#define MCR_LOOP BIT(4)

#define LSR_READY BIT(0)
#define LSR_OVERRUN BIT(1)
#define LSR_EMPTY (BIT(5) | BIT(6)) /* holding register and transmitter */

#define MSR_CTS BIT(4)
#define MSR_DSR BIT(5)
#define MSR_RI BIT(6)
#define MSR_DCD BIT(7)
#define MSR_DELTAS 0x0f

/**
 * struct uart - one port
 * @rx: received bytes, a ring of @rx_count from @rx_head
 * @transmit_pending: the "holding register empty" interrupt was not acknowledged yet
 * @timed_out: bytes lie in the FIFO below its trigger level, untouched for four characters
 * @open: somebody is at the other end
 * @held_back: the back end was told to wait
 */
struct uart {
	struct device dev;
	struct irq_line irq;
	uint8_t rx[FIFO_SIZE];
	uint8_t rx_head;
	uint8_t rx_count;
	uint8_t divisor[2];
	uint8_t ier;
	uint8_t fcr;
	uint8_t lcr;
	uint8_t mcr;
	uint8_t msr;
	uint8_t scratch;
	bool overrun;
	bool transmit_pending;
	bool timed_out;
	bool open;
	bool held_back;
	struct timer timeout;
	struct io_region region;
};

static const struct device_ops uart_ops;

static struct uart *uart_from_device(struct device *dev)
{
	assert(dev->ops == &uart_ops);
	return container_of(dev, struct uart, dev);
}

/* ---- interrupts ---- */

static unsigned int fifo_size(const struct uart *uart)
{
	return uart->fcr & FCR_ENABLE ? FIFO_SIZE : 1;
}

static unsigned int trigger_level(const struct uart *uart)
{
	static const uint8_t levels[4] = { 1, 4, 8, 14 };

	return uart->fcr & FCR_ENABLE ? levels[uart->fcr >> 6] : 1;
}

/* The pending interrupt of highest priority, data sheet table IV. */
static uint8_t interrupt_id(const struct uart *uart)
{
	if (uart->ier & IER_LINE && uart->overrun) {
		return IIR_LINE;
	}
	if (uart->ier & IER_RECEIVE && uart->rx_count >= trigger_level(uart)) {
		return IIR_RECEIVE;
	}
	if (uart->ier & IER_RECEIVE && uart->timed_out) {
		return IIR_TIMEOUT;
	}
	if (uart->ier & IER_TRANSMIT && uart->transmit_pending) {
		return IIR_TRANSMIT;
	}
	if (uart->ier & IER_MODEM && uart->msr & MSR_DELTAS) {
		return IIR_MODEM;
	}
	return IIR_NONE;
}

static void update_irq(struct uart *uart)
{
	irq_set(&uart->irq, interrupt_id(uart) != IIR_NONE && uart->mcr & MCR_OUT2);
}

/* After any movement in the receive FIFO: the time-out counts from here. */
static void restart_timeout(struct uart *uart)
{
	uart->timed_out = false;
	if (uart->fcr & FCR_ENABLE && uart->ier & IER_RECEIVE && uart->rx_count > 0 &&
	    uart->rx_count < trigger_level(uart)) {
		timer_arm(&uart->timeout, machine_clock_now(uart->dev.env.clock) + TIMEOUT_NS);
	} else {
		timer_cancel(&uart->timeout);
	}
}

static void timeout_fired(void *opaque)
{
	struct uart *uart = opaque;

	uart->timed_out = true;
	update_irq(uart);
}

/* ---- modem lines ---- */

static uint8_t modem_lines(const struct uart *uart)
{
	uint8_t lines = MSR_CTS | MSR_DSR | (uart->open ? MSR_DCD : 0);

	if (uart->mcr & MCR_LOOP) {
		lines = uart->mcr & MCR_RTS ? MSR_CTS : 0;
		lines |= uart->mcr & MCR_DTR ? MSR_DSR : 0;
		lines |= uart->mcr & MCR_OUT1 ? MSR_RI : 0;
		lines |= uart->mcr & MCR_OUT2 ? MSR_DCD : 0;
	}
	return lines;
}

static void update_modem(struct uart *uart)
{
	uint8_t old = uart->msr & ~MSR_DELTAS;
	uint8_t lines = modem_lines(uart);
	uint8_t changed = old ^ lines;

	/* The ring indicator's bit notes its trailing edge only. */
	if (lines & MSR_RI) {
		changed &= ~MSR_RI;
	}
	uart->msr = lines | (uart->msr & MSR_DELTAS) | changed >> 4;
	update_irq(uart);
}

/* ---- data ---- */

static void receive_byte(struct uart *uart, uint8_t byte)
{
	if (uart->rx_count == fifo_size(uart)) {
		uart->overrun = true;
		return;
	}
	uart->rx[(uart->rx_head + uart->rx_count) % FIFO_SIZE] = byte;
	uart->rx_count++;
}

/* There is room again: let the back end go on. */
static void release_backend(struct uart *uart)
{
	if (uart->held_back && !(uart->mcr & MCR_LOOP) && uart->dev.env.chr) {
		uart->held_back = false;
		char_backend_ready(uart->dev.env.chr);
	}
}

static void clear_receiver(struct uart *uart)
{
	uart->rx_head = 0;
	uart->rx_count = 0;
	restart_timeout(uart);
	release_backend(uart);
}

static uint8_t read_data(struct uart *uart)
{
	uint8_t byte = uart->rx[uart->rx_head];

	if (uart->rx_count == 0) {
		return 0;
	}
	uart->rx_head = (uart->rx_head + 1) % FIFO_SIZE;
	uart->rx_count--;
	restart_timeout(uart);
	update_irq(uart);
	if (uart->rx_count == 0) {
		release_backend(uart);
	}
	return byte;
}

static void write_data(struct uart *uart, uint8_t byte)
{
	if (uart->mcr & MCR_LOOP) {
		receive_byte(uart, byte);
		restart_timeout(uart);
	} else if (uart->dev.env.chr) {
		char_backend_write(uart->dev.env.chr, &byte, 1);
	}
	uart->transmit_pending = true;
	update_irq(uart);
}

/* ---- registers ---- */

static void write_ier(struct uart *uart, uint8_t value)
{
	uint8_t rises = value & ~uart->ier;

	uart->ier = value & 0x0f;
	if (rises & IER_TRANSMIT) {
		/* The transmitter is empty, and now somebody wants to know. */
		uart->transmit_pending = true;
	}
	restart_timeout(uart);
	update_irq(uart);
}

static void write_fcr(struct uart *uart, uint8_t value)
{
	bool toggles = (value ^ uart->fcr) & FCR_ENABLE;

	uart->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
	if (toggles || value & FCR_CLEAR_RECEIVE) {
		clear_receiver(uart);
	}
	restart_timeout(uart);
	update_irq(uart);
}

static uint8_t read_iir(struct uart *uart)
{
	uint8_t id = interrupt_id(uart);

	if (id == IIR_TRANSMIT) {
		uart->transmit_pending = false;
		update_irq(uart);
	}
	return id | (uart->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct uart *uart)
{
	uint8_t value = LSR_EMPTY;

	value |= uart->rx_count ? LSR_READY : 0;
	value |= uart->overrun ? LSR_OVERRUN : 0;
	uart->overrun = false;
	update_irq(uart);
	return value;
}

static uint8_t read_msr(struct uart *uart)
{
	uint8_t value = uart->msr;

	uart->msr &= ~MSR_DELTAS;
	update_irq(uart);
	return value;
}

static uint64_t uart_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct uart *uart = opaque;

	if (offset <= REG_IER && uart->lcr & LCR_DLAB) {
		return uart->divisor[offset];
	}
	switch (offset) {
	case REG_DATA:
		return read_data(uart);
	case REG_IER:
		return uart->ier;
	case REG_IIR_FCR:
		return read_iir(uart);
	case REG_LCR:
		return uart->lcr;
	case REG_MCR:
		return uart->mcr;
	case REG_LSR:
		return read_lsr(uart);
	case REG_MSR:
		return read_msr(uart);
	default:
		return uart->scratch;
	}
}

static void write_mcr(struct uart *uart, uint8_t value)
{
	uart->mcr = value & 0x1f;
	update_modem(uart);
	if (uart->rx_count < fifo_size(uart)) {
		release_backend(uart);
	}
}

static void uart_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct uart *uart = opaque;

	if (offset <= REG_IER && uart->lcr & LCR_DLAB) {
		uart->divisor[offset] = (uint8_t)value;
		return;
	}
	switch (offset) {
	case REG_DATA:
		write_data(uart, (uint8_t)value);
		break;
	case REG_IER:
		write_ier(uart, (uint8_t)value);
		break;
	case REG_IIR_FCR:
		write_fcr(uart, (uint8_t)value);
		break;
	case REG_LCR:
		uart->lcr = (uint8_t)value;
		break;
	case REG_MCR:
		write_mcr(uart, (uint8_t)value);
		break;
	case REG_SCRATCH:
		uart->scratch = (uint8_t)value;
		break;
	default:
		break; /* LSR and MSR are for reading */
	}
}

static const struct io_ops uart_io = { .read = uart_read, .write = uart_write, .max_size = 1 };

/* ---- the back end's callbacks: on its loop's thread ---- */

static size_t client_can_receive(void *opaque)
{
	struct uart *uart = opaque;
	size_t room = 0;

	pthread_mutex_lock(&uart->dev.lock);
	if (!(uart->mcr & MCR_LOOP)) {
		room = fifo_size(uart) - uart->rx_count;
	}
	uart->held_back = room == 0;
	pthread_mutex_unlock(&uart->dev.lock);
	return room;
}

static void client_receive(void *opaque, const uint8_t *data, size_t size)
{
	struct uart *uart = opaque;

	pthread_mutex_lock(&uart->dev.lock);
	for (size_t i = 0; i < size; i++) {
		receive_byte(uart, data[i]);
	}
	restart_timeout(uart);
	update_irq(uart);
	pthread_mutex_unlock(&uart->dev.lock);
}

static void client_hangup(void *opaque, bool open)
{
	struct uart *uart = opaque;

	pthread_mutex_lock(&uart->dev.lock);
	uart->open = open;
	update_modem(uart);
	pthread_mutex_unlock(&uart->dev.lock);
}

/* ---- life ---- */

static const struct config_key uart_keys[] = {
	{ .name = "port",
	  .type = CONFIG_INT,
	  .def = "0x3f8",
	  .min = 0,
	  .max = 0xfff8,
	  .help = "first of its eight I/O ports" },
	{ .name = "irq",
	  .type = CONFIG_INT,
	  .def = "4",
	  .min = 3,
	  .max = 15,
	  .help = "its interrupt line" },
	{ .name = NULL },
};

static int uart_create(struct device *dev, struct error *err)
{
	struct uart *uart = uart_from_device(dev);
	uint16_t port = (uint16_t)config_get_int(&dev->env.config, "port");
	const struct char_client client = {
		.can_receive = client_can_receive,
		.receive = client_receive,
		.hangup = client_hangup,
		.opaque = uart,
	};
	int rc;

	uart->irq = dev->env.irqs[config_get_int(&dev->env.config, "irq")];
	uart->open = true;
	timer_init(&uart->timeout, dev->env.clock, &dev->lock, timeout_fired, uart);
	io_region_init(&uart->region, "uart", &uart_io, uart, &dev->lock, REGS);
	rc = io_region_map(&uart->region, dev->env.ports, port);
	if (rc < 0) {
		timer_finish(&uart->timeout);
		return error_set(err, -rc, "cannot map a serial port at port 0x%x", port);
	}
	if (dev->env.chr) {
		char_backend_set_client(dev->env.chr, &client);
	}
	return 0;
}

static void uart_destroy(struct device *dev)
{
	struct uart *uart = uart_from_device(dev);
	const struct char_client nobody = { 0 };

	if (dev->env.chr) {
		char_backend_set_client(dev->env.chr, &nobody);
	}
	io_region_unmap(&uart->region);
	timer_finish(&uart->timeout);
}

/* The divisor is undefined after a reset; that of 9600 baud is what BIOSes leave. */
static void uart_reset(struct device *dev, enum reset_kind kind)
{
	struct uart *uart = uart_from_device(dev);

	uart->divisor[0] = 12;
	uart->divisor[1] = 0;
	uart->ier = 0;
	uart->fcr = 0;
	uart->lcr = 0;
	uart->mcr = 0;
	uart->scratch = 0;
	uart->overrun = false;
	uart->transmit_pending = false;
	uart->msr = modem_lines(uart);
	memset(uart->rx, 0, sizeof(uart->rx));
	clear_receiver(uart);
	update_irq(uart);
}

/* After a load the back end may have to be asked again for what it was holding back. */
static void uart_resume(struct device *dev)
{
	struct uart *uart = uart_from_device(dev);

	pthread_mutex_lock(&dev->lock);
	if (uart->rx_count < fifo_size(uart)) {
		uart->held_back = true;
		release_backend(uart);
	}
	pthread_mutex_unlock(&dev->lock);
}

static int uart_post_load(void *base, struct error *err)
{
	struct uart *uart = base;

	if (uart->rx_head >= FIFO_SIZE || uart->rx_count > fifo_size(uart) ||
	    uart->fcr & ~FCR_KEPT || uart->ier > 0x0f || uart->mcr > 0x1f) {
		return error_set(err, EINVAL, "a serial port in no possible state");
	}
	update_modem(uart);
	return 0;
}

static const struct state_field uart_fields[] = {
	STATE_FIELD_BYTES(struct uart, rx),
	STATE_FIELD(struct uart, rx_head),
	STATE_FIELD(struct uart, rx_count),
	STATE_FIELD_BYTES(struct uart, divisor),
	STATE_FIELD(struct uart, ier),
	STATE_FIELD(struct uart, fcr),
	STATE_FIELD(struct uart, lcr),
	STATE_FIELD(struct uart, mcr),
	STATE_FIELD(struct uart, msr),
	STATE_FIELD(struct uart, scratch),
	STATE_FIELD_BOOL(struct uart, overrun),
	STATE_FIELD_BOOL(struct uart, transmit_pending),
	STATE_FIELD_BOOL(struct uart, timed_out),
	STATE_FIELD_TIMER(struct uart, timeout),
	STATE_FIELDS_END,
};

static const struct state_table uart_state = {
	.version = 1,
	.fields = uart_fields,
	.post_load = uart_post_load,
};

static const struct device_ops uart_ops = {
	.name = "uart",
	.bus = DEVICE_BUS_SYSTEM,
	.instance_size = sizeof(struct uart),
	.keys = uart_keys,
	.state = &uart_state,
	.create = uart_create,
	.destroy = uart_destroy,
	.reset = uart_reset,
	.resume = uart_resume,
};
DEVICE_REGISTER(uart_ops);
