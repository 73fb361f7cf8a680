/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LIMEN_BUS_CHIPSET_H
#define LIMEN_BUS_CHIPSET_H

/*
 * How the parts of the board are wired to each other: what the machine, which builds the board,
 * calls on chipset devices beside the plain device contract (bus/device.h). Each function takes the
 * struct device of the kind that its prefix names, asserts that it is one, takes its lock, and may
 * be called from any thread, also with another device's lock held, unless it says otherwise.
 *
 * The kinds, what their device_env must hold beside clock, ports, mmio, memory and power, and in
 * which order they can be created:
 *
 *   kind        env
 *   "pic"       output: INTR, to engine_ops.set_extint; peer: none
 *   "ioapic"    msi: the engine's
 *   "hpet"      irqs (0, 8 and 16-23)
 *   "pit"       output: OUT0, to hpet_legacy_input(hpet, 0), or irqs[0] where there is no HPET
 *   "rtc"       output: IRQ, to hpet_legacy_input(hpet, 1), or irqs[8]; peer[RTC_PEER_LPC], whose
 *               RTC_STS its interrupts set (may be NULL); config: "rtc"
 *   "isa-dma"   memory
 *   "q35-host"  pci, devfn 0; then q35_host_set_memory()
 *   "ich9-lpc"  pci, devfn PCI_DEVFN(31, 0); peer[ICH9_PEER_PIC], peer[ICH9_PEER_IOAPIC]
 *   "port92", "post", "debug-exit"
 *   "i8042"     irqs (1, 12); input
 *   "uart"      irqs; chr; config: "serial.N" with keys port and irq
 *   "floppy"    irqs (6); drives[0] and [1]; peer[0]: the "isa-dma" (channel 2)
 *   "pc-testdev" irqs (all 24)
 *
 * env.irqs[n] for n < 16 is ISA line n: the machine's own handler sets pic_input(pic, n) and
 * ioapic_input(ioapic, n == 0 ? 2 : n); n == 2 does not exist. env.irqs[16 + n] is
 * ich9_pirq_input(lpc, n).
 *
 * Address lines: A20 is never masked, as on processors since 2013; its gates only remember.
 */

#include "bus/device.h"
#include "bus/irq.h"

/* ------- interrupt controllers ------- */

/** pic_input() - pin IR @n, 0-15 over both chips (2, the cascade, drops what it is given). */
struct irq_line pic_input(struct device *pic, unsigned int n);

/** pic_intack() - an interrupt-acknowledge cycle. Return: the vector, or -1 while INTR is low. No
 *  other lock of the board is held by the caller. */
int pic_intack(struct device *pic);

/** ioapic_input() - pin INTIN @n, 0-23. */
struct irq_line ioapic_input(struct device *ioapic, unsigned int n);

/** ioapic_eoi() - a local APIC broadcast the end of level-triggered interrupt @vector. */
void ioapic_eoi(struct device *ioapic, uint8_t vector);

/* ------- ICH9: LPC bridge and power management, 00:1f.0 ------- */

enum {
	ICH9_PEER_PIC,
	ICH9_PEER_IOAPIC,
};

#define ICH9_PM_BASE 0x600 /* where SeaBIOS and ich9_lpc_firmware_setup() put PMBASE */
#define ICH9_SCI_IRQ 9

/**
 * ich9_route_irq() - for pci_bus_env.route_irq, with the LPC device for @opaque
 *
 * The board's INTx wiring, which the DSDT's _PRT must repeat, with @pin 0-3 and the global
 * interrupt (IOAPIC pin) of PIRQ A-H being 16-23:
 * slots 0-24: PIRQ E + (slot + pin) % 4; slots 25-31: PIRQ A + pin, unless the guest changes that
 * through RCBA's DnnIR registers.
 * A PIRQ also reaches the PIC line that PIRQn_ROUT (60h-63h, 68h-6bh) selects.
 */
void ich9_route_irq(void *opaque, unsigned int slot, unsigned int pin, bool level);

/** ich9_pirq_input() - another wire onto PIRQ @n, 0-7 for A-H (wired OR with PCI's). */
struct irq_line ich9_pirq_input(struct device *lpc, unsigned int n);

/** ich9_power_button() - press it: the guest gets PWRBTN_STS and an SCI if it listens. Return:
 *  whether it listens. */
bool ich9_power_button(struct device *lpc);

/** ich9_rtc_event() - the RTC asserted its interrupt: RTC_STS, and an SCI if the guest wants it. */
void ich9_rtc_event(struct device *lpc);

/** ich9_wake() - the machine goes on after S3 (power_sink.suspend): call after the reset. Sets
 *  WAK_STS; @by_button also PWRBTN_STS. */
