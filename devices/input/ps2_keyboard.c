/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A PS/2 keyboard: IBM PS/2 Hardware Interface Technical Reference (1988), "Keyboard and Auxiliary
 * Device Controller" and "101- and 102-Key Keyboards". Scan code sets 1, 2 and 3, all commands.
 *
 * Keys arrive by evdev code. One table gives set 1 with its E0 prefix, which Linux's codes are made
 * after; set 2 is what the keyboard controller's translation table, read backwards, makes of it;
 * set 3 has a table of its own. Print Screen and Pause send the sequences that depend on other keys
 * held.
 *
 * Repeats come from the person's own keyboard, as repeated "down" events: a timer here would make
 * keys stick whenever the host is late. So the typematic rate only remembers. In set 3, the key
 * types can only be changed for all keys at once.
 */

#include "ps2.h"

#include <linux/input-event-codes.h>

#define ACK 0xfa
#define RESEND 0xfe
#define BAT_OK 0xaa
#define BREAK 0xf0
#define EXTENDED 0xe0

#define TYPEMATIC_DEFAULT 0x2b /* 500 ms, 10.9 a second */

/* A key that is pressed must leave room for what is released later. */
#define MAKE_RESERVE 16

enum {
	KEYBOARD_CTRL = 1 << 0,
	KEYBOARD_ALT = 1 << 1,
	KEYBOARD_PRINT_PLAIN = 1 << 2, /* Print Screen went down without Alt */
};

enum {
	COMMAND_LEDS = 0xed,
	COMMAND_ECHO = 0xee,
	COMMAND_SET = 0xf0,
	COMMAND_ID = 0xf2,
	COMMAND_TYPEMATIC = 0xf3,
	COMMAND_ENABLE = 0xf4,
	COMMAND_DISABLE = 0xf5,
	COMMAND_DEFAULTS = 0xf6,
	COMMAND_ALL_FIRST = 0xf7, /* all keys typematic, make/break, make only, all of it */
	COMMAND_ALL_MAKE = 0xf9,
	COMMAND_ALL_LAST = 0xfa,
	COMMAND_KEY_FIRST = 0xfb, /* the same for single keys */
	COMMAND_KEY_LAST = 0xfd,
	COMMAND_RESEND = 0xfe,
	COMMAND_RESET = 0xff,
};

/* ---- tables ---- */

/* The 8042's translation of set 2 into set 1; from 85h on every byte is itself. */
static const uint8_t translation[0x85] = {
	0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29,
	0x59, 0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11,
	0x03, 0x5b, 0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14,
	0x13, 0x06, 0x5d, 0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24,
	0x16, 0x08, 0x09, 0x5f, 0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35,
	0x26, 0x27, 0x19, 0x0c, 0x61, 0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36,
	0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76, 0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c,
	0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f, 0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45,
	0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54, 0x80, 0x81, 0x82, 0x41, 0x54,
};

#define E0(code) (0x100 | (code))

