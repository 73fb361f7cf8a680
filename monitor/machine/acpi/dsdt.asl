/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The differentiated system description of the Q35 machine (ACPI 6.5; PCI Firmware Specification
 * 3.3 for the host bridge). The monitor writes into LCFG which of the optional legacy devices
 * the machine has (enum acpi_present in acpi.h). Interrupt wiring repeats what bus/chipset.h
 * says of ich9_route_irq().
 */
DefinitionBlock ("", "DSDT", 2, "LIMEN", "LIMENPC", 1)
{
	Name (LCFG, 0x5A5A5A5A)
	Name (PICM, 0)

	Method (_PIC, 1) { PICM = Arg0 }

	/* SLP_TYP values of ICH9's PM1 control register. */
	Name (_S3, Package () { 1, 1, 0, 0 })
	Name (_S5, Package () { 0, 0, 0, 0 })

	Method (HAS, 1)
	{
		If (LCFG & Arg0) { Return (0x0F) }
		Return (0)
	}

	Scope (_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A08"))
			Name (_CID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0xFF, 0, 0x100)
				IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0x0000, 0x0CF7, 0, 0x0CF8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0x0D00, 0xFFFF, 0, 0xF300)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
					0, 0x000A0000, 0x000BFFFF, 0, 0x00020000)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
					0, 0xC0000000, 0xFEBFFFFF, 0, 0x3EC00000)
				/* Above all RAM that a machine can have (64 GiB and the hole). */
				QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
					0, 0x2000000000, 0x3FFFFFFFFF, 0, 0x2000000000)
			})

			/* The OS takes all of native PCI Express that it wants, PCI Firmware
			 * 4.5.1. */
			Method (_OSC, 4)
			{
				CreateDWordField (Arg3, 0, CDW1)
				If (Arg0 == ToUUID ("33DB4D5B-1FF7-401C-9657-7441C03DD766"))
				{
					CreateDWordField (Arg3, 8, CDW3)
					CDW3 &= 0x1F
					If (Arg1 != 1) { CDW1 |= 0x08 }
					Return (Arg3)
				}
				CDW1 |= 4
				Return (Arg3)
			}

			Name (PRTA, Package ()
			{
			Package () { 0x0001FFFF, 0, 0, 21 },
			Package () { 0x0001FFFF, 1, 0, 22 },
			Package () { 0x0001FFFF, 2, 0, 23 },
			Package () { 0x0001FFFF, 3, 0, 20 },
			Package () { 0x0002FFFF, 0, 0, 22 },
			Package () { 0x0002FFFF, 1, 0, 23 },
			Package () { 0x0002FFFF, 2, 0, 20 },
			Package () { 0x0002FFFF, 3, 0, 21 },
			Package () { 0x0003FFFF, 0, 0, 23 },
			Package () { 0x0003FFFF, 1, 0, 20 },
			Package () { 0x0003FFFF, 2, 0, 21 },
			Package () { 0x0003FFFF, 3, 0, 22 },
			Package () { 0x0004FFFF, 0, 0, 20 },
			Package () { 0x0004FFFF, 1, 0, 21 },
			Package () { 0x0004FFFF, 2, 0, 22 },
			Package () { 0x0004FFFF, 3, 0, 23 },
			Package () { 0x0005FFFF, 0, 0, 21 },
			Package () { 0x0005FFFF, 1, 0, 22 },
			Package () { 0x0005FFFF, 2, 0, 23 },
			Package () { 0x0005FFFF, 3, 0, 20 },
			Package () { 0x0006FFFF, 0, 0, 22 },
			Package () { 0x0006FFFF, 1, 0, 23 },
			Package () { 0x0006FFFF, 2, 0, 20 },
			Package () { 0x0006FFFF, 3, 0, 21 },
			Package () { 0x0007FFFF, 0, 0, 23 },
			Package () { 0x0007FFFF, 1, 0, 20 },
			Package () { 0x0007FFFF, 2, 0, 21 },
			Package () { 0x0007FFFF, 3, 0, 22 },
			Package () { 0x0008FFFF, 0, 0, 20 },
			Package () { 0x0008FFFF, 1, 0, 21 },
			Package () { 0x0008FFFF, 2, 0, 22 },
			Package () { 0x0008FFFF, 3, 0, 23 },
			Package () { 0x0009FFFF, 0, 0, 21 },
			Package () { 0x0009FFFF, 1, 0, 22 },
			Package () { 0x0009FFFF, 2, 0, 23 },
			Package () { 0x0009FFFF, 3, 0, 20 },
			Package () { 0x000AFFFF, 0, 0, 22 },
			Package () { 0x000AFFFF, 1, 0, 23 },
			Package () { 0x000AFFFF, 2, 0, 20 },
			Package () { 0x000AFFFF, 3, 0, 21 },
			Package () { 0x000BFFFF, 0, 0, 23 },
			Package () { 0x000BFFFF, 1, 0, 20 },
			Package () { 0x000BFFFF, 2, 0, 21 },
			Package () { 0x000BFFFF, 3, 0, 22 },
			Package () { 0x000CFFFF, 0, 0, 20 },
			Package () { 0x000CFFFF, 1, 0, 21 },
			Package () { 0x000CFFFF, 2, 0, 22 },
			Package () { 0x000CFFFF, 3, 0, 23 },
			Package () { 0x000DFFFF, 0, 0, 21 },
			Package () { 0x000DFFFF, 1, 0, 22 },
			Package () { 0x000DFFFF, 2, 0, 23 },
			Package () { 0x000DFFFF, 3, 0, 20 },
			Package () { 0x000EFFFF, 0, 0, 22 },
			Package () { 0x000EFFFF, 1, 0, 23 },
			Package () { 0x000EFFFF, 2, 0, 20 },
			Package () { 0x000EFFFF, 3, 0, 21 },
			Package () { 0x000FFFFF, 0, 0, 23 },
			Package () { 0x000FFFFF, 1, 0, 20 },
			Package () { 0x000FFFFF, 2, 0, 21 },
			Package () { 0x000FFFFF, 3, 0, 22 },
			Package () { 0x0010FFFF, 0, 0, 20 },
			Package () { 0x0010FFFF, 1, 0, 21 },
			Package () { 0x0010FFFF, 2, 0, 22 },
			Package () { 0x0010FFFF, 3, 0, 23 },
			Package () { 0x0011FFFF, 0, 0, 21 },
			Package () { 0x0011FFFF, 1, 0, 22 },
			Package () { 0x0011FFFF, 2, 0, 23 },
			Package () { 0x0011FFFF, 3, 0, 20 },
			Package () { 0x0012FFFF, 0, 0, 22 },
			Package () { 0x0012FFFF, 1, 0, 23 },
			Package () { 0x0012FFFF, 2, 0, 20 },
			Package () { 0x0012FFFF, 3, 0, 21 },
			Package () { 0x0013FFFF, 0, 0, 23 },
			Package () { 0x0013FFFF, 1, 0, 20 },
			Package () { 0x0013FFFF, 2, 0, 21 },
			Package () { 0x0013FFFF, 3, 0, 22 },
			Package () { 0x0014FFFF, 0, 0, 20 },
			Package () { 0x0014FFFF, 1, 0, 21 },
			Package () { 0x0014FFFF, 2, 0, 22 },
			Package () { 0x0014FFFF, 3, 0, 23 },
			Package () { 0x0015FFFF, 0, 0, 21 },
			Package () { 0x0015FFFF, 1, 0, 22 },
			Package () { 0x0015FFFF, 2, 0, 23 },
			Package () { 0x0015FFFF, 3, 0, 20 },
			Package () { 0x0016FFFF, 0, 0, 22 },
			Package () { 0x0016FFFF, 1, 0, 23 },
			Package () { 0x0016FFFF, 2, 0, 20 },
			Package () { 0x0016FFFF, 3, 0, 21 },
			Package () { 0x0017FFFF, 0, 0, 23 },
			Package () { 0x0017FFFF, 1, 0, 20 },
			Package () { 0x0017FFFF, 2, 0, 21 },
			Package () { 0x0017FFFF, 3, 0, 22 },
			Package () { 0x0018FFFF, 0, 0, 20 },
			Package () { 0x0018FFFF, 1, 0, 21 },
			Package () { 0x0018FFFF, 2, 0, 22 },
			Package () { 0x0018FFFF, 3, 0, 23 },
			Package () { 0x001FFFFF, 0, 0, 16 },
			Package () { 0x001FFFFF, 1, 0, 17 },
			Package () { 0x001FFFFF, 2, 0, 18 },
			Package () { 0x001FFFFF, 3, 0, 19 },
			})
			Name (PRTP, Package ()
			{
			Package () { 0x0001FFFF, 0, LNKF, 0 },
			Package () { 0x0001FFFF, 1, LNKG, 0 },
			Package () { 0x0001FFFF, 2, LNKH, 0 },
			Package () { 0x0001FFFF, 3, LNKE, 0 },
			Package () { 0x0002FFFF, 0, LNKG, 0 },
			Package () { 0x0002FFFF, 1, LNKH, 0 },
			Package () { 0x0002FFFF, 2, LNKE, 0 },
			Package () { 0x0002FFFF, 3, LNKF, 0 },
			Package () { 0x0003FFFF, 0, LNKH, 0 },
			Package () { 0x0003FFFF, 1, LNKE, 0 },
			Package () { 0x0003FFFF, 2, LNKF, 0 },
			Package () { 0x0003FFFF, 3, LNKG, 0 },
			Package () { 0x0004FFFF, 0, LNKE, 0 },
			Package () { 0x0004FFFF, 1, LNKF, 0 },
			Package () { 0x0004FFFF, 2, LNKG, 0 },
			Package () { 0x0004FFFF, 3, LNKH, 0 },
			Package () { 0x0005FFFF, 0, LNKF, 0 },
			Package () { 0x0005FFFF, 1, LNKG, 0 },
			Package () { 0x0005FFFF, 2, LNKH, 0 },
			Package () { 0x0005FFFF, 3, LNKE, 0 },
			Package () { 0x0006FFFF, 0, LNKG, 0 },
			Package () { 0x0006FFFF, 1, LNKH, 0 },
			Package () { 0x0006FFFF, 2, LNKE, 0 },
			Package () { 0x0006FFFF, 3, LNKF, 0 },
			Package () { 0x0007FFFF, 0, LNKH, 0 },
			Package () { 0x0007FFFF, 1, LNKE, 0 },
			Package () { 0x0007FFFF, 2, LNKF, 0 },
			Package () { 0x0007FFFF, 3, LNKG, 0 },
			Package () { 0x0008FFFF, 0, LNKE, 0 },
			Package () { 0x0008FFFF, 1, LNKF, 0 },
			Package () { 0x0008FFFF, 2, LNKG, 0 },
			Package () { 0x0008FFFF, 3, LNKH, 0 },
			Package () { 0x0009FFFF, 0, LNKF, 0 },
			Package () { 0x0009FFFF, 1, LNKG, 0 },
			Package () { 0x0009FFFF, 2, LNKH, 0 },
			Package () { 0x0009FFFF, 3, LNKE, 0 },
			Package () { 0x000AFFFF, 0, LNKG, 0 },
			Package () { 0x000AFFFF, 1, LNKH, 0 },
			Package () { 0x000AFFFF, 2, LNKE, 0 },
			Package () { 0x000AFFFF, 3, LNKF, 0 },
			Package () { 0x000BFFFF, 0, LNKH, 0 },
			Package () { 0x000BFFFF, 1, LNKE, 0 },
			Package () { 0x000BFFFF, 2, LNKF, 0 },
			Package () { 0x000BFFFF, 3, LNKG, 0 },
			Package () { 0x000CFFFF, 0, LNKE, 0 },
			Package () { 0x000CFFFF, 1, LNKF, 0 },
			Package () { 0x000CFFFF, 2, LNKG, 0 },
			Package () { 0x000CFFFF, 3, LNKH, 0 },
			Package () { 0x000DFFFF, 0, LNKF, 0 },
			Package () { 0x000DFFFF, 1, LNKG, 0 },
			Package () { 0x000DFFFF, 2, LNKH, 0 },
			Package () { 0x000DFFFF, 3, LNKE, 0 },
			Package () { 0x000EFFFF, 0, LNKG, 0 },
			Package () { 0x000EFFFF, 1, LNKH, 0 },
			Package () { 0x000EFFFF, 2, LNKE, 0 },
			Package () { 0x000EFFFF, 3, LNKF, 0 },
			Package () { 0x000FFFFF, 0, LNKH, 0 },
			Package () { 0x000FFFFF, 1, LNKE, 0 },
			Package () { 0x000FFFFF, 2, LNKF, 0 },
			Package () { 0x000FFFFF, 3, LNKG, 0 },
			Package () { 0x0010FFFF, 0, LNKE, 0 },
			Package () { 0x0010FFFF, 1, LNKF, 0 },
			Package () { 0x0010FFFF, 2, LNKG, 0 },
			Package () { 0x0010FFFF, 3, LNKH, 0 },
			Package () { 0x0011FFFF, 0, LNKF, 0 },
			Package () { 0x0011FFFF, 1, LNKG, 0 },
			Package () { 0x0011FFFF, 2, LNKH, 0 },
			Package () { 0x0011FFFF, 3, LNKE, 0 },
			Package () { 0x0012FFFF, 0, LNKG, 0 },
			Package () { 0x0012FFFF, 1, LNKH, 0 },
			Package () { 0x0012FFFF, 2, LNKE, 0 },
			Package () { 0x0012FFFF, 3, LNKF, 0 },
			Package () { 0x0013FFFF, 0, LNKH, 0 },
			Package () { 0x0013FFFF, 1, LNKE, 0 },
			Package () { 0x0013FFFF, 2, LNKF, 0 },
			Package () { 0x0013FFFF, 3, LNKG, 0 },
			Package () { 0x0014FFFF, 0, LNKE, 0 },
			Package () { 0x0014FFFF, 1, LNKF, 0 },
			Package () { 0x0014FFFF, 2, LNKG, 0 },
			Package () { 0x0014FFFF, 3, LNKH, 0 },
			Package () { 0x0015FFFF, 0, LNKF, 0 },
			Package () { 0x0015FFFF, 1, LNKG, 0 },
			Package () { 0x0015FFFF, 2, LNKH, 0 },
			Package () { 0x0015FFFF, 3, LNKE, 0 },
			Package () { 0x0016FFFF, 0, LNKG, 0 },
			Package () { 0x0016FFFF, 1, LNKH, 0 },
			Package () { 0x0016FFFF, 2, LNKE, 0 },
			Package () { 0x0016FFFF, 3, LNKF, 0 },
			Package () { 0x0017FFFF, 0, LNKH, 0 },
			Package () { 0x0017FFFF, 1, LNKE, 0 },
			Package () { 0x0017FFFF, 2, LNKF, 0 },
			Package () { 0x0017FFFF, 3, LNKG, 0 },
			Package () { 0x0018FFFF, 0, LNKE, 0 },
			Package () { 0x0018FFFF, 1, LNKF, 0 },
			Package () { 0x0018FFFF, 2, LNKG, 0 },
			Package () { 0x0018FFFF, 3, LNKH, 0 },
			Package () { 0x001FFFFF, 0, LNKA, 0 },
			Package () { 0x001FFFFF, 1, LNKB, 0 },
			Package () { 0x001FFFFF, 2, LNKC, 0 },
			Package () { 0x001FFFFF, 3, LNKD, 0 },
			})
			Method (_PRT, 0)
			{
				If (PICM) { Return (PRTA) }
				Return (PRTP)
			}

			Device (LPC)
			{
				Name (_ADR, 0x001F0000)
				OperationRegion (PIRQ, PCI_Config, 0x60, 0x0C)
				Field (PIRQ, ByteAcc, NoLock, Preserve)
				{
					PRQA, 8, PRQB, 8, PRQC, 8, PRQD, 8,
					Offset (0x08),
					PRQE, 8, PRQF, 8, PRQG, 8, PRQH, 8
				}

				Device (COM1)
				{
					Name (_HID, EisaId ("PNP0501"))
					Name (_UID, 1)
					Method (_STA, 0) { Return (HAS (0x01)) }
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x03F8, 0x03F8, 0, 8)
						IRQNoFlags () { 4 }
					})
				}

				Device (COM2)
				{
					Name (_HID, EisaId ("PNP0501"))
					Name (_UID, 2)
					Method (_STA, 0) { Return (HAS (0x02)) }
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x02F8, 0x02F8, 0, 8)
						IRQNoFlags () { 3 }
					})
				}

				Device (COM3)
				{
					Name (_HID, EisaId ("PNP0501"))
					Name (_UID, 3)
					Method (_STA, 0) { Return (HAS (0x04)) }
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x03E8, 0x03E8, 0, 8)
						IRQNoFlags () { 4 }
					})
				}

				Device (COM4)
				{
					Name (_HID, EisaId ("PNP0501"))
					Name (_UID, 4)
					Method (_STA, 0) { Return (HAS (0x08)) }
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x02E8, 0x02E8, 0, 8)
						IRQNoFlags () { 3 }
					})
				}

				Device (KBD)
				{
					Name (_HID, EisaId ("PNP0303"))
					Name (_UID, 0)
					Method (_STA, 0) { Return (HAS (0x10)) }
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x0060, 0x0060, 1, 1)
						IO (Decode16, 0x0064, 0x0064, 1, 1)
						IRQNoFlags () { 1 }
					})
				}

				Device (MOU)
				{
					Name (_HID, EisaId ("PNP0F13"))
					Name (_UID, 0)
					Method (_STA, 0) { Return (HAS (0x10)) }
					Name (_CRS, ResourceTemplate ()
					{
						IRQNoFlags () { 12 }
					})
				}

				Device (FDC0)
				{
					Name (_HID, EisaId ("PNP0700"))
					Name (_UID, 0)
					Method (_STA, 0) { Return (HAS (0x20)) }
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x03F2, 0x03F2, 0, 4)
						IO (Decode16, 0x03F7, 0x03F7, 0, 1)
						IRQNoFlags () { 6 }
						DMA (Compatibility, NotBusMaster, Transfer8) { 2 }
					})
				}

				Device (RTC)
				{
					Name (_HID, EisaId ("PNP0B00"))
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x0070, 0x0070, 1, 8)
						IRQNoFlags () { 8 }
					})
				}
			}
		}

		Device (HPET)
		{
			Name (_HID, EisaId ("PNP0103"))
			Name (_UID, 0)
			Method (_STA, 0) { Return (HAS (0x40)) }
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadOnly, 0xFED00000, 0x00000400)
			})
		}

		/* What no PCI device may be given: the chipset's ports and the ECAM window. */
		Device (MBRD)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0600, 0x0600, 0, 0x80)
				Memory32Fixed (ReadWrite, 0xB0000000, 0x10000000)
			})
		}

		Device (LNKA)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 1)
			Name (_PRS, ResourceTemplate () { Interrupt (, Level, ActiveHigh, Shared) { 5, 10, 11 } })
			Method (_STA, 0) { Return (LSTA (^^PCI0.LPC.PRQA)) }
			Method (_DIS, 0) { ^^PCI0.LPC.PRQA |= 0x80 }
			Method (_CRS, 0) { Return (LCRS (^^PCI0.LPC.PRQA)) }
			Method (_SRS, 1)
			{
				CreateDWordField (Arg0, 5, IRQN)
				^^PCI0.LPC.PRQA = IRQN
			}
		}

		Device (LNKB)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 2)
			Name (_PRS, ResourceTemplate () { Interrupt (, Level, ActiveHigh, Shared) { 5, 10, 11 } })
			Method (_STA, 0) { Return (LSTA (^^PCI0.LPC.PRQB)) }
			Method (_DIS, 0) { ^^PCI0.LPC.PRQB |= 0x80 }
			Method (_CRS, 0) { Return (LCRS (^^PCI0.LPC.PRQB)) }
			Method (_SRS, 1)
			{
				CreateDWordField (Arg0, 5, IRQN)
				^^PCI0.LPC.PRQB = IRQN
			}
		}

		Device (LNKC)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 3)
			Name (_PRS, ResourceTemplate () { Interrupt (, Level, ActiveHigh, Shared) { 5, 10, 11 } })
			Method (_STA, 0) { Return (LSTA (^^PCI0.LPC.PRQC)) }
			Method (_DIS, 0) { ^^PCI0.LPC.PRQC |= 0x80 }
			Method (_CRS, 0) { Return (LCRS (^^PCI0.LPC.PRQC)) }
			Method (_SRS, 1)
			{
				CreateDWordField (Arg0, 5, IRQN)
				^^PCI0.LPC.PRQC = IRQN
			}
		}

		Device (LNKD)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 4)
			Name (_PRS, ResourceTemplate () { Interrupt (, Level, ActiveHigh, Shared) { 5, 10, 11 } })
			Method (_STA, 0) { Return (LSTA (^^PCI0.LPC.PRQD)) }
			Method (_DIS, 0) { ^^PCI0.LPC.PRQD |= 0x80 }
			Method (_CRS, 0) { Return (LCRS (^^PCI0.LPC.PRQD)) }
			Method (_SRS, 1)
			{
				CreateDWordField (Arg0, 5, IRQN)
				^^PCI0.LPC.PRQD = IRQN
			}
		}

		Device (LNKE)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 5)
			Name (_PRS, ResourceTemplate () { Interrupt (, Level, ActiveHigh, Shared) { 5, 10, 11 } })
			Method (_STA, 0) { Return (LSTA (^^PCI0.LPC.PRQE)) }
			Method (_DIS, 0) { ^^PCI0.LPC.PRQE |= 0x80 }
			Method (_CRS, 0) { Return (LCRS (^^PCI0.LPC.PRQE)) }
			Method (_SRS, 1)
			{
				CreateDWordField (Arg0, 5, IRQN)
				^^PCI0.LPC.PRQE = IRQN
			}
		}

		Device (LNKF)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 6)
			Name (_PRS, ResourceTemplate () { Interrupt (, Level, ActiveHigh, Shared) { 5, 10, 11 } })
			Method (_STA, 0) { Return (LSTA (^^PCI0.LPC.PRQF)) }
			Method (_DIS, 0) { ^^PCI0.LPC.PRQF |= 0x80 }
			Method (_CRS, 0) { Return (LCRS (^^PCI0.LPC.PRQF)) }
			Method (_SRS, 1)
			{
				CreateDWordField (Arg0, 5, IRQN)
				^^PCI0.LPC.PRQF = IRQN
			}
		}

		Device (LNKG)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 7)
			Name (_PRS, ResourceTemplate () { Interrupt (, Level, ActiveHigh, Shared) { 5, 10, 11 } })
			Method (_STA, 0) { Return (LSTA (^^PCI0.LPC.PRQG)) }
			Method (_DIS, 0) { ^^PCI0.LPC.PRQG |= 0x80 }
			Method (_CRS, 0) { Return (LCRS (^^PCI0.LPC.PRQG)) }
			Method (_SRS, 1)
			{
				CreateDWordField (Arg0, 5, IRQN)
				^^PCI0.LPC.PRQG = IRQN
			}
		}

		Device (LNKH)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 8)
			Name (_PRS, ResourceTemplate () { Interrupt (, Level, ActiveHigh, Shared) { 5, 10, 11 } })
			Method (_STA, 0) { Return (LSTA (^^PCI0.LPC.PRQH)) }
			Method (_DIS, 0) { ^^PCI0.LPC.PRQH |= 0x80 }
			Method (_CRS, 0) { Return (LCRS (^^PCI0.LPC.PRQH)) }
			Method (_SRS, 1)
			{
				CreateDWordField (Arg0, 5, IRQN)
				^^PCI0.LPC.PRQH = IRQN
			}
		}

		/* What the interrupt links share: state and setting from a PIRQn_ROUT value. */
		Method (LSTA, 1)
		{
			If (Arg0 & 0x80) { Return (0x09) }
			Return (0x0B)
		}
		Name (LBUF, ResourceTemplate () { Interrupt (, Level, ActiveHigh, Shared) { 0 } })
		Method (LCRS, 1, Serialized)
		{
			CreateDWordField (LBUF, 5, IRQN)
			IRQN = 0
			If ((Arg0 & 0x80) == 0) { IRQN = Arg0 & 0x0F }
			Return (LBUF)
		}
	}
}
