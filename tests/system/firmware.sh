#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# time-limit: 300
#
# What a machine starts from: a GRUB ISO through SeaBIOS to its menu, which takes keys and boots the
# kernel on it; diskettes, with a boot sector of our own and with GRUB; a ROM image that ends at 4 GiB.

. "$(dirname "$0")/lib.sh"

needs as objcopy grub-mkrescue grub-mkimage xorriso

# screen NAME: the text on the machine's screen goes to NAME.screen
screen()
{
	control control screendump "{\"filename\":\"$work/$1.png\"}" > /dev/null &&
		"$here/screen.py" "$1.png" > "$1.screen"
}

# assembled NAME < SOURCE: 16-bit code at 0x7c00 as NAME.bin
assembled()
{
	as --32 -o "$1.o" - && objcopy -O binary -j .text "$1.o" "$1.bin" || fail "$1 does not assemble"
}

# A ROM of 128 KiB. Its reset vector jumps to where the last 128 KiB are seen below 1 MiB, and the
# code there checks that it reads the same at both places before it exits.
rom()
{
	assembled rom << 'END'
	.code16
	.org 0x10000
start:	movw	%cs, %ax
	movw	%ax, %ds
	cmpl	$0x4e454d49, signature - 0x10000
	movb	$0x11, %al
	jne	out
	movb	$0x21, %al
out:	outb	%al, $0xf4
1:	hlt
	jmp	1b
signature: .ascii "IMEN"
	.org 0x1fff0
	ljmp	$0xf000, $0
	.org 0x20000
END
	start rom --firmware rom.bin --net none --test-device
	ended 20
	[ "$status" -eq $((0x21 * 2 + 1)) ] || fail "a ROM image: status $status: $(cat rom.err)"
}

# The boot sector prints through the BIOS and on the serial port, reads the second sector of the
# diskette's second cylinder, prints what that holds, writes it back to another sector and exits.
floppy()
{
	assembled floppy << 'END'
	.code16
	.org 0
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	movw	$(text + 0x7c00), %si
	call	print
	movw	$0x0201, %ax
	movw	$0x0102, %cx
	movw	$0x8000, %bx
	xorw	%dx, %dx
	int	$0x13
	movb	$0x12, %al
	jc	out
	movw	$0x8000, %si
	call	print
	movw	$0x0301, %ax
	movw	$0x4f12, %cx
	movw	$0x8000, %bx
	movw	$0x0100, %dx
	int	$0x13
	movb	$0x13, %al
	jc	out
	movb	$0x22, %al
out:	outb	%al, $0xf4
1:	hlt
	jmp	1b
print:	lodsb
	testb	%al, %al
	jz	2f
	movw	$0x3f8, %dx
	outb	%al, %dx
	movb	$0x0e, %ah
	movw	$7, %bx
	int	$0x10
	jmp	print
2:	ret
text:	.asciz "boot sector, "
	.org 510
	.word	0xaa55
END
	truncate -s 1474560 floppy.img
	dd if=floppy.bin of=floppy.img conv=notrunc 2> /dev/null
	printf 'second cylinder\r\n\0' |
		dd of=floppy.img bs=512 seek=$((1 * 36 + 1)) conv=notrunc 2> /dev/null
	start floppy --floppy floppy.img --boot floppy --net none --serial stdio --test-device
	ended 30
	[ "$status" -eq $((0x22 * 2 + 1)) ] || fail "a boot sector on a diskette: status $status"
	grep -aq 'boot sector, second cylinder' floppy.out || fail "a boot sector: $(cat floppy.out)"
	# Cylinder 79, head 1, sector 18: the last one.
	dd if=floppy.img bs=512 skip=2879 2> /dev/null | grep -aq 'second cylinder' ||
		fail "what the boot sector wrote is not on the diskette"
}

# GRUB behind its own boot sector, without a file system; it turns the machine off through ACPI.
floppy_grub()
{
	cat > floppy.cfg << 'END'
serial --unit=0 --speed=115200
terminal_output console serial
echo "GRUB on a diskette"
halt
END
	grub-mkimage -O i386-pc -o core.img -p / -c floppy.cfg biosdisk serial terminal echo halt ||
		fail "grub-mkimage"
	cat /usr/lib/grub/i386-pc/boot.img core.img > grub.img
	truncate -s 1474560 grub.img
	boot floppy-grub 60 'GRUB on a diskette' --floppy grub.img --net none --serial stdio
}

iso()
{
	guest amd64
	initramfs initrd << 'END'
echo "user space reached from CD: $(uname -r)"
poweroff -f
END
	mkdir -p iso/boot/grub
	cp "$guest/vmlinuz" initrd iso/boot/
	cat > iso/boot/grub/grub.cfg << 'END'
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
set timeout=60
menuentry "First entry" { halt }
menuentry "Second entry" {
	linux /boot/vmlinuz console=ttyS0 panic=-1
	initrd /boot/initrd
}
END
	grub-mkrescue -o grub.iso iso > mkrescue.log 2>&1 || { tail mkrescue.log; fail "grub-mkrescue"; }
	start iso --memory 256M --cdrom grub.iso --boot cdrom --net none --control control \
		--serial stdio --no-reboot
	until_text iso.out 'Second entry' 30 || return
	sleep 1
	screen menu || fail "no screendump of the menu"
	if ! grep -q '^ *│\*First entry' menu.screen || ! grep -q '^ *│ Second entry' menu.screen; then
		fail "GRUB's menu is not on the screen:"
		cat menu.screen
	fi
	control control send-key '{"keys":[{"type":"qcode","data":"down"}]}' > /dev/null || fail "send-key"
	sleep 1
	screen moved || fail "no screendump of the moved menu"
	if ! grep -q '^ *│\*Second entry' moved.screen; then
		fail "the down key does not arrive:"
		cat moved.screen
	fi
	control control send-key '{"keys":[{"type":"qcode","data":"ret"}]}' > /dev/null || fail "send-key"
	ended 180
	[ "$status" -eq 0 ] || fail "the kernel on the CD: status $status: $(cat iso.err)"
	grep -aq 'user space reached from CD: .*amd64' iso.out || { fail "no user space"; tail iso.out; }
}

rom
floppy
floppy_grub
iso
finish
