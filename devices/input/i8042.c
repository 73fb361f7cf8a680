/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keyboard controller, ports 60h and 64h, with a keyboard (IRQ 1) and a mouse (IRQ 12): IBM
 * PS/2 Hardware Interface Technical Reference (1988), "Keyboard and Auxiliary Device Controller".
 * All of the commands that such controllers had in common, translation of scan code set 2 into set
 * 1, reset and A20 (which only remembers, bus/chipset.h) through the output port.
 *
 * After a byte of a device was read, the next one comes BYTE_NS later, as on the serial wire to a
 * real keyboard: programs that chain interrupt handlers read port 60h twice and rely on finding the
 * same byte there. A timer runs only while a byte waits for that.
 *
 * Left out: passwords, the controller's firmware RAM beyond the command byte, keyboard locking.
 */

#include "bus/device.h"

#include <assert.h>

#include "ps2.h"

#define BYTE_NS 250000

/* Status, port 64h. */
#define STATUS_FULL BIT(0)
#define STATUS_SYSTEM BIT(2)
#define STATUS_COMMAND BIT(3)
#define STATUS_UNLOCKED BIT(4)
#define STATUS_AUX BIT(5)

/* Command byte. */
#define MODE_KBD_INT BIT(0)
#define MODE_AUX_INT BIT(1)
#define MODE_SYSTEM BIT(2)
#define MODE_KBD_OFF BIT(4)
#define MODE_AUX_OFF BIT(5)
#define MODE_TRANSLATE BIT(6)
/* What firmware leaves, for systems that were started without any. */
#define MODE_RESET (MODE_KBD_INT | MODE_AUX_INT | MODE_SYSTEM | MODE_TRANSLATE)

/* Output port. */
#define OUT_NO_RESET BIT(0)
#define OUT_A20 BIT(1)
#define OUT_KBD_FULL BIT(4)
#define OUT_AUX_FULL BIT(5)
#define OUT_FIXED 0xc0

enum {
	CMD_READ_MODE = 0x20,
	CMD_WRITE_MODE = 0x60,
	CMD_PASSWORD_TEST = 0xa4,
	CMD_AUX_OFF = 0xa7,
	CMD_AUX_ON = 0xa8,
	CMD_AUX_TEST = 0xa9,
	CMD_SELF_TEST = 0xaa,
	CMD_KBD_TEST = 0xab,
	CMD_KBD_OFF = 0xad,
	CMD_KBD_ON = 0xae,
	CMD_READ_INPUT = 0xc0,
	CMD_READ_OUTPUT = 0xd0,
	CMD_WRITE_OUTPUT = 0xd1,
	CMD_WRITE_KBD_BUFFER = 0xd2,
	CMD_WRITE_AUX_BUFFER = 0xd3,
	CMD_WRITE_AUX = 0xd4,
	CMD_A20_OFF = 0xdd,
	CMD_A20_ON = 0xdf,
	CMD_READ_TEST = 0xe0,
	CMD_PULSE = 0xf0,
};

enum source {
	SOURCE_CONTROLLER,
	SOURCE_KEYBOARD,
	SOURCE_MOUSE,
};

/**
 * struct i8042 - the controller and what is plugged into it
 * @command: one that waits for its byte at port 60h, or 0
 * @data, @source: the output buffer; full while @full
 * @answer: the controller's own answer, which waits for the buffer; while @has_answer
 * @breaking: F0h of set 2 was taken, so the next code is a key's release
 * @next_ns: when the next byte of a device may come
 */
struct i8042 {
	struct device dev;
	struct ps2_keyboard kbd;
	struct ps2_mouse mouse;
	uint8_t mode;
	uint8_t command;
	uint8_t data;
	uint8_t source;
	uint8_t answer;
	bool full;
	bool has_answer;
	bool answer_is_aux;
	bool last_was_command;
	bool a20;
	bool breaking;
	uint64_t next_ns;
	struct timer timer;
	struct io_region regions[2];
};

static const struct device_ops i8042_ops;

static struct i8042 *i8042_from_device(struct device *dev)
{
	assert(dev->ops == &i8042_ops);
	return container_of(dev, struct i8042, dev);
}

/* ---- the output buffer ---- */

static void update_irqs(struct i8042 *ctl)
{
	bool aux = ctl->source == SOURCE_MOUSE;

	irq_set(&ctl->dev.env.irqs[1], ctl->full && !aux && ctl->mode & MODE_KBD_INT);
	irq_set(&ctl->dev.env.irqs[12], ctl->full && aux && ctl->mode & MODE_AUX_INT);
}

