/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A PS/2 mouse, and what it shares with the keyboard: the two rings of a port. IBM PS/2 Hardware
 * Interface Technical Reference (1988), "Auxiliary Device"; Microsoft's "Device Support:
 * IntelliMouse" for the wheel (sample rates 200, 100, 80: id 3) and for five buttons (200, 200, 80:
 * id 4).
 *
 * Movement is summed up while the driver is behind, so a slow guest gets few packets with large
 * steps rather than a queue of old ones. The sample rate only remembers, for that reason.
 */

#include "ps2.h"

#define ACK 0xfa
#define RESEND 0xfe
#define BAT_OK 0xaa

/* Packets that may wait; more would only be latency. */
#define BACKLOG_MAX 12

enum {
	MOUSE_SCALE_1 = 0xe6,
	MOUSE_SCALE_2 = 0xe7,
	MOUSE_RESOLUTION = 0xe8,
	MOUSE_STATUS = 0xe9,
	MOUSE_STREAM = 0xea,
	MOUSE_READ = 0xeb,
	MOUSE_END_WRAP = 0xec,
	MOUSE_WRAP = 0xee,
	MOUSE_REMOTE = 0xf0,
	MOUSE_ID = 0xf2,
	MOUSE_RATE = 0xf3,
	MOUSE_ENABLE = 0xf4,
	MOUSE_DISABLE = 0xf5,
	MOUSE_DEFAULTS = 0xf6,
	MOUSE_RESEND = 0xfe,
	MOUSE_RESET = 0xff,
};

/* ---- ports ---- */

void ps2_reply(struct ps2_port *port, uint8_t byte)
{
	if (port->reply_count < PS2_REPLY_MAX) {
		port->reply[(port->reply_head + port->reply_count) % PS2_REPLY_MAX] = byte;
		port->reply_count++;
	}
}

bool ps2_send(struct ps2_port *port, const uint8_t *bytes, size_t size)
{
	if (size > (size_t)PS2_DATA_MAX - port->data_count) {
		return false;
	}
	for (size_t i = 0; i < size; i++) {
		port->data[(port->data_head + port->data_count) % PS2_DATA_MAX] = bytes[i];
		port->data_count++;
	}
	return true;
}

bool ps2_take(struct ps2_port *port, uint8_t *ret_byte, bool *ret_data)
{
	if (port->reply_count) {
		*ret_byte = port->reply[port->reply_head];
		*ret_data = false;
		port->reply_head = (port->reply_head + 1) % PS2_REPLY_MAX;
		port->reply_count--;
	} else if (port->data_count) {
		*ret_byte = port->data[port->data_head];
		*ret_data = true;
		port->data_head = (port->data_head + 1) % PS2_DATA_MAX;
		port->data_count--;
	} else {
		return false;
	}
	port->last = *ret_byte;
	return true;
}

void ps2_clear(struct ps2_port *port)
{
	*port = (struct ps2_port){ .last = port->last };
}

/* ---- movement ---- */

static int32_t clamp(int32_t value, int32_t limit)
{
	return MAX(MIN(value, limit), -limit);
}

/* Scaling 2:1, which only stream mode has. */
static int32_t scaled(const struct ps2_mouse *mouse, int32_t value)
{
	static const uint8_t small[6] = { 0, 1, 1, 3, 6, 9 };
	int32_t size = value < 0 ? -value : value;

	if (!mouse->scaling || mouse->remote) {
		return value;
	}
	size = size < 6 ? small[size] : MIN(2 * size, 255);
	return value < 0 ? -size : size;
}

static void send_packet(struct ps2_mouse *mouse)
{
	int32_t dx = clamp((int32_t)mouse->dx, 255);
	int32_t dy = clamp((int32_t)mouse->dy, 255);
	int32_t dz = clamp((int32_t)mouse->dz, 7);
	uint8_t packet[4];

	mouse->dx -= (uint32_t)dx;
	mouse->dy -= (uint32_t)dy;
	mouse->dz -= (uint32_t)dz;
	mouse->buttons_changed = false;
	dx = scaled(mouse, dx);
	dy = scaled(mouse, dy);
	packet[0] = BIT(3) | (mouse->buttons & 7) | (dx < 0 ? BIT(4) : 0) | (dy < 0 ? BIT(5) : 0);
	packet[1] = (uint8_t)dx;
	packet[2] = (uint8_t)dy;
	packet[3] = (uint8_t)dz;
	if (mouse->id == 4) {
		packet[3] = (dz & 0xf) | (mouse->buttons & 0x18) << 1;
	}
	ps2_send(&mouse->port, packet, mouse->id == 0 ? 3 : 4);
}

