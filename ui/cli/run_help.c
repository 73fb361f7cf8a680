/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The text of `limen run --help`. tests/tools/check-manual compares its options with the manual
 * page's.
 */

#include <stdio.h>

#include "cli.h"

static const char text[] =
	"Usage: limen run [NAME] [OPTION...]\n"
	"\n"
	"Builds a PC out of the options and runs it in the foreground until its guest powers off.\n"
	"With NAME the machine's own machine.yaml comes first and the options change it.\n"
	"\n"
	"Processor and memory:\n"
	"  --engine auto|kvm|driver|soft  what runs the guest's code (default auto: the fastest "
	"here)\n"
	"  --cpus N                       number of processors (1)\n"
	"  --memory SIZE                  with suffix K, M or G; a bare number counts MiB (512M)\n"
	"\n"
	"Firmware and kernel:\n"
	"  --firmware bios|uefi|FILE      FILE is a raw ROM image that ends at 4 GiB (bios)\n"
	"  --kernel FILE                  boot a bzImage, an ELF with a PVH note or a Multiboot 1 "
	"ELF\n"
	"  --initrd FILE                  its initial RAM disk, or first Multiboot module\n"
	"  --append TEXT                  its command line\n"
	"\n"
	"Disks (each of the first three repeatable):\n"
	"  --disk FILE[,format=F][,bus=virtio|ide][,readonly][,snapshot]\n"
	"                                 a disk image; two commas stand for one in FILE. "
	"snapshot:\n"
	"                                 writes are lost at the end\n"
	"  --cdrom FILE                   a CD-ROM image\n"
	"  --floppy FILE                  a floppy image\n"
	"  --boot disk|cdrom|floppy|network\n"
	"                                 what the firmware starts first\n"
	"\n"
	"Network, console, display:\n"
	"  --net "
	"user|tap=IF|none[,model=virtio|e1000][,mac=MAC][,forward=tcp:ADDR:PORT-GUESTPORT]\n"
	"                                 user (the default) is NAT with DHCP and a name server; "
	"forward\n"
	"                                 (repeatable) makes a port of the guest reachable at the "
	"host's\n"
	"  --serial stdio|none|file:PATH|unix:PATH\n"
	"                                 repeatable; with stdio, Ctrl-A X ends the machine "
	"(none)\n"
	"  --display auto|none            where the screen is shown (auto)\n"
	"\n"
	"Running:\n"
	"  --control PATH                 a control socket (QMP) at PATH\n"
	"  --load-state FILE              go on from a saved state; the machine is the one it was "
	"saved of\n"
	"  --save-state FILE              where the control command limen-save-state puts the "
	"state\n"
	"  --no-reboot                    a reset by the guest ends the run\n"
	"  --test-device                  debug exit at port 0xf4 and kvm-unit-tests' ports\n"
	"  --set KEY=VALUE                any key of the machine's configuration; --set help lists "
	"them\n"
	"\n"
	"Exit status: 0 the guest powered off; 1 the machine could not be built or failed; 2 "
	"wrong\n"
	"usage; (V << 1) | 1 after a write of V to the debug exit; 130 on SIGINT.\n"
	"\n"
	"Examples:\n"
	"  limen run --kernel vmlinuz --initrd initrd.img --append console=ttyS0 --serial stdio\n"
	"  limen run --memory 2G --disk disk.img --cdrom debian.iso --boot cdrom\n"
	"  limen run --disk disk.img --net user,forward=tcp:127.0.0.1:2222-22 --display none\n";

void cli_run_help(void)
{
	fputs(text, stdout);
}
