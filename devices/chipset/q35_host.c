/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Q35 host bridge, 00:00.0: Intel 3 Series Express Chipset datasheet (order 316966), chapter 5,
 * as far as firmware and systems look at it.
 *
 * PCIEXBAR places configuration space in memory (ECAM). The PAM registers decide, for each 16 KiB
 * of C0000h-EFFFFh and for F0000h-FFFFFh, whether reads and writes reach RAM or what lies behind it
 * (the BIOS ROM at E0000h-FFFFFh, nothing below): all four combinations. Three are memory slots;
 * "read ROM, write RAM", which slots cannot express, is an I/O region below them, so code does not
 * run from such a segment (the BIOSes that copy themselves this way run from the ROM below 4 GiB).
 *
 * A reset shows the ROM again, but not the one that ends S3: SeaBIOS resumes from its shadow. It
 * also sets PCIEXBAR up again through the very window that this closes on its first write (0), so
 * from there on the register is read-only, as if firmware had locked it.
 *
 * Left out: system management mode (SMRAM is locked off from the start, and ICH9's SMI_EN tells
 * firmware that it is set up), graphics, memory controller timing, DMI and the egress port.
 */

#include "bus/chipset.h"
#include "bus/pci.h"

#include <assert.h>

/* Configuration registers, section 5.1. */
#define DEVEN 0x54
#define PCIEXBAR 0x60
#define PAM0 0x90
#define PAM_COUNT 7
#define SMRAM 0x9d
#define ESMRAMC 0x9e
#define TOM 0xa0
#define TOUUD 0xa2
#define TOLUD 0xb0

#define PCIEXBAR_ENABLE BIT(0)
#define PCIEXBAR_LENGTH(v) ((v) >> 1 & 3)
#define PCIEXBAR_WRITABLE UINT64_C(0x0000000ffc000007)

#define SMRAM_LOCKED (BIT(4) | 2)
#define ESMRAMC_VALUE 0x38

#define PAM_READ 1
#define PAM_WRITE 2

#define SEGMENTS 13
#define SEGMENT_BASE UINT64_C(0xc0000)
#define SEGMENT_END UINT64_C(0x100000)
#define SEGMENT_SIZE UINT64_C(0x4000)
#define ROM_BASE UINT64_C(0xe0000)

/**
 * struct q35_host - the bridge
 * @shown: how each segment is mapped now (PAM_* bits), or 0xff
 * @pciexbar: what @ecam_shown was made of
 * @locked: PCIEXBAR cannot be changed
 */
struct q35_host {
	struct pci_device pci;
	struct mem_region *ram;
	struct mem_region *bios;
	uint8_t shown[SEGMENTS];
	uint64_t pciexbar;
	bool locked;
	uint64_t ecam_shown;
	struct io_region behind;
};

static const struct pci_device_ops q35_ops;

static struct q35_host *q35_from_device(struct device *dev)
{
	assert(dev->ops == &q35_ops.base);
	return container_of(dev, struct q35_host, pci.dev);
}

/* ---- PAM: what C0000h-FFFFFh shows ---- */

/* The last segment is all of F0000h-FFFFFh. */
static gpa_t segment_start(unsigned int n)
{
	return n == SEGMENTS ? SEGMENT_END : SEGMENT_BASE + n * SEGMENT_SIZE;
}

/* PAM0's high half is the BIOS area; PAM1 to PAM6 have two segments each, the low half first. */
static uint8_t segment_wanted(const struct q35_host *host, unsigned int n)
{
	const uint8_t *pam = host->pci.config + PAM0;

	if (n == SEGMENTS - 1) {
		return pam[0] >> 4 & 3;
	}
	return pam[1 + n / 2] >> (n % 2 ? 4 : 0) & 3;
}

/* Where the end of the BIOS image is seen, up to 1 MiB; SEGMENT_END without one. */
static gpa_t rom_start(const struct q35_host *host)
{
	uint64_t size = host->bios ? MIN(host->bios->size, SEGMENT_END - ROM_BASE) : 0;

	return SEGMENT_END - size;
}

static int map_rom(struct q35_host *host, gpa_t start, gpa_t end)
{
	struct guest_memory *memory = host->pci.dev.env.memory;
	gpa_t rom = MAX(start, rom_start(host));

	if (start < rom) {
		guest_memory_unmap(memory, start, MIN(rom, end) - start);
	}
	if (rom >= end) {
		return 0;
	}
	return guest_memory_map(memory, rom, host->bios, host->bios->size - (SEGMENT_END - rom),
				end - rom, true);
}