static void fill(struct i8042 *ctl, uint8_t byte, enum source source)
{
	ctl->data = byte;
	ctl->source = source;
	ctl->full = true;
	update_irqs(ctl);
}

/* The next byte of the keyboard, translated; false when there is none. */
static bool take_from_keyboard(struct i8042 *ctl, uint8_t *ret_byte)
{
	bool is_data;

	while (ps2_take(&ctl->kbd.port, ret_byte, &is_data)) {
		if (!(ctl->mode & MODE_TRANSLATE)) {
			return true;
		}
		if (is_data && *ret_byte == 0xf0) {
			ctl->breaking = true;
			continue;
		}
		*ret_byte = ps2_translate(*ret_byte);
		if (is_data && ctl->breaking) {
			*ret_byte |= 0x80;
			ctl->breaking = false;
		}
		return true;
	}
	return false;
}

static bool device_waits(const struct i8042 *ctl)
{
	const struct ps2_port *kbd = &ctl->kbd.port;
	const struct ps2_port *mouse = &ctl->mouse.port;

	return (!(ctl->mode & MODE_KBD_OFF) && kbd->reply_count + kbd->data_count) ||
	       (!(ctl->mode & MODE_AUX_OFF) && mouse->reply_count + mouse->data_count);
}

/* Put what comes next into the output buffer, if it is free. */
static void refill(struct i8042 *ctl)
{
	uint8_t byte;
	bool is_data;

	if (ctl->full) {
		return;
	}
	if (ctl->has_answer) {
		ctl->has_answer = false;
		fill(ctl, ctl->answer, ctl->answer_is_aux ? SOURCE_MOUSE : SOURCE_CONTROLLER);
		return;
	}
	if (!device_waits(ctl)) {
		return;
	}
	if (machine_clock_now(ctl->dev.env.clock) < ctl->next_ns) {
		timer_arm(&ctl->timer, ctl->next_ns);
		return;
	}
	if (!(ctl->mode & MODE_KBD_OFF) && take_from_keyboard(ctl, &byte)) {
		fill(ctl, byte, SOURCE_KEYBOARD);
	} else if (!(ctl->mode & MODE_AUX_OFF) &&
		   ps2_take(&ctl->mouse.port, &byte, &is_data)) {
		fill(ctl, byte, SOURCE_MOUSE);
		ps2_mouse_report(&ctl->mouse);
	}
}

static void timer_fired(void *opaque)
{
	refill(opaque);
}

/* The controller itself answers. */
static void answer(struct i8042 *ctl, uint8_t byte)
{
	ctl->answer = byte;
	ctl->answer_is_aux = false;
	ctl->has_answer = true;
	refill(ctl);
}

static uint8_t read_data(struct i8042 *ctl)
{
	uint8_t data = ctl->data;

	if (ctl->full) {
		ctl->full = false;
		update_irqs(ctl);
		if (ctl->source != SOURCE_CONTROLLER) {
			ctl->next_ns = machine_clock_now(ctl->dev.env.clock) + BYTE_NS;
		}
		refill(ctl);
	}
	return data;
}

/* ---- commands ---- */

static void set_mode(struct i8042 *ctl, uint8_t mode)
{
	ctl->mode = mode;
	update_irqs(ctl);
	refill(ctl);
}

static void write_output_port(struct i8042 *ctl, uint8_t value)
{
	struct power_sink *power = ctl->dev.env.power;

	ctl->a20 = value & OUT_A20;
	if (!(value & OUT_NO_RESET)) {
		power->reset(power);
	}
}

static uint8_t read_output_port(const struct i8042 *ctl)
{
	uint8_t value = OUT_FIXED | OUT_NO_RESET | (ctl->a20 ? OUT_A20 : 0);

	if (ctl->full) {
		value |= ctl->source == SOURCE_MOUSE ? OUT_AUX_FULL : OUT_KBD_FULL;
	}
	return value;
}

static void self_test(struct i8042 *ctl)
{
	ctl->mode |= MODE_SYSTEM;
	answer(ctl, 0x55);
}

