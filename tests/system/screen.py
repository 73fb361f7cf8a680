#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the text on a guest's screen.

Usage: screen.py PNG [ROWS]    prints the screen, a line for each row; a cell that is no known letter is '?'

The PNG is what screendump writes of a text mode, with cells of 8 or 9 by 16 pixels. The shapes of the
letters are those of the VGA BIOS, whose font is looked for in its file.
"""

import glob
import struct
import sys
import zlib

# The letter A of the 8x16 font, by which the font is found in the ROM.
LETTER_A = bytes.fromhex('000010386cc6c6fec6c6c6c600000000')
HEIGHT = 16


def unfilter(kind, line, above, bpp):
    for i, value in enumerate(line):
        left = line[i - bpp] if i >= bpp else 0
        up = above[i]
        corner = above[i - bpp] if i >= bpp else 0
        if kind == 1:
            value += left
        elif kind == 2:
            value += up
        elif kind == 3:
            value += (left + up) // 2
        elif kind == 4:
            guess = left + up - corner
            value += min((left, up, corner), key=lambda one: abs(guess - one))
        line[i] = value & 0xff


def read_png(path):
    """Returns (width, height, rows of pixels)."""
    with open(path, 'rb') as file:
        data = file.read()
    if data[:8] != b'\x89PNG\r\n\x1a\n':
        raise ValueError(f'{path} is not a PNG')
    packed = b''
    offset = 8
    while offset < len(data):
        length, kind = struct.unpack('>I4s', data[offset:offset + 8])
        body = data[offset + 8:offset + 8 + length]
        if zlib.crc32(kind + body) != struct.unpack('>I', data[offset + 8 + length:offset + 12 + length])[0]:
            raise ValueError(f'{path} has a bad checksum')
        if kind == b'IHDR':
            width, height, depth, colour = struct.unpack('>IIBB', body[:10])
        elif kind == b'IDAT':
            packed += body
        offset += 12 + length
    if depth != 8 or colour not in (2, 6):
        raise ValueError(f'{path} is not RGB of 8 bits')
    bpp = 3 if colour == 2 else 4
    raw = zlib.decompress(packed)
    stride = width * bpp
    rows = []
    above = bytearray(stride)
    for y in range(height):
        start = y * (stride + 1)
        line = bytearray(raw[start + 1:start + 1 + stride])
        if raw[start]:
            unfilter(raw[start], line, above, bpp)
        rows.append([bytes(line[x:x + 3]) for x in range(0, stride, bpp)])
        above = line
    return width, height, rows


def read_font():
    """Returns a dictionary from a letter's bits to the letter."""
    for path in glob.glob('/usr/share/seabios/vgabios-stdvga.bin'):
        with open(path, 'rb') as file:
            rom = file.read()
        at = rom.find(LETTER_A) - ord('A') * HEIGHT
        if at >= 0:
            font = {}
            for code in range(255, -1, -1):
                font[rom[at + code * HEIGHT:at + (code + 1) * HEIGHT]] = bytes([code]).decode('cp437')
            font[bytes(HEIGHT)] = ' '
            return font
    raise FileNotFoundError('no VGA BIOS with a font')


def cell_text(font, rows, x, y):
    cell = [rows[y + line][x:x + 8] for line in range(HEIGHT)]
    colours = {pixel for line in cell for pixel in line}
    if len(colours) == 1:
        return ' '
    if len(colours) > 2:
        return '?'
    for ink in colours:
        bits = bytes(sum((pixel == ink) << (7 - i) for i, pixel in enumerate(line)) for line in cell)
        if bits in font:
            return font[bits]
    # The cursor covers the lowest lines of a cell.
    for ink in colours:
        bits = bytes(sum((pixel == ink) << (7 - i) for i, pixel in enumerate(line)) for line in cell[:13])
        for shape, letter in font.items():
            if shape[:13] == bits:
                return letter
    return '?'


def read_screen(path):
    width, height, rows = read_png(path)
    step = 9 if width % 9 == 0 and width // 9 in (40, 80) else 8
    font = read_font()
    lines = []
    for y in range(0, height - HEIGHT + 1, HEIGHT):
        lines.append(''.join(cell_text(font, rows, x, y)
                             for x in range(0, width - step + 1, step)).rstrip())
    return lines


if __name__ == '__main__':
    for text in read_screen(sys.argv[1])[:int(sys.argv[2]) if len(sys.argv) > 2 else None]:
        print(text)
