# SPDX-License-Identifier: GPL-2.0-or-later
#
# The monitor, o/$(MODE)/bin/limen-vmm: all of monitor/ and devices/. Objects are linked as they
# are, not through an archive, because DEVICE_REGISTER only places a pointer into the section
# limen_devices and no symbol would pull a device out of an archive.

MONITOR_MAIN_SRC := $(sort $(wildcard monitor/main*.c))
MONITOR_SRC := $(sort $(filter-out monitor/main%,$(wildcard monitor/*.c monitor/*/*.c monitor/*/*/*.c)))
MONITOR_OBJ := $(call objects,$(MONITOR_SRC))
MONITOR_MAIN_OBJ := $(call objects,$(MONITOR_MAIN_SRC))
OBJECTS += $(MONITOR_OBJ) $(MONITOR_MAIN_OBJ)

$(O)/obj/monitor/%.o: INCLUDES = -Imonitor/include -Imonitor -I$(O)/gen

# The interpreter's speed is the product's speed where there is no virtualization.
$(O)/obj/monitor/softcpu/%.o: AREA_CFLAGS = $(if $(filter release,$(MODE)),-O3 -fno-plt -fno-stack-protector)

# ACPI tables: NAME.asl becomes o/$(MODE)/gen/NAME.hex.h with the array NAME_aml_code.
ASL_SRC := $(wildcard monitor/machine/acpi/*.asl)
ASL_HEADERS := $(patsubst %.asl,$(O)/gen/%.hex.h,$(notdir $(ASL_SRC)))
GEN_HEADERS += $(ASL_HEADERS)

$(O)/gen/%.hex.h: monitor/machine/acpi/%.asl
	@mkdir -p $(@D)
	$(call say,IASL,$<)iasl -vs -tc -p $(O)/gen/$* $< > $@.log || { cat $@.log >&2; exit 1; }
	@sed 's/^unsigned char/static const unsigned char/' $(O)/gen/$*.hex > $@

ifneq ($(MONITOR_MAIN_SRC),)
PROGRAMS += $(O)/bin/limen-vmm
ALL += $(O)/bin/limen-vmm
else
ALL += $(MONITOR_OBJ)
endif

$(O)/bin/limen-vmm: $(MONITOR_MAIN_OBJ) $(MONITOR_OBJ) $$(DEVICE_OBJ)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
