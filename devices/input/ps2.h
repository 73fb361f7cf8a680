/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_DEVICES_INPUT_PS2_H
#define LIMEN_DEVICES_INPUT_PS2_H

/*
 * The keyboard and the mouse behind the keyboard controller: parts of that device, guarded by its
 * lock. Each takes bytes from the host side of its cable and has bytes for it: replies to commands,
 * which go first, and data (scan codes, movement packets).
 */

#include "base/state_table.h"
#include "base/types.h"
#include "display/input.h"

#define PS2_REPLY_MAX 8
#define PS2_DATA_MAX 192

/** struct ps2_port - what a device has to say; two rings. */
struct ps2_port {
	uint8_t reply[PS2_REPLY_MAX];
	uint8_t reply_head;
	uint8_t reply_count;
	uint8_t data[PS2_DATA_MAX];
	uint8_t data_head;
	uint8_t data_count;
	uint8_t last; /* what was sent last, for "resend" */
};

/** ps2_reply() - queue a byte of a reply; more than a reply can have are dropped. */
void ps2_reply(struct ps2_port *port, uint8_t byte);

/** ps2_send() - queue data; all of it or, where there is no room, nothing: false. */
bool ps2_send(struct ps2_port *port, const uint8_t *bytes, size_t size);

/** ps2_take() - the next byte for the host; false when there is none. @ret_data: it is data, not a
 *  reply. */
bool ps2_take(struct ps2_port *port, uint8_t *ret_byte, bool *ret_data);
void ps2_clear(struct ps2_port *port);

/**
 * struct ps2_keyboard - an MF2 keyboard
 * @command: one that waits for its parameter, or 0
 * @set: scan code set, 1-3
 * @make_only: in set 3, keys send no break codes
 * @held: modifiers that change what other keys send, KEYBOARD_*
 */
struct ps2_keyboard {
	struct ps2_port port;
	uint8_t command;
	uint8_t set;
	uint8_t leds;
	uint8_t typematic;
	uint8_t held;
	bool scanning;
	bool make_only;
};

void ps2_keyboard_reset(struct ps2_keyboard *kbd);

/** ps2_keyboard_write() - a byte from the host. */
void ps2_keyboard_write(struct ps2_keyboard *kbd, uint8_t byte);

/** ps2_keyboard_key() - KEY_* @code goes down (again, when held) or up. */
void ps2_keyboard_key(struct ps2_keyboard *kbd, unsigned int code, bool down);

/** ps2_translate() - what the keyboard controller makes of a byte of scan code set 2. */
uint8_t ps2_translate(uint8_t byte);

extern const struct state_table ps2_keyboard_state;

/**
 * struct ps2_mouse - a mouse that can become one with a wheel, or with a wheel and five buttons
 * @command: one that waits for its parameter, or 0
 * @id: 0, 3 (IntelliMouse) or 4 (IntelliMouse Explorer)
 * @rates: the last three sample rates, which are how a driver asks for the wheel
 * @buttons: PS/2's bits: 0 left, 1 right, 2 middle, 3 side, 4 extra
 * @dx, @dy, @dz: movement not sent yet (two's complement); y grows upwards
 */
struct ps2_mouse {
	struct ps2_port port;
	uint8_t command;
	uint8_t id;
	uint8_t rates[3];
	uint8_t resolution;
	uint8_t buttons;
	bool buttons_changed;
	bool reporting;
	bool remote;
	bool wrap;
	bool scaling;
	uint32_t dx;
	uint32_t dy;
	uint32_t dz;
};

void ps2_mouse_reset(struct ps2_mouse *mouse);
void ps2_mouse_write(struct ps2_mouse *mouse, uint8_t byte);
void ps2_mouse_move(struct ps2_mouse *mouse, int dx, int dy);
void ps2_mouse_button(struct ps2_mouse *mouse, enum input_button button, bool down);

/** ps2_mouse_report() - queue what has happened, as far as the driver keeps up; call after a group
 *  of events and when bytes were taken. */
void ps2_mouse_report(struct ps2_mouse *mouse);

extern const struct state_table ps2_mouse_state;
extern const struct state_table ps2_port_state;

#endif