static int map_run(struct q35_host *host, gpa_t start, gpa_t end, uint8_t mode)
{
	struct guest_memory *memory = host->pci.dev.env.memory;

	if (mode & PAM_READ) {
		return guest_memory_map(memory, start, host->ram, start, end - start,
					!(mode & PAM_WRITE));
	}
	if (mode == 0) {
		return map_rom(host, start, end);
	}
	guest_memory_unmap(memory, start, end - start);
	return 0;
}

/* Remap the segments whose register changed, as few slots as possible. */
static void update_segments(struct q35_host *host)
{
	unsigned int n = 0;

	if (!host->ram) {
		return;
	}
	while (n < SEGMENTS) {
		uint8_t mode = segment_wanted(host, n);
		gpa_t start = segment_start(n);
		bool changed = false;
		int rc;

		while (n < SEGMENTS && segment_wanted(host, n) == mode) {
			changed = changed || host->shown[n] != mode;
			host->shown[n++] = mode;
		}
		rc = changed ? map_run(host, start, segment_start(n), mode) : 0;
		if (rc < 0) {
			device_guest_error(&host->pci.dev, "cannot map memory at 0x%llx: %s",
					   (unsigned long long)start, strerror(-rc));
		}
	}
}

/* What no slot covers: "read ROM, write RAM", and nothing at all. */
static uint64_t behind_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct q35_host *host = opaque;
	gpa_t gpa = SEGMENT_BASE + offset;

	if (gpa < rom_start(host)) {
		return 0xff;
	}
	return host->bios->host[host->bios->size - (SEGMENT_END - gpa)];
}

static void behind_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct q35_host *host = opaque;
	gpa_t gpa = SEGMENT_BASE + offset;
	unsigned int n = MIN(offset / SEGMENT_SIZE, (uint64_t)SEGMENTS - 1);

	if (host->ram && segment_wanted(host, n) == PAM_WRITE) {
		host->ram->host[gpa] = (uint8_t)value;
		mem_region_written(host->ram, gpa, 1);
	}
}

static const struct io_ops behind_io = {
	.read = behind_read,
	.write = behind_write,
	.max_size = 1,
};

void q35_host_set_memory(struct device *dev, struct mem_region *ram, struct mem_region *bios)
{
	struct q35_host *host = q35_from_device(dev);

	assert(ram->size >= SEGMENT_END);
	pthread_mutex_lock(&dev->lock);
	host->ram = ram;
	host->bios = bios;
	memset(host->shown, 0xff, sizeof(host->shown));
	update_segments(host);
	pthread_mutex_unlock(&dev->lock);
}

/* ---- ECAM ---- */

static void update_ecam(struct q35_host *host)
{
	static const uint8_t lengths[4] = { 28, 27, 26, 0 }; /* log2 of bytes; 3 is reserved */
	uint64_t value = load_le64(host->pci.config + PCIEXBAR);
	unsigned int shift = lengths[PCIEXBAR_LENGTH(value)];
	unsigned int buses = 0;
	uint64_t base = 0;

	host->pciexbar = value;
	if (value & PCIEXBAR_ENABLE && shift) {
		base = ALIGN_DOWN(value & ~UINT64_C(7), BIT(shift));
		buses = BIT(shift) >> 20;
	}
	if (host->ecam_shown == (base | buses)) {
		return;
	}
	host->ecam_shown = base | buses;
	pci_bus_set_ecam(host->pci.bus, base, buses);
}

static void config_written(struct pci_device *pci, unsigned int offset, unsigned int size)
{
	struct q35_host *host = container_of(pci, struct q35_host, pci);

	if (offset < PCIEXBAR + 8 && offset + size > PCIEXBAR) {
		update_ecam(host);
	}
	if (offset < PAM0 + PAM_COUNT && offset + size > PAM0) {
		update_segments(host);
	}
}

/* ---- for the machine ---- */

void q35_host_set_top(struct device *dev, uint64_t low_end, uint64_t high_end)
{
	struct q35_host *host = q35_from_device(dev);
	uint8_t *config = host->pci.config;
	uint64_t top = MAX(low_end, high_end);

	pthread_mutex_lock(&dev->lock);
	store_le16(config + TOM, (uint16_t)MIN(top >> 26, UINT64_C(0x3ff)));
	store_le16(config + TOUUD, (uint16_t)(high_end >> 20));
	store_le16(config + TOLUD, (uint16_t)(low_end >> 20 << 4));
	pthread_mutex_unlock(&dev->lock);
}

