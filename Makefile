# SPDX-License-Identifier: GPL-2.0-or-later
#
# The whole build, without recursion: each folder's build.mk is included and adds its files to
# the lists below. All outputs lie under o/$(MODE)/, so that modes stand side by side:
#
#   make                 the programs, in o/release/bin/
#   make MODE=asan       the same under a sanitizer, in o/asan/bin/ (configured when first used)
#   make check           build and run all tests; installs what is missing first
#   make V=1             show the commands
#
# 'make help' lists the targets.

##: make              build the programs into o/$(MODE)/bin; MODE=release, debug, asan, tsan
##: make clean        remove o/; distclean removes the configuration too

.DEFAULT_GOAL := all
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDEXPANSION:
# No generated file is "intermediate": make must not delete any.
.SECONDARY:
MAKEFLAGS += --no-builtin-rules --no-builtin-variables --no-print-directory
SHELL := /bin/sh

GOALS := $(or $(MAKECMDGOALS),all)

LAB_GOALS := $(filter bench check-lab check-lab-svm,$(GOALS))
ifneq ($(and $(filter check demo,$(GOALS))$(LAB_GOALS),$(if $(DEPS_READY),,x)),)

# 'make check', 'make demo' and their like work on a machine that has only git, make and gcc: the
# first pass installs what is missing, and the second, which sees it, does the work (on all
# processors, where the caller did not say on how many).
.NOTPARALLEL:
.PHONY: $(GOALS) setup-deps
$(GOALS): setup-deps
	@$(MAKE) $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$$(nproc)) DEPS_READY=1 $@
setup-deps:
	@installer/setup-deps $(if $(LAB_GOALS),--lab)

else

-include config.mk
MODE ?= release
O := o/$(MODE)

# Some targets need no configuration.
ifneq ($(filter-out clean distclean help uninstall $(if $(filter-out fuzz,$(MODE)),fuzz),$(GOALS)),)
CONFIGURED := 1
endif

ifneq ($(CONFIGURED),)
include $(O)/config.mk
endif

# configure leaves a file whose text stays the same alone, so a stamp says that it has run.
$(O)/config.mk: $(O)/configured ;
$(O)/configured: configure
	@./configure --mode=$(MODE) --mode-only $(if $(wildcard o/*/configured),--quiet) \
		$(if $(CONFIGURE_CC),--cc="$(CONFIGURE_CC)") \
		$(if $(CONFIGURE_PREFIX),--prefix="$(CONFIGURE_PREFIX)")

PREFIX ?= $(or $(CONFIGURE_PREFIX),/usr/local)
ifeq ($(CI),true)
WERROR := 1
endif

CSTD := -std=gnu11
CPPFLAGS := -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -include $(O)/config.h
CFLAGS := $(CSTD) $(MODE_CFLAGS) $(WARNINGS) $(if $(filter 1,$(WERROR)),-Werror) \
	-fno-strict-aliasing -fno-common -fwrapv -pthread
LDFLAGS := $(MODE_LDFLAGS) -pthread -Wl,--as-needed
LIBS := $(LIB_LIBS)

ifeq ($(V),1)
Q :=
say :=
else
Q := @
ifneq ($(findstring s,$(filter-out --%,$(firstword -$(MAKEFLAGS)))),)
say = @
else
say = @printf '  %-7s %s\n' '$(1)' '$(patsubst $(O)/%,%,$(2))';
endif
endif

# What the folders add:
ALL :=			# everything that plain 'make' builds
GEN_HEADERS :=		# generated headers, made before any object
OBJECTS :=		# every object, for its dependency file
TESTS :=		# test programs
PROGRAMS :=		# installed programs

objects = $(patsubst %.c,$(O)/obj/%.o,$(1))

include $(wildcard */build.mk)

.PHONY: all
all: $(ALL)

$(O)/obj/%.o: %.c $(O)/config.mk | $(GEN_HEADERS)
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(INCLUDES) $(LIB_CFLAGS) $(CFLAGS) $(AREA_CFLAGS) -MMD -MP -c -o $@ $<

-include $(OBJECTS:.o=.d)

.PHONY: clean distclean help
clean:
	rm -rf o

distclean: clean
	rm -f config.mk

help:
	@sed -n 's/^##: //p' Makefile */build.mk

endif
