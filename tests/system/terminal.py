#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a machine in a terminal of its own and types on its serial console.

Usage: terminal.py STATUS STEPS COMMAND...

STEPS is a list in Python's syntax: texts to type, each followed by the text that must then appear (''
for none). The machine must end with STATUS after the last one, and leave the terminal as it was.
The exit status is 0 when all was as it should be.
"""

import ast
import os
import pty
import select
import sys
import termios
import time

SECONDS = 60


class Terminal:
    def __init__(self, command):
        self.seen = b''
        # The child waits until the terminal has been looked at.
        go_read, go_write = os.pipe()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.read(go_read, 1)
            os.execvp(command[0], command)
        self.before = termios.tcgetattr(self.master)
        os.write(go_write, b'g')

    def until(self, text):
        end = time.monotonic() + SECONDS
        while text not in self.seen:
            if time.monotonic() > end:
                raise TimeoutError(f'no {text!r}, but {self.seen[-300:]!r}')
            if select.select([self.master], [], [], 0.2)[0]:
                self.seen += os.read(self.master, 4096)
        self.seen = self.seen[self.seen.index(text) + len(text):]

    def ended(self):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
        os.kill(self.pid, 9)
        raise TimeoutError('the machine does not end')


def main():
    expected, steps, command = int(sys.argv[1]), ast.literal_eval(sys.argv[2]), sys.argv[3:]
    terminal = Terminal(command)
    try:
        for typed, text in zip(steps[0::2], steps[1::2]):
            os.write(terminal.master, typed.encode('latin-1'))
            terminal.until(text.encode('latin-1'))
        status = terminal.ended()
    except TimeoutError as error:
        print(error)
        return 1
    if status != expected:
        print(f'status {status} instead of {expected}: {terminal.seen!r}')
        return 1
    if termios.tcgetattr(terminal.master) != terminal.before:
        print('the terminal is not as it was')
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