void ps2_mouse_report(struct ps2_mouse *mouse)
{
	if (!mouse->reporting || mouse->remote || mouse->wrap) {
		return;
	}
	if (mouse->id == 0) {
		mouse->dz = 0;
	}
	while (mouse->port.data_count <= BACKLOG_MAX &&
	       (mouse->dx || mouse->dy || mouse->dz || mouse->buttons_changed)) {
		send_packet(mouse);
	}
}

/* A step that nobody makes is no step; the sums stay small however long nobody reads. */
static void add_movement(uint32_t *sum, int step)
{
	*sum = (uint32_t)clamp((int32_t)*sum + clamp(step, 32767), 32767);
}

void ps2_mouse_move(struct ps2_mouse *mouse, int dx, int dy)
{
	add_movement(&mouse->dx, dx);
	add_movement(&mouse->dy, -clamp(dy, 32767));
}

void ps2_mouse_button(struct ps2_mouse *mouse, enum input_button button, bool down)
{
	static const uint8_t bits[INPUT_BUTTON_COUNT] = {
		[INPUT_BUTTON_LEFT] = BIT(0),  [INPUT_BUTTON_RIGHT] = BIT(1),
		[INPUT_BUTTON_MIDDLE] = BIT(2), [INPUT_BUTTON_SIDE] = BIT(3),
		[INPUT_BUTTON_EXTRA] = BIT(4),
	};
	uint8_t bit = bits[button];

	if (button == INPUT_BUTTON_WHEEL_UP || button == INPUT_BUTTON_WHEEL_DOWN) {
		add_movement(&mouse->dz, !down ? 0 : button == INPUT_BUTTON_WHEEL_UP ? -1 : 1);
	} else if (!!(mouse->buttons & bit) != down) {
		mouse->buttons ^= bit;
		mouse->buttons_changed = true;
	}
}

/* ---- commands ---- */

static void forget_movement(struct ps2_mouse *mouse)
{
	mouse->dx = 0;
	mouse->dy = 0;
	mouse->dz = 0;
	mouse->buttons_changed = false;
	mouse->port.data_count = 0;
}

static void set_defaults(struct ps2_mouse *mouse)
{
	mouse->rates[2] = 100;
	mouse->resolution = 2;
	mouse->scaling = false;
	mouse->remote = false;
	mouse->reporting = false;
	forget_movement(mouse);
}

void ps2_mouse_reset(struct ps2_mouse *mouse)
{
	ps2_clear(&mouse->port);
	memset(mouse->rates, 0, sizeof(mouse->rates));
	mouse->command = 0;
	mouse->id = 0;
	mouse->wrap = false;
	set_defaults(mouse);
}

/* The driver's way of asking for more than three bytes. */
static void take_rate(struct ps2_mouse *mouse, uint8_t rate)
{
	static const uint8_t wheel[3] = { 200, 100, 80 };
	static const uint8_t explorer[3] = { 200, 200, 80 };

	mouse->rates[0] = mouse->rates[1];
	mouse->rates[1] = mouse->rates[2];
	mouse->rates[2] = rate;
	if (memcmp(mouse->rates, wheel, 3) == 0) {
		mouse->id = MAX(mouse->id, (uint8_t)3);
	} else if (memcmp(mouse->rates, explorer, 3) == 0) {
		mouse->id = 4;
	}
}

static void reply_status(struct ps2_mouse *mouse)
{
	uint8_t flags = (mouse->remote ? BIT(6) : 0) | (mouse->reporting ? BIT(5) : 0) |
			(mouse->scaling ? BIT(4) : 0) | (mouse->buttons & BIT(0) ? BIT(2) : 0) |
			(mouse->buttons & BIT(2) ? BIT(1) : 0) |
			(mouse->buttons & BIT(1) ? BIT(0) : 0);

	ps2_reply(&mouse->port, flags);
	ps2_reply(&mouse->port, mouse->resolution);
	ps2_reply(&mouse->port, mouse->rates[2]);
}

/* Commands that change a setting and are only acknowledged; false for any other. */
static bool take_setting(struct ps2_mouse *mouse, uint8_t byte)
{
	switch (byte) {
	case MOUSE_SCALE_1:
	case MOUSE_SCALE_2:
		mouse->scaling = byte == MOUSE_SCALE_2;
		return true;
	case MOUSE_STREAM:
	case MOUSE_REMOTE:
		mouse->remote = byte == MOUSE_REMOTE;
		forget_movement(mouse);
		return true;
	case MOUSE_WRAP:
	case MOUSE_END_WRAP:
		mouse->wrap = byte == MOUSE_WRAP;
		forget_movement(mouse);
		return true;
	case MOUSE_ENABLE:
	case MOUSE_DISABLE:
		mouse->reporting = byte == MOUSE_ENABLE;
		forget_movement(mouse);
		return true;
	case MOUSE_DEFAULTS:
		set_defaults(mouse);
		return true;
	case MOUSE_RATE:
	case MOUSE_RESOLUTION:
		mouse->command = byte;
		return true;
	default:
		return false;
	}
}

