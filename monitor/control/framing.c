/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finding where a request ends. QMP has no separator between objects: a client may send them on one
 * line, or one over several lines. So brackets are counted, outside of strings. What cannot become
 * an object (text before a bracket, a line that ends within a string) is skipped up to the end of
 * its line, so that one mistake of a person at a terminal does not spoil all that follows; the byte
 * 0xff, which never occurs in UTF-8, resets the reader at once, as clients of QMP use it.
 */

#include "control_priv.h"

static enum framing_result framing_reset(struct framing *framing, bool skipping)
{
	*framing = (struct framing){ .skipping = skipping };
	return FRAMING_BAD;
}

static enum framing_result feed_outside(struct framing *framing, char byte, bool *ret_keep)
{
	if (framing->skipping) {
		framing->skipping = byte != '\n';
		return FRAMING_MORE;
	}
	switch (byte) {
	case ' ':
	case '\t':
	case '\r':
	case '\n': return FRAMING_MORE;
	case '{':
		framing->depth = 1;
		*ret_keep = true;
		return FRAMING_MORE;
	default: return framing_reset(framing, true);
	}
}

static enum framing_result feed_string(struct framing *framing, char byte)
{
	if (byte == '\n') {
		return framing_reset(framing, false);
	}
	if (framing->escaped) {
		framing->escaped = false;
	} else if (byte == '\\') {
		framing->escaped = true;
	} else if (byte == '"') {
		framing->in_string = false;
	}
	return FRAMING_MORE;
}

enum framing_result framing_feed(struct framing *framing, char byte, bool *ret_keep)
{
	*ret_keep = false;
	if ((unsigned char)byte == 0xff) {
		bool inside = framing->depth > 0;

		framing_reset(framing, false);
		return inside ? FRAMING_BAD : FRAMING_MORE;
	}
	if (framing->depth == 0) {
		return feed_outside(framing, byte, ret_keep);
	}
	*ret_keep = true;
	if (framing->in_string) {
		return feed_string(framing, byte);
	}
	switch (byte) {
	case '"': framing->in_string = true; return FRAMING_MORE;
	case '{':
	case '[': framing->depth++; return FRAMING_MORE;
	case '}':
	case ']': framing->depth--; return framing->depth == 0 ? FRAMING_OBJECT : FRAMING_MORE;
	default: return FRAMING_MORE;
	}
}
