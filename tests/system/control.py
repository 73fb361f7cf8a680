#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends commands to a machine's control socket.

Usage: control.py SOCKET COMMAND [JSON-ARGUMENTS]    prints what the command returns
       control.py SOCKET type TEXT                   types TEXT with send-key; \\n is Enter
       control.py SOCKET events SECONDS [NAME]       prints events until NAME, or for SECONDS

The exit status is 1, with the error's text on standard error, if the command fails.
"""

import json
import socket
import sys
import time

NAMES = {' ': 'spc', '\n': 'ret', '-': 'minus', '=': 'equal', '/': 'slash', '.': 'dot',
         ',': 'comma', ';': 'semicolon', "'": 'apostrophe', '\\': 'backslash', '\t': 'tab',
         '[': 'bracket_left', ']': 'bracket_right', '`': 'grave_accent', '\x1b': 'esc'}
SHIFTED = {'_': 'minus', '+': 'equal', ':': 'semicolon', '"': 'apostrophe', '?': 'slash',
           '>': 'dot', '<': 'comma', '|': 'backslash', '!': '1', '@': '2', '#': '3', '$': '4',
           '%': '5', '^': '6', '&': '7', '*': '8', '(': '9', ')': '0'}


class Control:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self.file = self.socket.makefile('r', encoding='utf-8')
        self.events = []
        greeting = self.read()
        assert 'QMP' in greeting, greeting
        self.run('qmp_capabilities')

    def read(self):
        line = self.file.readline()
        if not line:
            raise EOFError('the machine has closed its control socket')
        return json.loads(line)

    def run(self, command, arguments=None):
        request = {'execute': command}
        if arguments is not None:
            request['arguments'] = arguments
        self.socket.sendall(json.dumps(request).encode() + b'\n')
        while True:
            answer = self.read()
            if 'event' in answer:
                self.events.append(answer)
                continue
            if 'error' in answer:
                raise RuntimeError(answer['error']['desc'])
            return answer['return']

    def type(self, text):
        for letter in text:
            keys = ['shift'] if letter.isupper() or letter in SHIFTED else []
            keys.append(NAMES.get(letter, SHIFTED.get(letter, letter.lower())))
            self.run('send-key', {'keys': [{'type': 'qcode', 'data': key} for key in keys],
                                  'hold-time': 40})
            time.sleep(0.12)

    def watch(self, seconds, name):
        self.socket.settimeout(seconds)
        try:
            while True:
                event = self.events.pop(0) if self.events else self.read()
                print(json.dumps(event), flush=True)
                if event.get('event') == name:
                    return 0
        except (EOFError, TimeoutError):
            return 1 if name else 0


def main():
    path, command, *rest = sys.argv[1:]
    try:
        control = Control(path)
        if command == 'type':
            control.type(rest[0].replace('\\n', '\n'))
        elif command == 'events':
            return control.watch(float(rest[0]), rest[1] if len(rest) > 1 else None)
        else:
            print(json.dumps(control.run(command, json.loads(rest[0]) if rest else None)))
    except (OSError, EOFError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
