#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# time-limit: 200
#
# memtest86+ runs its first five tests on a machine with 32 MiB without an error: as a kernel, seen on
# its serial console, and from its ISO through the firmware, read off the screen.

. "$(dirname "$0")/lib.sh"

memtest=$("$root/installer/guest-memtest" 2> memtest.log) ||
	skip "no memtest86+: $(tail -n 1 memtest.log)"

# screen NAME: the text on the machine's screen goes to NAME.screen
screen()
{
	control control screendump "{\"filename\":\"$work/$1.png\"}" > /dev/null &&
		"$here/screen.py" "$1.png" > "$1.screen"
}

start kernel --memory 32M --kernel "$memtest/memtest.bin" \
	--append "console=ttyS0,115200 nopause nosm" --net none --serial stdio
# Only what has changed is sent, so each number of a test is one piece of text.
if until_text kernel.out '#5  \[' 80; then
	errors=$(grep -ao 'Errors: *[0-9]*' kernel.out | grep -v ': *0$' | head -n 1)
	[ -z "$errors" ] || fail "memtest86+ as a kernel: $errors"
	grep -aq 'Errors: *0' kernel.out || fail "memtest86+ as a kernel shows no errors' number"
fi
kill "$pid"
ended 10

start iso --memory 32M --cdrom "$memtest/memtest.iso" --net none --control control
seconds=0
: > iso.screen
until grep -q 'Test #[5-9]' iso.screen; do
	sleep 2
	seconds=$((seconds + 2))
	if [ "$seconds" -ge "$(allowed 80)" ] || ! kill -0 "$pid"; then
		fail "memtest86+ has not finished its first five tests; its screen:"
		break
	fi
	screen iso || true
done
cat iso.screen
grep -q 'Errors: 0 *$' iso.screen || fail "memtest86+ from its ISO found errors"
control control quit > /dev/null || fail "quit"
ended 10
[ "$status" -eq 0 ] || fail "status $status after quit"
finish
