# SPDX-License-Identifier: GPL-2.0-or-later
"""What the source checks share: which files there are, C without comments, and how a check reports."""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Report:
    """Collects findings; each is a place and a remedy."""

    def __init__(self):
        self.findings = []

    def add(self, path, line, text):
        self.findings.append((path, line, text))

    def finish(self, what):
        """Prints the findings, or one line that says what was looked at; returns the exit status."""
        for path, line, text in sorted(self.findings):
            print(f'{path}:{line}: {text}')
        if not self.findings:
            print(what)
        return 1 if self.findings else 0


def list_files(suffixes=None):
    """The project's files (tracked, or new and not ignored), relative to ROOT."""
    found = subprocess.run(['git', '-C', ROOT, 'ls-files', '-co', '--exclude-standard', '-z'],
                           capture_output=True, check=False)
    if found.returncode == 0:
        names = found.stdout.decode().split('\0')
    else:
        names = []
        for folder, folders, files in os.walk(ROOT):
            folders[:] = [name for name in folders if name not in ('.git', 'o')]
            names += [os.path.relpath(os.path.join(folder, name), ROOT) for name in files]
    names = sorted({name for name in names if name and os.path.isfile(os.path.join(ROOT, name))})
    if suffixes:
        names = [name for name in names if name.endswith(suffixes)]
    return names


def read(name):
    with open(os.path.join(ROOT, name), encoding='utf-8', errors='replace', newline='') as file:
        return file.read()


def blank(match, fill):
    return re.sub(r'[^\n]', fill, match.group(0))


TOKENS = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
DIRECTIVE = re.compile(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', re.MULTILINE)


def without_comments(text):
    """The text with comments as spaces and strings as underscores; every offset stays."""
    return TOKENS.sub(lambda m: blank(m, ' ' if m.group(0)[0] == '/' else '_'), text)


def without_directives(text):
    """What without_comments() gave, with the preprocessor's lines as spaces."""
    return DIRECTIVE.sub(lambda m: blank(m, ' '), text)


def line_of(text, offset):
    return text.count('\n', 0, offset) + 1


def closing(text, offset):
    """The offset of the bracket that closes the one at offset, or -1."""
    pairs = {'(': ')', '{': '}', '[': ']'}
    opener, closer = text[offset], pairs[text[offset]]
    depth = 0
    for match in re.compile('[' + re.escape(opener + closer) + ']').finditer(text, offset):
        depth += 1 if match.group(0) == opener else -1
        if depth == 0:
            return match.start()
    return -1


def expect(condition, text):
    """One statement of a check's self-test: a check that does not catch must not pass."""
    if not condition:
        print(f'self-test: {text}')
        sys.exit(1)


def build_folder():
    """Where the objects of the mode under test lie."""
    return os.environ.get('LIMEN_OUT', os.path.join(ROOT, 'o/release'))


def build_setting(name, default=''):
    """A variable of the configuration that the objects were built with."""
    try:
        with open(os.path.join(build_folder(), 'config.mk'), encoding='utf-8') as file:
            for line in file:
                key, _, value = line.partition(':=')
                if key.strip() == name:
                    return value.strip()
    except OSError:
        pass
    return default
