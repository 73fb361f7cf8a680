#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# time-limit: 200
#
# A machine as it is driven from outside: the control socket's commands and events, keys and the mouse
# as they arrive in Linux, the power button, resets, and the serial console in a terminal.

. "$(dirname "$0")/lib.sh"

needs as objcopy
guest amd64

# A guest in a ROM: it greets, and sends back each byte of the serial port plus one. 'R' resets the
# machine through the keyboard controller, 'Q' writes the debug exit.
as --32 -o rom.o - << 'END' || fail "the guest does not assemble"
	.code16
	.org 0
	movw	$0x3f8, %dx
	movb	$'H', %al
	outb	%al, %dx
	movb	$'i', %al
	outb	%al, %dx
1:	movw	$0x3fd, %dx
	inb	%dx, %al
	testb	$1, %al
	jz	1b
	movw	$0x3f8, %dx
	inb	%dx, %al
	cmpb	$'R', %al
	jne	2f
	movb	$0xfe, %al
	outb	%al, $0x64
2:	cmpb	$'Q', %al
	jne	3f
	movb	$0x21, %al
	outb	%al, $0xf4
3:	incb	%al
	outb	%al, %dx
	jmp	1b
	.org 0xfff0
	ljmp	$0xf000, $0
	.org 0x10000
END
objcopy -O binary -j .text rom.o rom.bin

# typed STATUS STEPS OPTION...: the machine in a terminal, see terminal.py
typed()
{
	"$here/terminal.py" "$1" "$2" "$limen" run --engine "$engine" --firmware rom.bin --net none \
		--serial stdio --test-device --memory 16M "$3" || fail "typing $2"
}

# Ctrl-C and Ctrl-Z belong to the guest; Ctrl-A is sent by a second one; Ctrl-A X ends the machine.
typed 0 "['', 'Hi', 'ace', 'bdf', '\\x03', '\\x04', '\\x1a', '\\x1b', '\\x01\\x01', '\\x02', '\\x01x', '']" --display=none
typed 67 "['', 'Hi', 'R', 'Hi', 'a', 'b', 'Q', '']" --display=none
typed 0 "['', 'Hi', 'R', '']" --no-reboot

# ask COMMAND [JSON]: the machine's answer goes to the file "answer"
ask()
{
	control control "$@" > answer 2>&1 || fail "$*: $(cat answer)"
}

# answers TEXT COMMAND [JSON]
answers()
{
	text=$1
	shift
	ask "$@"
	grep -q -e "$text" answer || fail "$*: $(cat answer)"
}

# denied TEXT COMMAND [JSON]: an error with this text
denied()
{
	text=$1
	shift
	if control control "$@" > answer 2>&1 || ! grep -q -e "$text" answer; then
		fail "$*: $(cat answer)"
	fi
}

# happened EVENT...: these are the events so far, in this order
happened()
{
	sleep 0.5
	sed 's/.*"event": "\([A-Z_]*\)".*/\1/' events > names
	for one; do
		echo "$one"
	done | cmp -s - names || fail "events: $(tr '\n' ' ' < names), not $*"
}

# watch: events go to the file "events" until the machine ends
watch()
{
	while [ ! -S control ]; do
		sleep 0.1
	done
	"$here/control.py" control events 150 > events 2>&1 &
	pids="$pids $!"
	sleep 0.5
}

start reset --firmware rom.bin --net none --serial stdio --memory 16M --control control
watch
until_text reset.out Hi 10
ask system_reset
until_text reset.out HiHi 10
happened RESET
ask quit
ended 10
[ "$status" -eq 0 ] || fail "quit: status $status"
happened RESET SHUTDOWN
grep -q '"host-qmp-quit"' events || fail "quit: $(cat events)"

initramfs initrd button evdev atkbd psmouse bochs << 'END'
device()
{
	awk -v name="$1" '/^N:/ { found = index($0, name) } /^H:/ && found && match($0, /event[0-9]+/) {
		print "/dev/input/" substr($0, RSTART, RLENGTH); exit }' /proc/bus/input/devices
}
echo "A line on the screen" > /dev/tty0
until [ -n "$(device "Power Button")" ] && [ -n "$(device Mouse)" ]; do
	sleep 0.1
done
button=$(device "Power Button")
exec 4< "$(device Mouse)"
(while :; do echo "tick"; sleep 0.2; done) &
# The last 8 bytes of each event: type, code, value.
(while event=$(dd bs=24 count=1 <&4 2> /dev/null | tail -c 8 | od -A n -t d2); do
	echo mouse $event
done) &
echo "ready"
read -r line < /dev/tty1
echo "typed: $line"
head -c 24 "$button" > /dev/null
echo "power button"
poweroff -f
END
start linux --memory 256M --kernel "$guest/vmlinuz" --initrd initrd --control control --net none \
	--append "console=tty0 console=ttyS0 panic=-1 quiet" --serial stdio --no-reboot
watch
answers '"running"' query-status
until_text linux.out '^ready' 60 || finish
answers '"version"\|"qemu"' query-version
answers '"system_powerdown"' query-commands
denied 'frobnicate' frobnicate
denied 'nowhere' screendump '{"filename":"nowhere/x.png"}'
denied 'filename' screendump
denied 'head\|display' screendump '{"filename":"x.png","head":7}'
denied 'qcode\|nokey' send-key '{"keys":[{"type":"qcode","data":"nokey"}]}'
denied 'json\|type\|string' send-key '{"keys":7}'

ask stop
answers '"paused"' query-status
size=$(stat -c %s linux.out)
sleep 1
[ "$(stat -c %s linux.out)" -eq "$size" ] || fail "a stopped machine goes on"
ask cont
answers '"running"' query-status
happened STOP RESUME
sleep 2
[ "$(stat -c %s linux.out)" -gt "$size" ] || fail "the machine does not go on"

ask screendump "{\"filename\":\"$work/screen.png\",\"format\":\"png\"}"
"$here/screen.py" screen.png > screen || fail "no picture"
grep -q '^A line on the screen' screen || { fail "the screen:"; cat screen; }
ask type 'Hello, World-42/x\n'
until_text linux.out '^typed: Hello, World-42/x' 20
ask input-send-event '{"events":[{"type":"rel","data":{"axis":"x","value":7}},{"type":"rel","data":{"axis":"y","value":-3}}]}'
ask input-send-event '{"events":[{"type":"btn","data":{"button":"left","down":true}}]}'
ask input-send-event '{"events":[{"type":"btn","data":{"button":"left","down":false}}]}'
# Types and codes of linux/input-event-codes.h: relative X and Y (up is negative), the left button.
until_text linux.out '^mouse 2 0 7 ' 20
until_text linux.out '^mouse 2 1 -3 ' 20
until_text linux.out '^mouse 1 272 1 ' 20
until_text linux.out '^mouse 1 272 0 ' 20
ask system_powerdown
until_text linux.out '^power button' 20
ended 30
[ "$status" -eq 0 ] || fail "status $status after power-off: $(cat linux.err)"
happened STOP RESUME POWERDOWN SHUTDOWN
grep -q '"guest-shutdown"' events || fail "the reason: $(cat events)"
[ "$failures" -eq 0 ] || tail -n 20 linux.out
finish
