#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# time-limit: 100
#
# A small guest that counts timer interrupts on its serial port is started under KVM, goes on on the
# soft engine, again under KVM and again on the soft engine: no number is lost or told twice. It is small
# because a KVM may run its code in software.

. "$(dirname "$0")/lib.sh"

needs as objcopy
[ -r /dev/kvm ] && [ -w /dev/kvm ] || skip "there is no /dev/kvm that can be used"

# 16-bit code in a ROM: the PIT's channel 0 at 18 Hz, each interrupt prints a line with its number in
# hexadecimal; after 0xff of them the debug exit ends the run.
as --32 -o rom.o - << 'END' || fail "the guest does not assemble"
	.code16
	.org 0
	cli
	xorw	%ax, %ax
	movw	%ax, %ss
	movw	$0x7000, %sp
	movw	%ax, %ds
	movw	$(tick), 0x20
	movw	%cs, 0x22
	movw	%ax, 0x500
	movb	$0x11, %al
	outb	%al, $0x20
	movb	$0x08, %al
	outb	%al, $0x21
	movb	$0x04, %al
	outb	%al, $0x21
	movb	$0x01, %al
	outb	%al, $0x21
	movb	$0xfe, %al
	outb	%al, $0x21
	movb	$0x34, %al
	outb	%al, $0x43
	movw	$0, %ax
	outb	%al, $0x40
	movb	%ah, %al
	outb	%al, $0x40
	sti
1:	hlt
	jmp	1b
tick:	pushw	%ax
	pushw	%dx
	incw	0x500
	movw	$0x3f8, %dx
	movb	0x500, %al
	shrb	$4, %al
	call	digit
	movb	0x500, %al
	call	digit
	movb	$'\n', %al
	outb	%al, %dx
	cmpw	$0xff, 0x500
	jne	2f
	movb	$0x21, %al
	outb	%al, $0xf4
2:	movb	$0x20, %al
	outb	%al, $0x20
	popw	%dx
	popw	%ax
	iret
digit:	andb	$0x0f, %al
	addb	$'0', %al
	cmpb	$'9', %al
	jbe	3f
	addb	$('a' - '9' - 1), %al
3:	outb	%al, %dx
	ret
	.org 0xfff0
	ljmp	$0xf000, $0
	.org 0x10000
END
objcopy -O binary -j .text rom.o rom.bin

# machine NAME ENGINE OPTION...
machine()
{
	name=$1 engine=$2
	shift 2
	start "$name" --firmware rom.bin --memory 16M --net none --serial stdio --test-device \
		--control control "$@"
}

# saved FILE: when it has told some numbers
saved()
{
	until_text "$name.out" '^.[048c]' 30 || finish
	control control limen-save-state "{\"filename\":\"$work/$1\"}" > /dev/null || fail "$name: saving"
	ended 20
	[ "$status" -eq 0 ] || fail "$name: status $status: $(cat "$name.err")"
}

# It starts under KVM: a guest must not have seen what KVM lacks.
machine zeroth kvm
saved state0
machine first soft --load-state state0
saved state1
machine second kvm --load-state state1
saved state2
machine third soft --load-state state2
ended 60
[ "$status" -eq $((0x21 * 2 + 1)) ] || fail "the guest did not come to its end: status $status: $(cat third.err)"
cat zeroth.out first.out second.out third.out > all
i=0
while [ $i -lt 255 ]; do
	i=$((i + 1))
	printf '%02x\n' $i
done > expected
cmp all expected || { fail "the numbers are not 01 to ff"; tr '\n' ' ' < all; }
finish