/* Set 1 by evdev code where it is not the code itself (1-83, 86-88); 0x100 is the E0 prefix. */
static const uint16_t set1_codes[256] = {
	[KEY_RO] = 0x73,
	[KEY_HENKAN] = 0x79,
	[KEY_KATAKANAHIRAGANA] = 0x70,
	[KEY_MUHENKAN] = 0x7b,
	[KEY_KPENTER] = E0(0x1c),
	[KEY_RIGHTCTRL] = E0(0x1d),
	[KEY_KPSLASH] = E0(0x35),
	[KEY_RIGHTALT] = E0(0x38),
	[KEY_HOME] = E0(0x47),
	[KEY_UP] = E0(0x48),
	[KEY_PAGEUP] = E0(0x49),
	[KEY_LEFT] = E0(0x4b),
	[KEY_RIGHT] = E0(0x4d),
	[KEY_END] = E0(0x4f),
	[KEY_DOWN] = E0(0x50),
	[KEY_PAGEDOWN] = E0(0x51),
	[KEY_INSERT] = E0(0x52),
	[KEY_DELETE] = E0(0x53),
	[KEY_MUTE] = E0(0x20),
	[KEY_VOLUMEDOWN] = E0(0x2e),
	[KEY_VOLUMEUP] = E0(0x30),
	[KEY_POWER] = E0(0x5e),
	[KEY_KPEQUAL] = 0x59,
	[KEY_KPCOMMA] = 0x7e,
	[KEY_YEN] = 0x7d,
	[KEY_LEFTMETA] = E0(0x5b),
	[KEY_RIGHTMETA] = E0(0x5c),
	[KEY_COMPOSE] = E0(0x5d),
	[KEY_STOP] = E0(0x68),
	[KEY_CALC] = E0(0x21),
	[KEY_SLEEP] = E0(0x5f),
	[KEY_WAKEUP] = E0(0x63),
	[KEY_MAIL] = E0(0x6c),
	[KEY_BOOKMARKS] = E0(0x66),
	[KEY_COMPUTER] = E0(0x6b),
	[KEY_BACK] = E0(0x6a),
	[KEY_FORWARD] = E0(0x69),
	[KEY_NEXTSONG] = E0(0x19),
	[KEY_PLAYPAUSE] = E0(0x22),
	[KEY_PREVIOUSSONG] = E0(0x10),
	[KEY_STOPCD] = E0(0x24),
	[KEY_HOMEPAGE] = E0(0x32),
	[KEY_REFRESH] = E0(0x67),
	[KEY_F13] = 0x64,
	[KEY_F14] = 0x65,
	[KEY_F15] = 0x66,
	[KEY_F16] = 0x67,
	[KEY_F17] = 0x68,
	[KEY_F18] = 0x69,
	[KEY_F19] = 0x6a,
	[KEY_F20] = 0x6b,
	[KEY_F21] = 0x6c,
	[KEY_F22] = 0x6d,
	[KEY_F23] = 0x6e,
	[KEY_SEARCH] = E0(0x65),
};

/* Set 3 by evdev code, where it differs from set 2; it has no prefixes. */
static const uint8_t set3_codes[128] = {
	[KEY_ESC] = 0x08,	 [KEY_F1] = 0x07,	 [KEY_F2] = 0x0f,
	[KEY_F3] = 0x17,	 [KEY_F4] = 0x1f,	 [KEY_F5] = 0x27,
	[KEY_F6] = 0x2f,	 [KEY_F7] = 0x37,	 [KEY_F8] = 0x3f,
	[KEY_F9] = 0x47,	 [KEY_F10] = 0x4f,	 [KEY_F11] = 0x56,
	[KEY_F12] = 0x5e,	 [KEY_SYSRQ] = 0x57,	 [KEY_SCROLLLOCK] = 0x5f,
	[KEY_PAUSE] = 0x62,	 [KEY_BACKSLASH] = 0x5c, [KEY_CAPSLOCK] = 0x14,
	[KEY_LEFTCTRL] = 0x11,	 [KEY_LEFTALT] = 0x19,	 [KEY_RIGHTALT] = 0x39,
	[KEY_RIGHTCTRL] = 0x58,	 [KEY_INSERT] = 0x67,	 [KEY_DELETE] = 0x64,
	[KEY_LEFT] = 0x61,	 [KEY_HOME] = 0x6e,	 [KEY_END] = 0x65,
	[KEY_UP] = 0x63,	 [KEY_DOWN] = 0x60,	 [KEY_PAGEUP] = 0x6f,
	[KEY_PAGEDOWN] = 0x6d,	 [KEY_RIGHT] = 0x6a,	 [KEY_NUMLOCK] = 0x76,
	[KEY_KPSLASH] = 0x77,	 [KEY_KPASTERISK] = 0x7e, [KEY_KPMINUS] = 0x84,
	[KEY_KPPLUS] = 0x7c,	 [KEY_KPENTER] = 0x79,	 [KEY_102ND] = 0x13,
	[KEY_LEFTMETA] = 0x8b,	 [KEY_RIGHTMETA] = 0x8c, [KEY_COMPOSE] = 0x8d,
};

uint8_t ps2_translate(uint8_t byte)
{
	return byte < sizeof(translation) ? translation[byte] : byte;
}

/* Two codes of set 2 translate to F7's 41h; the higher one is the key's. */
static uint8_t set2_from_set1(uint8_t code)
{
	for (unsigned int i = sizeof(translation); i-- > 1;) {
		if (translation[i] == code) {
			return (uint8_t)i;
		}
	}
	return 0;
}

