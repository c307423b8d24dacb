# SPDX-License-Identifier: GPL-2.0
# nvtgt: an NVMe over Fabrics target for the Linux kernel
#
#   make                  modules for the running kernel, and the tools
#   make modules KDIR=…   modules for the kernel whose headers are in KDIR
#   make install          modules, tools, man pages, unit (DESTDIR, PREFIX)
#   make version          the version, which stands in dkms.conf
#   make help             the rest

KVER ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KVER)/build
PREFIX ?= /usr
# the release that the headers are for, which is where the modules go
KREL := $(or $(shell sed -n 's/.*UTS_RELEASE "\(.*\)".*/\1/p' \
	$(KDIR)/include/generated/utsrelease.h 2>/dev/null),$(KVER))

export NVTGT_SRC := $(CURDIR)
COMPAT_GEN := drivers/compat/generated/$(KREL)

# W=1 and C=1 reach kbuild by themselves, as variables of the command line
KBUILD = $(MAKE) -C $(KDIR) M=$(CURDIR) NVTGT_COMPAT=$(CURDIR)/$(COMPAT_GEN)

all: modules tools

modules: $(COMPAT_GEN)/nvtgt_compat_config.h
	+$(KBUILD) modules

$(COMPAT_GEN)/nvtgt_compat_config.h: drivers/compat/probe drivers/compat/probes
	+drivers/compat/probe "$(KDIR)" "$@"

tools:
	+$(MAKE) -C tools

modules_install: modules
	+$(KBUILD) modules_install INSTALL_MOD_DIR=updates $(if $(DESTDIR),INSTALL_MOD_PATH=$(DESTDIR))

tools_install: tools
	+$(MAKE) -C tools install DESTDIR=$(DESTDIR) PREFIX=$(PREFIX)

install: modules_install tools_install
	$(if $(DESTDIR),,depmod $(KREL))

uninstall:
	+$(MAKE) -C tools uninstall DESTDIR=$(DESTDIR) PREFIX=$(PREFIX)
	rm -f $(addprefix $(DESTDIR)/lib/modules/$(KREL)/updates/, \
		$(foreach d,core/nvtgt tcp/nvtgt-tcp rdma/nvtgt-rdma bdev/nvtgt-bdev null/nvtgt-null loop/nvtgt-loop vfu/nvtgt-vfu, \
		$(addprefix drivers/$(d).ko,"" .xz .gz .zst)))
	$(if $(DESTDIR),,depmod $(KREL))

clean:
	-[ ! -d $(KDIR) ] || $(MAKE) -C $(KDIR) M=$(CURDIR) clean
	-$(MAKE) -C tools clean
	rm -rf drivers/compat/generated

demo:
	tests/demo

check:
	tests/run

bench:
	tests/perf/bench

version:
	@sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf

help:
	@echo 'all modules tools install modules_install tools_install uninstall clean version'
	@echo 'demo   a target that serves a stock host, in a guest'
	@echo 'check  the tests (tests/run --help for more)'
	@echo 'bench  CPU time per I/O beside that of the kernel'"'"'s own target (tests/perf/bench --help)'

.PHONY: all modules tools install modules_install tools_install uninstall clean demo check bench version help
