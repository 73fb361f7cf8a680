# SPDX-License-Identifier: GPL-2.0-or-later
#
# Device models. A device sees monitor/include and its own folder, nothing else.

DEVICE_SRC := $(sort $(wildcard devices/*/*.c devices/*/*/*.c))
DEVICE_OBJ := $(call objects,$(DEVICE_SRC))
OBJECTS += $(DEVICE_OBJ)
ALL += $(DEVICE_OBJ)

$(O)/obj/devices/%.o: INCLUDES = -Imonitor/include -I$(dir $<) -I$(O)/gen
