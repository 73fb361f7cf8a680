# SPDX-License-Identifier: GPL-2.0-or-later
#
# Tests. Each tests/{unit,device,engine}/test_*.c is one program, linked with everything of the
# monitor and the devices but main, and with the helpers tests/device/fake_*.c and
# tests/engine/lib_*.c. Each tests/system/*.sh but lib.sh is a test of a whole
# machine, each tests/tools/check-* a check of the sources. Each tests/fuzz/fuzz_*.c is one fuzz target.

TEST_SRC := $(sort $(wildcard tests/unit/test_*.c tests/device/test_*.c tests/engine/test_*.c))
TEST_HELPER_SRC := $(sort $(wildcard tests/device/fake_*.c tests/engine/lib_*.c))
TEST_OBJ := $(call objects,$(TEST_SRC))
TEST_HELPER_OBJ := $(call objects,$(TEST_HELPER_SRC))
TEST_PROGRAMS := $(patsubst tests/%.c,$(O)/tests/%,$(TEST_SRC))
SYSTEM_TESTS := $(filter-out %/lib.sh,$(sort $(wildcard tests/system/*.sh)))
TOOL_CHECKS := $(sort $(wildcard tests/tools/check-*))
OBJECTS += $(TEST_OBJ) $(TEST_HELPER_OBJ)

TEST_INCLUDES := -Imonitor/include -Imonitor -Idevices -Itests -Itests/device -Itests/engine -I$(O)/gen
$(O)/obj/tests/%.o: INCLUDES = $(TEST_INCLUDES)

$(TEST_PROGRAMS): $(O)/tests/%: $(O)/obj/tests/%.o $(TEST_HELPER_OBJ) $(MONITOR_OBJ) $$(DEVICE_OBJ)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $^ $(TEST_LIBS) $(LIBS)

##: make tests        build the test programs
##: make check        build and run all tests (JOBS=n at a time)
##: make check-unit   its unit and device tests alone; check-engine, check-system, check-tools: more
.PHONY: tests check check-unit check-engine check-system check-tools
tests: $(TEST_PROGRAMS)

RUN_TESTS = python3 tests/tools/run-tests --out $(O) --mode $(MODE) $(if $(JOBS),--jobs $(JOBS))
UNIT_PROGRAMS := $(filter $(O)/tests/unit/% $(O)/tests/device/%,$(TEST_PROGRAMS))
ENGINE_PROGRAMS := $(filter $(O)/tests/engine/%,$(TEST_PROGRAMS))

check: all tests
	@$(RUN_TESTS) $(TEST_PROGRAMS) $(SYSTEM_TESTS) $(TOOL_CHECKS)
check-unit: $(UNIT_PROGRAMS)
	@$(RUN_TESTS) $(UNIT_PROGRAMS)
check-engine: $(ENGINE_PROGRAMS)
	@$(RUN_TESTS) $(ENGINE_PROGRAMS)
check-system: all
	@$(RUN_TESTS) $(SYSTEM_TESTS)
check-tools: all
	@$(RUN_TESTS) $(TOOL_CHECKS)

##: make fuzz         run every fuzz target for FUZZ_S seconds (default 10)
FUZZ_S ?= 10
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))

.PHONY: fuzz fuzz-run
ifneq ($(MODE),fuzz)
fuzz:
	@$(MAKE) MODE=fuzz fuzz-run
else
FUZZ_PROGRAMS := $(patsubst tests/fuzz/%.c,$(O)/tests/fuzz/%,$(FUZZ_SRC))
FUZZ_OBJ := $(call objects,$(FUZZ_SRC))
OBJECTS += $(FUZZ_OBJ)

# A target's entry point has no header of ours.
$(FUZZ_OBJ): AREA_CFLAGS = -Wno-missing-prototypes -Wno-missing-declarations

$(FUZZ_PROGRAMS): $(O)/tests/fuzz/%: $(O)/obj/tests/fuzz/%.o $(TEST_HELPER_OBJ) $(MONITOR_OBJ) $$(DEVICE_OBJ)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $^ $(TEST_LIBS) $(LIBS)

fuzz fuzz-run: $(FUZZ_PROGRAMS)
	@python3 tests/tools/run-fuzz --out $(O) --seconds $(FUZZ_S) $(if $(JOBS),--jobs $(JOBS)) $(FUZZ_PROGRAMS)
endif