static uint16_t set1_code(unsigned int code)
{
	if (code < ARRAY_SIZE(set1_codes) && set1_codes[code]) {
		return set1_codes[code];
	}
	if ((code >= KEY_ESC && code <= KEY_KPDOT) || (code >= KEY_102ND && code <= KEY_F12)) {
		return (uint16_t)code;
	}
	return 0;
}

/* ---- keys ---- */

/* struct sequence - bytes that one key event sends. */
struct sequence {
	uint8_t bytes[16];
	size_t size;
};

static void add(struct sequence *s, uint8_t byte)
{
	if (s->size < sizeof(s->bytes)) {
		s->bytes[s->size++] = byte;
	}
}

/* @code is one of set 1, with 0x100 for the prefix; written in the keyboard's own set, 1 or 2. */
static void add_code(const struct ps2_keyboard *kbd, struct sequence *s, uint16_t code, bool down)
{
	if (code & 0x100) {
		add(s, EXTENDED);
	}
	if (kbd->set == 1) {
		add(s, (code & 0x7f) | (down ? 0 : 0x80));
		return;
	}
	if (!down) {
		add(s, BREAK);
	}
	add(s, set2_from_set1(code & 0x7f));
}

/* Print Screen: with Alt it is SysRq, a key of its own. */
static void add_print_screen(struct ps2_keyboard *kbd, struct sequence *s, bool down)
{
	bool plain = down ? !(kbd->held & KEYBOARD_ALT) : kbd->held & KEYBOARD_PRINT_PLAIN;

	kbd->held &= ~KEYBOARD_PRINT_PLAIN;
	if (!plain) {
		add_code(kbd, s, 0x54, down);
	} else if (down) {
		kbd->held |= KEYBOARD_PRINT_PLAIN;
		add_code(kbd, s, E0(0x2a), true);
		add_code(kbd, s, E0(0x37), true);
	} else {
		add_code(kbd, s, E0(0x37), false);
		add_code(kbd, s, E0(0x2a), false);
	}
}

/* Pause sends everything when it goes down, with Ctrl another code (Break). */
static void add_pause(const struct ps2_keyboard *kbd, struct sequence *s)
{
	if (kbd->held & KEYBOARD_CTRL) {
		add_code(kbd, s, E0(0x46), true);
		add_code(kbd, s, E0(0x46), false);
		return;
	}
	add(s, 0xe1);
	add_code(kbd, s, 0x1d, true);
	add_code(kbd, s, 0x45, true);
	add(s, 0xe1);
	add_code(kbd, s, 0x1d, false);
	add_code(kbd, s, 0x45, false);
}

static void add_set3(const struct ps2_keyboard *kbd, struct sequence *s, unsigned int code,
		     bool down)
{
	uint8_t byte = code < ARRAY_SIZE(set3_codes) ? set3_codes[code] : 0;

	if (!byte && !(set1_code(code) & 0x100)) {
		byte = set2_from_set1(set1_code(code) & 0x7f);
	}
	if (!byte || (!down && kbd->make_only)) {
		return;
	}
	if (!down) {
		add(s, BREAK);
	}
	add(s, byte);
}

static void note_modifiers(struct ps2_keyboard *kbd, unsigned int code, bool down)
{
	uint8_t bit = 0;

	if (code == KEY_LEFTCTRL || code == KEY_RIGHTCTRL) {
		bit = KEYBOARD_CTRL;
	} else if (code == KEY_LEFTALT || code == KEY_RIGHTALT) {
		bit = KEYBOARD_ALT;
	}
	kbd->held = down ? kbd->held | bit : kbd->held & ~bit;
}

void ps2_keyboard_key(struct ps2_keyboard *kbd, unsigned int code, bool down)
{
	struct sequence s = { .size = 0 };

	note_modifiers(kbd, code, down);
	if (!kbd->scanning) {
		return;
	}
	if (kbd->set == 3) {
		add_set3(kbd, &s, code, down);
	} else if (code == KEY_SYSRQ) {
		add_print_screen(kbd, &s, down);
	} else if (code == KEY_PAUSE) {
		if (down) {
			add_pause(kbd, &s);
		}
	} else if (set1_code(code)) {
		add_code(kbd, &s, set1_code(code), down);
	}
	if (down && kbd->port.data_count + s.size + MAKE_RESERVE > PS2_DATA_MAX) {
		return;
	}
	ps2_send(&kbd->port, s.bytes, s.size);
}

/* ---- commands ---- */