/* Commands without a parameter. */
static void run_command(struct i8042 *ctl, uint8_t command)
{
	switch (command) {
	case CMD_READ_MODE:
		answer(ctl, ctl->mode);
		break;
	case CMD_PASSWORD_TEST:
		answer(ctl, 0xf1); /* none installed */
		break;
	case CMD_AUX_OFF:
	case CMD_AUX_ON:
		set_mode(ctl, command == CMD_AUX_ON ? ctl->mode & ~MODE_AUX_OFF :
						      ctl->mode | MODE_AUX_OFF);
		break;
	case CMD_KBD_OFF:
	case CMD_KBD_ON:
		set_mode(ctl, command == CMD_KBD_ON ? ctl->mode & ~MODE_KBD_OFF :
						      ctl->mode | MODE_KBD_OFF);
		break;
	case CMD_AUX_TEST:
	case CMD_KBD_TEST:
	case CMD_READ_TEST:
		answer(ctl, 0x00);
		break;
	case CMD_SELF_TEST:
		self_test(ctl);
		break;
	case CMD_READ_INPUT:
		answer(ctl, 0x80);
		break;
	case CMD_READ_OUTPUT:
		answer(ctl, read_output_port(ctl));
		break;
	case CMD_A20_OFF:
	case CMD_A20_ON:
		ctl->a20 = command == CMD_A20_ON;
		break;
	default:
		/* F0h-FFh pulse output lines whose bit is clear; line 0 is the reset. */
		if (command >= CMD_PULSE && !(command & 1)) {
			write_output_port(ctl, ctl->a20 ? OUT_A20 : 0);
		}
		break;
	}
}

static void write_command(struct i8042 *ctl, uint8_t command)
{
	ctl->last_was_command = true;
	ctl->command = 0;
	switch (command) {
	case CMD_WRITE_MODE:
	case CMD_WRITE_OUTPUT:
	case CMD_WRITE_KBD_BUFFER:
	case CMD_WRITE_AUX_BUFFER:
	case CMD_WRITE_AUX:
		ctl->command = command;
		break;
	default:
		run_command(ctl, command);
		break;
	}
}

static void write_data(struct i8042 *ctl, uint8_t byte)
{
	uint8_t command = ctl->command;

	ctl->last_was_command = false;
	ctl->command = 0;
	switch (command) {
	case CMD_WRITE_MODE:
		set_mode(ctl, byte);
		break;
	case CMD_WRITE_OUTPUT:
		write_output_port(ctl, byte);
		break;
	case CMD_WRITE_KBD_BUFFER:
		answer(ctl, byte);
		break;
	case CMD_WRITE_AUX_BUFFER:
		ctl->answer = byte;
		ctl->answer_is_aux = true;
		ctl->has_answer = true;
		refill(ctl);
		break;
	case CMD_WRITE_AUX:
		/* Talking to a device turns its wire on. */
		ps2_mouse_write(&ctl->mouse, byte);
		set_mode(ctl, ctl->mode & ~MODE_AUX_OFF);
		break;
	default:
		ctl->breaking = false;
		ps2_keyboard_write(&ctl->kbd, byte);
		set_mode(ctl, ctl->mode & ~MODE_KBD_OFF);
		break;
	}
}

/* ---- ports ---- */

static uint64_t data_port_read(void *opaque, uint64_t offset, unsigned int size)
{
	return read_data(opaque);
}

static void data_port_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	write_data(opaque, (uint8_t)value);
}

static uint64_t status_port_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct i8042 *ctl = opaque;
	uint8_t value = STATUS_UNLOCKED;

	value |= ctl->mode & MODE_SYSTEM ? STATUS_SYSTEM : 0;
	value |= ctl->last_was_command ? STATUS_COMMAND : 0;
	if (ctl->full) {
		value |= STATUS_FULL | (ctl->source == SOURCE_MOUSE ? STATUS_AUX : 0);
	}
	return value;
}

static void command_port_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	write_command(opaque, (uint8_t)value);
}

static const struct io_ops data_io = {
	.read = data_port_read,
	.write = data_port_write,
	.max_size = 1,
};
static const struct io_ops command_io = {
	.read = status_port_read,
	.write = command_port_write,
	.max_size = 1,
};

/* ---- input ---- */

static void input_key_event(void *opaque, unsigned int code, bool down)
{
	struct i8042 *ctl = opaque;

	pthread_mutex_lock(&ctl->dev.lock);
	ps2_keyboard_key(&ctl->kbd, code, down);
	refill(ctl);
	pthread_mutex_unlock(&ctl->dev.lock);
}

static void input_button_event(void *opaque, enum input_button button, bool down)
{
	struct i8042 *ctl = opaque;

	pthread_mutex_lock(&ctl->dev.lock);
	ps2_mouse_button(&ctl->mouse, button, down);
	pthread_mutex_unlock(&ctl->dev.lock);
}

static void input_relative_event(void *opaque, int dx, int dy)
{
	struct i8042 *ctl = opaque;

	pthread_mutex_lock(&ctl->dev.lock);
	ps2_mouse_move(&ctl->mouse, dx, dy);
	pthread_mutex_unlock(&ctl->dev.lock);
}