static void take_command(struct ps2_mouse *mouse, uint8_t byte)
{
	if (take_setting(mouse, byte)) {
		ps2_reply(&mouse->port, ACK);
		return;
	}
	switch (byte) {
	case MOUSE_STATUS:
		ps2_reply(&mouse->port, ACK);
		reply_status(mouse);
		break;
	case MOUSE_READ:
		ps2_reply(&mouse->port, ACK);
		mouse->port.data_count = 0;
		send_packet(mouse);
		break;
	case MOUSE_ID:
		ps2_reply(&mouse->port, ACK);
		ps2_reply(&mouse->port, mouse->id);
		break;
	case MOUSE_RESEND:
		ps2_reply(&mouse->port, mouse->port.last);
		break;
	case MOUSE_RESET:
		ps2_mouse_reset(mouse);
		ps2_reply(&mouse->port, ACK);
		ps2_reply(&mouse->port, BAT_OK);
		ps2_reply(&mouse->port, mouse->id);
		break;
	default:
		ps2_reply(&mouse->port, RESEND);
		break;
	}
}

void ps2_mouse_write(struct ps2_mouse *mouse, uint8_t byte)
{
	uint8_t command = mouse->command;

	mouse->port.reply_count = 0;
	if (mouse->wrap && byte != MOUSE_END_WRAP && byte != MOUSE_RESET) {
		ps2_reply(&mouse->port, byte);
		return;
	}
	mouse->command = 0;
	if (command == MOUSE_RATE) {
		take_rate(mouse, byte);
		ps2_reply(&mouse->port, ACK);
	} else if (command == MOUSE_RESOLUTION) {
		mouse->resolution = byte & 3;
		ps2_reply(&mouse->port, ACK);
	} else {
		take_command(mouse, byte);
	}
}

/* ---- saved state ---- */

static int port_post_load(void *base, struct error *err)
{
	struct ps2_port *port = base;

	if (port->reply_head >= PS2_REPLY_MAX || port->reply_count > PS2_REPLY_MAX ||
	    port->data_head >= PS2_DATA_MAX || port->data_count > PS2_DATA_MAX) {
		return error_set(err, EINVAL, "a PS/2 port with more bytes than it can have");
	}
	return 0;
}

static int mouse_post_load(void *base, struct error *err)
{
	struct ps2_mouse *mouse = base;
	const uint32_t sums[] = { mouse->dx, mouse->dy, mouse->dz };

	for (size_t i = 0; i < ARRAY_SIZE(sums); i++) {
		if (clamp((int32_t)sums[i], 32767) != (int32_t)sums[i]) {
			return error_set(err, EINVAL, "a mouse that has moved too far");
		}
	}
	if ((mouse->id != 0 && mouse->id != 3 && mouse->id != 4) || mouse->buttons > 0x1f) {
		return error_set(err, EINVAL, "a mouse in no possible state");
	}
	return 0;
}

static const struct state_field port_fields[] = {
	STATE_FIELD_BYTES(struct ps2_port, reply),
	STATE_FIELD(struct ps2_port, reply_head),
	STATE_FIELD(struct ps2_port, reply_count),
	STATE_FIELD_BYTES(struct ps2_port, data),
	STATE_FIELD(struct ps2_port, data_head),
	STATE_FIELD(struct ps2_port, data_count),
	STATE_FIELD(struct ps2_port, last),
	STATE_FIELDS_END,
};

const struct state_table ps2_port_state = {
	.version = 1,
	.fields = port_fields,
	.post_load = port_post_load,
};

static const struct state_field mouse_fields[] = {
	STATE_FIELD_STRUCT(struct ps2_mouse, port, 1, &ps2_port_state),
	STATE_FIELD(struct ps2_mouse, command),
	STATE_FIELD(struct ps2_mouse, id),
	STATE_FIELD_BYTES(struct ps2_mouse, rates),
	STATE_FIELD(struct ps2_mouse, resolution),
	STATE_FIELD(struct ps2_mouse, buttons),
	STATE_FIELD_BOOL(struct ps2_mouse, buttons_changed),
	STATE_FIELD_BOOL(struct ps2_mouse, reporting),
	STATE_FIELD_BOOL(struct ps2_mouse, remote),
	STATE_FIELD_BOOL(struct ps2_mouse, wrap),
	STATE_FIELD_BOOL(struct ps2_mouse, scaling),
	STATE_FIELD(struct ps2_mouse, dx),
	STATE_FIELD(struct ps2_mouse, dy),
	STATE_FIELD(struct ps2_mouse, dz),
	STATE_FIELDS_END,
};

const struct state_table ps2_mouse_state = {
	.version = 1,
	.fields = mouse_fields,
	.post_load = mouse_post_load,
};
