/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The texts of configuration values: each type's syntax and range. Values arrive from files,
 * command lines and the control socket alike, so that every complaint says what would have been
 * right.
 */

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/config_priv.h"

bool config_is_choice(const char *choices, const char *text)
{
	size_t size = strlen(text);

	while (choices != NULL) {
		size_t n = strcspn(choices, "|");

		if (n == size && memcmp(choices, text, n) == 0) {
			return true;
		}
		choices = choices[n] == '|' ? choices + n + 1 : NULL;
	}
	return false;
}

int config_index(const char *text, size_t size)
{
	int index = 0;

	if (size == 0 || size > 3 || (size > 1 && text[0] == '0')) {
		return -1;
	}
	for (size_t i = 0; i < size; i++) {
		if (!isdigit((unsigned char)text[i])) {
			return -1;
		}
		index = index * 10 + (text[i] - '0');
	}
	return index <= CONFIG_INDEX_MAX ? index : -1;
}

static int parse_bool(const char *text, bool *ret_value)
{
	if (config_is_choice("on|true|yes|1", text)) {
		*ret_value = true;
	} else if (config_is_choice("off|false|no|0", text)) {
		*ret_value = false;
	} else {
		return -EINVAL;
	}
	return 0;
}

static int parse_int(const char *text, int64_t *ret_value)
{
	const char *digits = text[0] == '-' ? text + 1 : text;
	bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
	char *end;

	/* strtoll() would also take blanks, a plus sign and octal numbers. */
	if (!isdigit((unsigned char)digits[0])) {
		return -EINVAL;
	}
	errno = 0;
	*ret_value = strtoll(text, &end, hex ? 16 : 10);
	return errno == 0 && *end == '\0' ? 0 : -EINVAL;
}

static int parse_size(const char *text, uint64_t unit, uint64_t *ret_value)
{
	static const char suffixes[] = "KMGT";
	unsigned long long number;
	const char *suffix;
	char *end;

	if (!isdigit((unsigned char)text[0])) {
		return -EINVAL;
	}
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno != 0) {
		return -EINVAL;
	}
	if (*end == '\0') {
		return __builtin_mul_overflow(number, MAX(unit, 1u), ret_value) ? -EINVAL : 0;
	}
	suffix = strchr(suffixes, toupper((unsigned char)*end));
	if (suffix == NULL || end[1] != '\0') {
		return -EINVAL;
	}
	unit = UINT64_C(1) << (10 * (suffix - suffixes + 1));
	return __builtin_mul_overflow(number, unit, ret_value) ? -EINVAL : 0;
}

static int parse_mac(const char *text, uint8_t *ret_mac)
{
	if (strlen(text) != 17) {
		return -EINVAL;
	}
	for (size_t i = 0; i < 6; i++) {
		const char *p = text + 3 * i;

		if (!isxdigit((unsigned char)p[0]) || !isxdigit((unsigned char)p[1]) ||
		    (i < 5 && p[2] != ':')) {
			return -EINVAL;
		}
		ret_mac[i] = (uint8_t)strtoul(p, NULL, 16);
	}
	/* The lowest bit of the first byte makes a group address, which no interface can have. */
	return (ret_mac[0] & 1) ? -EINVAL : 0;
}

static void size_text(uint64_t size, char *text, size_t text_size)
{
	static const char suffixes[] = "KMGT";
	int shift = 0;

	while (shift < 4 && size >= 1024 && size % 1024 == 0) {
		size /= 1024;
		shift++;
	}
	if (shift == 0) {
		snprintf(text, text_size, "%" PRIu64, size);
	} else {
		snprintf(text, text_size, "%" PRIu64 "%c", size, suffixes[shift - 1]);
	}
}

static int check_range(const struct config_key *key, bool too_small, bool too_large,
		       const char *text, struct error *err)
{
	char min_text[32];
	char max_text[32];

	if ((key->min == 0 && key->max == 0) || (!too_small && !too_large)) {
		return 0;
	}
	if (key->type == CONFIG_SIZE) {
		size_text((uint64_t)key->min, min_text, sizeof(min_text));
		size_text((uint64_t)key->max, max_text, sizeof(max_text));
	} else {
		snprintf(min_text, sizeof(min_text), "%" PRId64, key->min);
		snprintf(max_text, sizeof(max_text), "%" PRId64, key->max);
	}
	return error_set(err, EINVAL, "'%s' is too %s (%s to %s)", text,
			 too_small ? "small" : "large", min_text, max_text);
}

static int choice_error(const struct config_key *key, const char *text, struct error *err)
{
	char list[256] = "";
	size_t used = 0;

	for (const char *p = key->choices; *p != '\0' && used + 3 < sizeof(list); p++) {
		if (*p == '|') {
			list[used++] = ',';
			list[used++] = ' ';
		} else {
			list[used++] = *p;
		}
	}
	list[used] = '\0';
	return error_set(err, EINVAL, "'%s' is not one of: %s", text, list);
}

int config_parse(const struct config_key *key, const char *text, union config_parsed *ret_parsed,
		 struct error *err)
{
	union config_parsed parsed = { 0 };
	int r = 0;

	switch (key->type) {
	case CONFIG_BOOL:
		if (parse_bool(text, &parsed.boolean) < 0) {
			return error_set(err, EINVAL, "'%s' is neither on nor off", text);
		}
		break;
	case CONFIG_INT:
		if (parse_int(text, &parsed.integer) < 0) {
			return error_set(err, EINVAL, "'%s' is not a number", text);
		}
		r = check_range(key, parsed.integer<key->min, parsed.integer> key->max, text, err);
		break;
	case CONFIG_SIZE:
		if (parse_size(text, key->unit, &parsed.size) < 0) {
			return error_set(
				err, EINVAL,
				"'%s' is not a size (a number, with K, M, G or T after it)", text);
		}
		r = check_range(key,
				parsed.size<(uint64_t)key->min, parsed.size>(uint64_t) key->max,
				text, err);
		break;
	case CONFIG_ENUM:
		if (!config_is_choice(key->choices, text)) {
			return choice_error(key, text, err);
		}
		break;
	case CONFIG_MAC:
		if (parse_mac(text, parsed.mac) < 0) {
			return error_set(err, EINVAL,
					 "'%s' is not the address of an interface (such as "
					 "52:54:00:12:34:56)",
					 text);
		}
		break;
	case CONFIG_STRING: break;
	case CONFIG_PATH:
		if (text[0] == '\0') {
			return error_set(err, EINVAL, "the file name is empty");
		}
		break;
	}
	if (r == 0) {
		*ret_parsed = parsed;
	}
	return r;
}