void ich9_wake(struct device *lpc, bool by_button);

/** ich9_gpe_set() - level of general-purpose event @n, 0-63 (status is latched on a rise). */
void ich9_gpe_set(struct device *lpc, unsigned int n, bool level);

/** ich9_lpc_firmware_setup() - for direct boot without firmware, after the reset: what SeaBIOS
 *  would have programmed (PMBASE, ACPI enable, RCBA, PIRQ routes 10, 10, 11, 11, and SCI_EN). */
void ich9_lpc_firmware_setup(struct device *lpc);

/* ------- Q35 host bridge, 00:00.0 ------- */

/**
 * q35_host_set_memory() - what C0000h-FFFFFh shows, by the PAM registers; main thread, once
 * @ram: shown at its own offset (offset C0000h at C0000h)
 * @bios: its last 128 KiB are shown at E0000h-FFFFFh where PAM says ROM; C0000h-DFFFFh are then
 *        empty. NULL for none
 *
 * From here on the host bridge alone maps this range; the machine maps the rest of RAM and the
 * BIOS below 4 GiB.
 */
void q35_host_set_memory(struct device *host, struct mem_region *ram, struct mem_region *bios);

/** q35_host_set_top() - for TOLUD and TOUUD: end of RAM below and above 4 GiB (0: none above). */
void q35_host_set_top(struct device *host, uint64_t low_end, uint64_t high_end);

/** q35_host_firmware_setup() - for direct boot, after the reset: ECAM at B0000000h for 256 buses
 *  (Q35_ECAM_BASE, as SeaBIOS puts it), all PAM ranges as RAM. */
void q35_host_firmware_setup(struct device *host);

#define Q35_ECAM_BASE UINT64_C(0xb0000000)

/* ------- time ------- */

enum {
	HPET_LEGACY_PIT,
	HPET_LEGACY_RTC,
};

/** hpet_legacy_input() - @n HPET_LEGACY_*: passes to irqs[0] or irqs[8] what legacy replacement
 *  routing does not take over. */
struct irq_line hpet_legacy_input(struct device *hpet, unsigned int n);

#define HPET_BASE UINT64_C(0xfed00000)

/** hpet_id() - lower half of the General Capabilities register, for the ACPI table. */
uint32_t hpet_id(struct device *hpet);

enum {
	RTC_PEER_LPC,
};

/* The battery-backed bytes. Indices 0-13 are the clock's and refused; 14-127 first bank (ports
 * 70h/71h), 128-255 the second (72h/73h). */
void rtc_cmos_write(struct device *rtc, unsigned int index, uint8_t value);
uint8_t rtc_cmos_read(struct device *rtc, unsigned int index);

/** rtc_set_memory() - RAM below and above 4 GiB in bytes, in the bytes where BIOSes look. */
void rtc_set_memory(struct device *rtc, uint64_t below_4g, uint64_t above_4g);

enum rtc_boot {
	RTC_BOOT_NONE,
	RTC_BOOT_FLOPPY,
	RTC_BOOT_DISK,
	RTC_BOOT_CDROM,
	RTC_BOOT_NETWORK,
};

/** rtc_set_boot_order() - bytes 38h and 3dh as SeaBIOS reads them where fw_cfg has no bootorder. */
void rtc_set_boot_order(struct device *rtc, const enum rtc_boot order[3]);

/** rtc_set_floppies() - drive types for byte 10h (floppy_drive_type()) and equipment. */
void rtc_set_floppies(struct device *rtc, unsigned int first, unsigned int second);

/* ------- ISA DMA (two 8237) ------- */

/**
 * isa_dma_to_guest()/isa_dma_from_guest() - a device on @channel moves up to @size bytes (even for
 * channels 5-7) as the guest programmed the channel
 * @ret_terminal: whether terminal count was reached; may be NULL
 *
 * Return: the bytes moved: 0 while the channel is masked or set to the other direction, less than
 * @size at terminal count. Not with the guest's memory map locked.
 */
size_t isa_dma_to_guest(struct device *dma, unsigned int channel, const void *data, size_t size,
			bool *ret_terminal);
size_t isa_dma_from_guest(struct device *dma, unsigned int channel, void *data, size_t size,
			  bool *ret_terminal);

/** isa_dma_request() - level of DREQ @channel, for the status register. */
void isa_dma_request(struct device *dma, unsigned int channel, bool level);

/* ------- floppy controller ------- */

/** floppy_drive_type() - what byte 10h of CMOS memory says of drive @n, by the disk in it: 0 none,
 *  1 360 KB, 2 1.2 MB, 4 1.44 MB, 5 2.88 MB. */
unsigned int floppy_drive_type(struct device *floppy, unsigned int n);

#endif
