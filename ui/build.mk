# SPDX-License-Identifier: GPL-2.0-or-later
#
# What people see. The command, o/$(MODE)/bin/limen, is ui/cli; it knows the monitor only by its
# command line and its control socket.

CLI_SRC := $(sort $(wildcard ui/cli/*.c))
CLI_OBJ := $(call objects,$(CLI_SRC))
OBJECTS += $(CLI_OBJ)

$(O)/obj/ui/%.o: INCLUDES = -Iui -I$(dir $<)

ifneq ($(CLI_SRC),)
PROGRAMS += $(O)/bin/limen
ALL += $(O)/bin/limen
endif

$(O)/bin/limen: $(CLI_OBJ)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)
