# SPDX-License-Identifier: GPL-2.0-or-later
#
# Installing, and the targets that are a script of their own.

##: make demo         boot a small Linux in the terminal; KEEP=1 leaves its shell open
##: make bench        boot time beside QEMU's; bench-cpu, bench-io, bench-display, bench-lab
##: make check-lab    tests in a machine with AMD-V (check-lab-svm) or VT-x (check-lab-vmx)
##: make deb          the Debian package
# script_target NAME, SCRIPT, WHAT: runs the script, or says in one line that there is none yet. A
# script that cannot run here says why and exits with 77.
define script_target
.PHONY: $(1)
$(1): $(if $(wildcard $(2)),all)
	@if [ -x $(2) ]; then \
		LIMEN_BIN=$(abspath $(O))/bin LIMEN_OUT=$(abspath $(O)) LIMEN_MODE=$(MODE) $(2); \
		status=$$$$?; [ $$$$status = 77 ] || exit $$$$status; \
	else \
		echo "make $(1): $(3) is not built yet" >&2; exit 2; \
	fi
endef

$(eval $(call script_target,demo,installer/demo,the demonstration))
$(eval $(call script_target,bench,tests/bench/boot.sh,the boot benchmark))
$(eval $(call script_target,bench-cpu,tests/bench/cpu.sh,the processor benchmark))
$(eval $(call script_target,bench-io,tests/bench/io.sh,the disk and network benchmark))
$(eval $(call script_target,bench-display,tests/bench/display.sh,the display benchmark))
$(eval $(call script_target,bench-lab,tests/bench/lab.sh,the benchmark in the lab))
$(eval $(call script_target,check-lab-svm,tests/lab/check-svm,the AMD-V lab))
$(eval $(call script_target,check-lab-vmx,tests/lab/check-vmx,the VT-x lab))
$(eval $(call script_target,deb,installer/build-deb,the Debian package))

# Every lab that there is; the first one stands for all while there is none.
LABS := $(patsubst tests/lab/check-%,check-lab-%,$(wildcard tests/lab/check-svm tests/lab/check-vmx))
.PHONY: check-lab
check-lab: $(or $(LABS),check-lab-svm)

##: make install      into PREFIX (./configure --prefix, default /usr/local), below DESTDIR
##: make uninstall    take out what install put there
BIN_DIR = $(DESTDIR)$(PREFIX)/bin
MAN_DIR = $(DESTDIR)$(PREFIX)/share/man/man1
DOC_DIR = $(DESTDIR)$(PREFIX)/share/doc/limen
INSTALLED_PROGRAMS := limen limen-vmm
INSTALLED_MANUALS := $(notdir $(wildcard docs/*.1))
INSTALLED_DOCS := README.md LICENSE $(wildcard docs/*.md)

.PHONY: install uninstall
install: all
	install -d $(BIN_DIR) $(MAN_DIR) $(DOC_DIR)
	install -m 755 $(PROGRAMS) $(BIN_DIR)
	install -m 644 $(addprefix docs/,$(INSTALLED_MANUALS)) $(MAN_DIR)
	install -m 644 $(INSTALLED_DOCS) $(DOC_DIR)

# Below a DESTDIR the folders go too once they are empty; on a real system they may be anyone's.
uninstall:
	rm -f $(addprefix $(BIN_DIR)/,$(INSTALLED_PROGRAMS)) $(addprefix $(MAN_DIR)/,$(INSTALLED_MANUALS))
	rm -f $(addprefix $(DOC_DIR)/,$(notdir $(INSTALLED_DOCS)))
	[ ! -d $(DOC_DIR) ] || rmdir --ignore-fail-on-non-empty $(DOC_DIR)
	[ -z "$(DESTDIR)" ] || [ ! -d "$(DESTDIR)" ] || find $(DESTDIR) -depth -type d -empty -delete