void q35_host_firmware_setup(struct device *dev)
{
	struct q35_host *host = q35_from_device(dev);
	uint8_t *pam = host->pci.config + PAM0;

	pthread_mutex_lock(&dev->lock);
	store_le64(host->pci.config + PCIEXBAR, Q35_ECAM_BASE | PCIEXBAR_ENABLE);
	pam[0] = (PAM_READ | PAM_WRITE) << 4;
	memset(pam + 1, (PAM_READ | PAM_WRITE) * 0x11, PAM_COUNT - 1);
	update_ecam(host);
	update_segments(host);
	pthread_mutex_unlock(&dev->lock);
}

/* ---- life ---- */

static int q35_create(struct device *dev, struct error *err)
{
	struct q35_host *host = q35_from_device(dev);
	int rc;

	store_le64(host->pci.writable + PCIEXBAR, PCIEXBAR_WRITABLE);
	memset(host->pci.writable + PAM0, 0x33, PAM_COUNT);
	host->pci.writable[PAM0] = 0x30;
	host->pci.config[DEVEN] = 1;
	host->pci.config[SMRAM] = SMRAM_LOCKED;
	host->pci.config[ESMRAMC] = ESMRAMC_VALUE;
	io_region_init(&host->behind, "bios-shadow", &behind_io, host, &dev->lock,
		       SEGMENT_END - SEGMENT_BASE);
	host->behind.priority = -1;
	rc = io_region_map(&host->behind, dev->env.mmio, SEGMENT_BASE);
	if (rc < 0) {
		return error_set(err, -rc, "cannot map what lies behind shadow RAM");
	}
	return 0;
}

static void q35_destroy(struct device *dev)
{
	struct q35_host *host = q35_from_device(dev);

	io_region_unmap(&host->behind);
	pci_bus_set_ecam(host->pci.bus, 0, 0);
}

static void set_locked(struct q35_host *host, bool locked)
{
	host->locked = locked;
	store_le64(host->pci.writable + PCIEXBAR, locked ? 0 : PCIEXBAR_WRITABLE);
}

/* The PCI layer has cleared the registers, but what is shown says what they were. */
static void restore_pam(struct q35_host *host)
{
	uint8_t *pam = host->pci.config + PAM0;

	for (unsigned int n = 0; n < SEGMENTS - 1; n++) {
		pam[1 + n / 2] |= (host->shown[n] & 3) << (n % 2 ? 4 : 0);
	}
	pam[0] = (host->shown[SEGMENTS - 1] & 3) << 4;
}

static void q35_reset(struct device *dev, enum reset_kind kind)
{
	struct q35_host *host = q35_from_device(dev);
	bool wake = kind == RESET_WAKE;

	if (wake && host->ram) {
		restore_pam(host);
	}
	set_locked(host, wake);
	store_le64(host->pci.config + PCIEXBAR, wake ? host->pciexbar : Q35_ECAM_BASE);
	update_ecam(host);
	update_segments(host);
}

/* The registers themselves are the PCI layer's to load. */
static int q35_post_load(void *base, struct error *err)
{
	struct q35_host *host = base;

	for (unsigned int i = 0; i < PAM_COUNT; i++) {
		if (host->pci.config[PAM0 + i] & ~host->pci.writable[PAM0 + i]) {
			return error_set(err, EINVAL, "PAM%u has reserved bits set", i);
		}
	}
	if (host->pci.config[SMRAM] != SMRAM_LOCKED ||
	    load_le64(host->pci.config + PCIEXBAR) & ~PCIEXBAR_WRITABLE) {
		return error_set(err, EINVAL, "a host bridge that this one cannot become");
	}
	set_locked(host, host->locked);
	update_ecam(host);
	update_segments(host);
	return 0;
}

/* All else that the guest can change lies in configuration space. */
static const struct state_field q35_fields[] = {
	STATE_FIELD_BOOL(struct q35_host, locked),
	STATE_FIELDS_END,
};

static const struct state_table q35_state = {
	.version = 1,
	.fields = q35_fields,
	.post_load = q35_post_load,
};

static const struct pci_device_ops q35_ops = {
	.base = {
		.name = "q35-host",
		.bus = DEVICE_BUS_PCI,
		.instance_size = sizeof(struct q35_host),
		.state = &q35_state,
		.create = q35_create,
		.destroy = q35_destroy,
		.reset = q35_reset,
	},
	.vendor_id = 0x8086,
	.device_id = 0x29c0,
	.subsystem_vendor_id = 0x1af4,
	.subsystem_id = 0x1100,
	.class_code = 0x060000,
	.config_written = config_written,
};
DEVICE_REGISTER(q35_ops.base);
