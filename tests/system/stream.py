#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's end of a guest's network test, on 127.0.0.1.

Usage: stream.py ports COUNT           prints free ports
       stream.py hold FILE             listens at a port that it writes to FILE, for a minute
       stream.py serve BYTES OUT BACK  sends BYTES random bytes to who connects to port OUT, and
                                       compares with their first tenth what comes back at port BACK
       stream.py compare BYTES FILE    compares the file with what serve sends
       stream.py fetch PORT PATH TEXT SECONDS
                                       gets http://127.0.0.1:PORT/PATH, which must contain TEXT

The exit status is 0 when all was as it should be.
"""

import http.client
import random
import socket
import sys
import threading
import time


def listen(port):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(('127.0.0.1', port))
    server.listen()
    return server


def ports(count):
    servers = [listen(0) for _ in range(count)]
    print(*[server.getsockname()[1] for server in servers])
    return 0


def hold(path):
    with listen(0) as server:
        with open(path, 'w', encoding='ascii') as file:
            file.write(f'{server.getsockname()[1]}\n')
        time.sleep(60)
    return 0


def stream(size):
    return memoryview(random.Random(size).randbytes(size))


def serve(size, out_port, back_port):
    data = stream(size)
    expected = size // 10
    out, back = listen(out_port), listen(back_port)
    times = {}

    def send():
        connection, _ = out.accept()
        times['start'] = time.monotonic()
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
        times['end'] = time.monotonic()
        connection.close()

    threading.Thread(target=send, daemon=True).start()
    connection, _ = back.accept()
    start = time.monotonic()
    position = 0
    while chunk := connection.recv(1 << 20):
        if chunk != data[position:position + len(chunk)]:
            print(f'the stream differs within {len(chunk)} bytes from {position} on')
            return 1
        position += len(chunk)
    print(f"{size} bytes to the guest in {times['end'] - times['start']:.1f} s, "
          f'{position} back in {time.monotonic() - start:.1f} s')
    return 0 if position == expected else 1


def compare(size, path):
    with open(path, 'rb') as file:
        if file.read(size) == stream(size):
            return 0
    print(f'{path} is not what was sent')
    return 1


def fetch(port, path, text, seconds):
    end = time.monotonic() + seconds
    problem = None
    while time.monotonic() < end:
        try:
            connection = http.client.HTTPConnection('127.0.0.1', port, timeout=10)
            connection.request('GET', '/' + path)
            body = connection.getresponse().read().decode('utf-8', 'replace')
            if text in body:
                return 0
            problem = f'the answer is {body!r}'
        except (OSError, http.client.HTTPException) as error:
            problem = f'{type(error).__name__}: {error}'
        time.sleep(0.3)
    print(f'no {text!r} at port {port}: {problem}')
    return 1


def main():
    command, *rest = sys.argv[1:]
    if command == 'ports':
        return ports(int(rest[0]))
    if command == 'hold':
        return hold(rest[0])
    if command == 'serve':
        return serve(*map(int, rest))
    if command == 'compare':
        return compare(int(rest[0]), rest[1])
    return fetch(int(rest[0]), rest[1], rest[2], float(rest[3]))


if __name__ == '__main__':
    sys.exit(main())
