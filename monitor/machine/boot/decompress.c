/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unpacking of a kernel's payload on the host, by the compression libraries themselves. The
 * payload of a bzImage (Documentation/x86/boot.rst, payload_offset) is recognised by its magic
 * number; Linux appends the unpacked size as four bytes, which the decoders here do not need and
 * ignore.
 *
 * The input is a file from anywhere: output is bounded, and grows as it is produced.
 */

#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "machine/boot/boot.h"

#define OUTPUT_MAX GIB(1)
#define OUTPUT_STEP MIB(16)
#define LZ4_LEGACY_BLOCK MIB(8) /* lz4_Frame_format.md, "Legacy frame" */

/* A growing output buffer. */
struct output {
	uint8_t *data;
	size_t size;
	size_t capacity;
};

static int output_reserve(struct output *out)
{
	uint8_t *data;

	if (out->capacity - out->size >= OUTPUT_STEP) {
		return 0;
	}
	if (out->capacity >= OUTPUT_MAX) {
		return -EFBIG;
	}
	data = realloc(out->data, out->capacity + 2 * OUTPUT_STEP);
	if (!data) {
		return -ENOMEM;
	}
	out->data = data;
	out->capacity += 2 * OUTPUT_STEP;
	return 0;
}

static int unpack_gzip(const uint8_t *data, size_t size, struct output *out)
{
	z_stream z = { .next_in = (uint8_t *)data, .avail_in = (unsigned int)size };
	int ret = 0, status = Z_OK;

	if (inflateInit2(&z, 15 + 16) != Z_OK) {
		return -ENOMEM;
	}
	while (ret == 0 && status == Z_OK) {
		ret = output_reserve(out);
		if (ret < 0) {
			break;
		}
		z.next_out = out->data + out->size;
		z.avail_out = OUTPUT_STEP;
		status = inflate(&z, Z_NO_FLUSH);
		out->size += OUTPUT_STEP - z.avail_out;
	}
	inflateEnd(&z);
	return ret < 0 ? ret : status == Z_STREAM_END ? 0 : -EBADMSG;
}

static int unpack_lzma(const uint8_t *data, size_t size, struct output *out)
{
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_ret status = lzma_auto_decoder(&z, GIB(1), 0);
	int ret = 0;

	z.next_in = data;
	z.avail_in = size;
	while (status == LZMA_OK) {
		ret = output_reserve(out);
		if (ret < 0) {
			break;
		}
		z.next_out = out->data + out->size;
		z.avail_out = OUTPUT_STEP;
		status = lzma_code(&z, LZMA_RUN);
		out->size += OUTPUT_STEP - z.avail_out;
	}
	lzma_end(&z);
	return ret < 0 ? ret : status == LZMA_STREAM_END ? 0 : -EBADMSG;
}

static int unpack_zstd(const uint8_t *data, size_t size, struct output *out)
{
	ZSTD_DStream *z = ZSTD_createDStream();
	ZSTD_inBuffer in = { .src = data, .size = size };
	size_t left = 1;
	int ret = 0;

	if (!z) {
		return -ENOMEM;
	}
	/* The kernel packs with a window of up to 128 MiB. */
	ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, 27);
	while (left != 0) {
		ZSTD_outBuffer to;
		size_t before = in.pos;

		ret = output_reserve(out);
		if (ret < 0) {
			break;
		}
		to = (ZSTD_outBuffer){ .dst = out->data + out->size, .size = OUTPUT_STEP };
		left = ZSTD_decompressStream(z, &to, &in);
		if (ZSTD_isError(left) || (left != 0 && to.pos == 0 && in.pos == before)) {
			ret = -EBADMSG;
			break;
		}
		out->size += to.pos;
	}
	ZSTD_freeDStream(z);
	return ret;
}

static int unpack_lz4(const uint8_t *data, size_t size, struct output *out)
{
	size_t at = 4;

	while (size - at > 4) {
		size_t packed = load_le32(data + at);
		int n, ret;

		at += 4;
		if (packed == 0 || packed > size - at) {
			return -EBADMSG;
		}
		ret = output_reserve(out);
		if (ret < 0) {
			return ret;
		}
		n = LZ4_decompress_safe((const char *)data + at, (char *)out->data + out->size,
					(int)packed, (int)LZ4_LEGACY_BLOCK);
		if (n < 0) {
			return -EBADMSG;
		}
		out->size += (size_t)n;
		at += packed;
	}
	return out->size ? 0 : -EBADMSG;
}

static const struct {
	const char *name;
	uint8_t magic[6];
	uint8_t magic_size;
	int (*unpack)(const uint8_t *data, size_t size, struct output *out);
} formats[] = {
	{ "gzip", { 0x1f, 0x8b, 0x08 }, 3, unpack_gzip },
	{ "xz", { 0xfd, '7', 'z', 'X', 'Z', 0 }, 6, unpack_lzma },
	{ "lzma", { 0x5d, 0, 0 }, 3, unpack_lzma },
	{ "zstd", { 0x28, 0xb5, 0x2f, 0xfd }, 4, unpack_zstd },
	{ "lz4", { 0x02, 0x21, 0x4c, 0x18 }, 4, unpack_lz4 },
};

int boot_decompress(const uint8_t *data, size_t size, uint8_t **ret_data, size_t *ret_size,
		    struct error *err)
{
	struct output out = { 0 };
	int ret;

	if (size < 16 || size > OUTPUT_MAX) {
		return error_set(err, EBADMSG,
				 "its packed kernel has an impossible size of %zu bytes", size);
	}
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (memcmp(data, formats[i].magic, formats[i].magic_size) != 0) {
			continue;
		}
		ret = formats[i].unpack(data, size, &out);
		if (ret < 0) {
			free(out.data);
			return error_set(err, -ret, "its %s-packed kernel cannot be unpacked: %s",
					 formats[i].name,
					 ret == -EBADMSG ? "it is damaged" : strerror(-ret));
		}
		*ret_data = out.data;
		*ret_size = out.size;
		return 0;
	}
	return error_set(err, EPROTO, "its kernel is packed in a format that is not known here");
}