static void set_defaults(struct ps2_keyboard *kbd)
{
	kbd->set = 2;
	kbd->typematic = TYPEMATIC_DEFAULT;
	kbd->make_only = false;
	kbd->port.data_count = 0;
}

void ps2_keyboard_reset(struct ps2_keyboard *kbd)
{
	ps2_clear(&kbd->port);
	kbd->command = 0;
	kbd->leds = 0;
	kbd->held = 0;
	kbd->scanning = true;
	set_defaults(kbd);
}

static void take_parameter(struct ps2_keyboard *kbd, uint8_t byte)
{
	uint8_t command = kbd->command;

	kbd->command = 0;
	ps2_reply(&kbd->port, ACK);
	switch (command) {
	case COMMAND_LEDS:
		kbd->leds = byte & 7;
		break;
	case COMMAND_TYPEMATIC:
		kbd->typematic = byte & 0x7f;
		break;
	case COMMAND_SET:
		if (byte == 0) {
			ps2_reply(&kbd->port, kbd->set);
		} else if (byte <= 3) {
			kbd->set = byte;
			kbd->port.data_count = 0;
		}
		break;
	default:
		/* Single keys' types: takes keys until the next command. */
		kbd->command = command;
		break;
	}
}

static void take_command(struct ps2_keyboard *kbd, uint8_t byte)
{
	kbd->command = 0;
	switch (byte) {
	case COMMAND_ECHO:
		ps2_reply(&kbd->port, COMMAND_ECHO);
		return;
	case COMMAND_RESEND:
		ps2_reply(&kbd->port, kbd->port.last);
		return;
	case COMMAND_RESET:
		ps2_keyboard_reset(kbd);
		ps2_reply(&kbd->port, ACK);
		ps2_reply(&kbd->port, BAT_OK);
		return;
	case COMMAND_ID:
		ps2_reply(&kbd->port, ACK);
		ps2_reply(&kbd->port, 0xab);
		ps2_reply(&kbd->port, 0x83);
		return;
	case COMMAND_LEDS:
	case COMMAND_SET:
	case COMMAND_TYPEMATIC:
		kbd->command = byte;
		break;
	case COMMAND_ENABLE:
		kbd->scanning = true;
		kbd->port.data_count = 0;
		break;
	case COMMAND_DISABLE:
	case COMMAND_DEFAULTS:
		set_defaults(kbd);
		kbd->scanning = byte == COMMAND_DEFAULTS;
		break;
	default:
		if (byte >= COMMAND_ALL_FIRST && byte <= COMMAND_ALL_LAST) {
			kbd->make_only = byte == COMMAND_ALL_MAKE;
		} else if (byte >= COMMAND_KEY_FIRST && byte <= COMMAND_KEY_LAST) {
			kbd->command = byte;
		} else {
			ps2_reply(&kbd->port, RESEND);
			return;
		}
		break;
	}
	ps2_reply(&kbd->port, ACK);
}

void ps2_keyboard_write(struct ps2_keyboard *kbd, uint8_t byte)
{
	/* A new command ends one that waits. */
	kbd->port.reply_count = 0;
	if (kbd->command && byte < COMMAND_LEDS) {
		take_parameter(kbd, byte);
	} else {
		take_command(kbd, byte);
	}
}

/* ---- saved state ---- */

static int keyboard_post_load(void *base, struct error *err)
{
	struct ps2_keyboard *kbd = base;

	if (kbd->set < 1 || kbd->set > 3 || kbd->leds > 7) {
		return error_set(err, EINVAL, "a keyboard in no possible state");
	}
	return 0;
}

static const struct state_field keyboard_fields[] = {
	STATE_FIELD_STRUCT(struct ps2_keyboard, port, 1, &ps2_port_state),
	STATE_FIELD(struct ps2_keyboard, command),
	STATE_FIELD(struct ps2_keyboard, set),
	STATE_FIELD(struct ps2_keyboard, leds),
	STATE_FIELD(struct ps2_keyboard, typematic),
	STATE_FIELD(struct ps2_keyboard, held),
	STATE_FIELD_BOOL(struct ps2_keyboard, scanning),
	STATE_FIELD_BOOL(struct ps2_keyboard, make_only),
	STATE_FIELDS_END,
};

const struct state_table ps2_keyboard_state = {
	.version = 1,
	.fields = keyboard_fields,
	.post_load = keyboard_post_load,
};