static void input_sync_event(void *opaque)
{
	struct i8042 *ctl = opaque;

	pthread_mutex_lock(&ctl->dev.lock);
	ps2_mouse_report(&ctl->mouse);
	refill(ctl);
	pthread_mutex_unlock(&ctl->dev.lock);
}

/* ---- life ---- */

static void i8042_destroy(struct device *dev)
{
	struct i8042 *ctl = i8042_from_device(dev);

	if (dev->env.input) {
		input_router_remove_sink(dev->env.input, ctl);
	}
	io_region_unmap(&ctl->regions[0]);
	io_region_unmap(&ctl->regions[1]);
	timer_finish(&ctl->timer);
}

static int i8042_create(struct device *dev, struct error *err)
{
	struct i8042 *ctl = i8042_from_device(dev);
	const struct input_sink sink = {
		.key = input_key_event,
		.button = input_button_event,
		.relative = input_relative_event,
		.sync = input_sync_event,
		.opaque = ctl,
	};
	int rc;

	timer_init(&ctl->timer, dev->env.clock, &dev->lock, timer_fired, ctl);
	io_region_init(&ctl->regions[0], "i8042-data", &data_io, ctl, &dev->lock, 1);
	io_region_init(&ctl->regions[1], "i8042-command", &command_io, ctl, &dev->lock, 1);
	rc = io_region_map(&ctl->regions[0], dev->env.ports, 0x60);
	if (rc == 0) {
		rc = io_region_map(&ctl->regions[1], dev->env.ports, 0x64);
	}
	if (rc == 0 && dev->env.input) {
		rc = input_router_add_sink(dev->env.input, &sink);
	}
	if (rc < 0) {
		i8042_destroy(dev);
		return error_set(err, -rc, "cannot plug in the keyboard controller");
	}
	return 0;
}

static void i8042_reset(struct device *dev, enum reset_kind kind)
{
	struct i8042 *ctl = i8042_from_device(dev);

	ps2_keyboard_reset(&ctl->kbd);
	ps2_mouse_reset(&ctl->mouse);
	ctl->kbd.port.last = 0;
	ctl->mouse.port.last = 0;
	ctl->mode = MODE_RESET;
	ctl->command = 0;
	ctl->data = 0;
	ctl->source = SOURCE_CONTROLLER;
	ctl->answer = 0;
	ctl->full = false;
	ctl->has_answer = false;
	ctl->answer_is_aux = false;
	ctl->last_was_command = true;
	ctl->a20 = true;
	ctl->breaking = false;
	ctl->next_ns = 0;
	timer_cancel(&ctl->timer);
	update_irqs(ctl);
}

static int i8042_post_load(void *base, struct error *err)
{
	struct i8042 *ctl = base;

	if (ctl->source > SOURCE_MOUSE) {
		return error_set(err, EINVAL, "a keyboard controller with a third device");
	}
	return 0;
}

static const struct state_field i8042_fields[] = {
	STATE_FIELD_STRUCT(struct i8042, kbd, 1, &ps2_keyboard_state),
	STATE_FIELD_STRUCT(struct i8042, mouse, 1, &ps2_mouse_state),
	STATE_FIELD(struct i8042, mode),
	STATE_FIELD(struct i8042, command),
	STATE_FIELD(struct i8042, data),
	STATE_FIELD(struct i8042, source),
	STATE_FIELD(struct i8042, answer),
	STATE_FIELD_BOOL(struct i8042, full),
	STATE_FIELD_BOOL(struct i8042, has_answer),
	STATE_FIELD_BOOL(struct i8042, answer_is_aux),
	STATE_FIELD_BOOL(struct i8042, last_was_command),
	STATE_FIELD_BOOL(struct i8042, a20),
	STATE_FIELD_BOOL(struct i8042, breaking),
	STATE_FIELD(struct i8042, next_ns),
	STATE_FIELD_TIMER(struct i8042, timer),
	STATE_FIELDS_END,
};

static const struct state_table i8042_state = {
	.version = 1,
	.fields = i8042_fields,
	.post_load = i8042_post_load,
};

static const struct device_ops i8042_ops = {
	.name = "i8042",
	.bus = DEVICE_BUS_SYSTEM,
	.instance_size = sizeof(struct i8042),
	.state = &i8042_state,
	.create = i8042_create,
	.destroy = i8042_destroy,
	.reset = i8042_reset,
};
DEVICE_REGISTER(i8042_ops);
