# SPDX-License-Identifier: MIT
#
# Every target does all its own set-up: on Debian it installs what it needs and
# does not find. It needs Go, and root for all that touches the kernel.

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -ec
MAKEFLAGS += --no-print-directory

# sudo's path does not lead to a Go from go.dev.
GO := $(or $(shell command -v go),$(wildcard /usr/local/go/bin/go),$(wildcard /usr/lib/go/bin/go))
export PATH := $(PATH):$(patsubst %/,%,$(dir $(GO))):/usr/sbin:/sbin

# Inside somebody else's checkout git tells root nothing unless asked like this.
VERSION := $(or $(shell git -c safe.directory='*' describe --tags --always --dirty 2>/dev/null),unknown)
AXE := 4.14.1
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME ?= 10s
CHECKS ?= ../shared/checks

# Debian packages: what the lab runs, what the tests of the other rooms ask for
# a second opinion, and what ../shared/checks needs.
LAB_TOOLS   := iproute2 nftables nmap
KERN_TOOLS  := $(LAB_TOOLS) qemu-system-x86 kmod util-linux dpkg tar ipvsadm
TEST_TOOLS  := $(KERN_TOOLS) masscan zmap pnscan gcc libc6-dev git procps iputils-ping \
	systemd systemd-sysv systemd-container systemd-journal-remote dbus man-db python3 tcpd curl msmtp rpm alsa-utils chromium-headless-shell tmux tshark prometheus apt-utils gpg \
	podman netavark crun iperf3 iptables conntrack strace
CHECK_TOOLS := $(LAB_TOOLS) hping3 curl python3 git file
EVAL_TOOLS  := $(LAB_TOOLS) masscan zmap hping3 curl traceroute iputils-ping tcpdump python3 perl

# The lab is a Go module of its own: the product's go.mod holds none of its needs.
LAB := internal/lab

.PHONY: help build run test demo bench compare evaluate kernels soak fuzz lint check deps clean

help:
	@echo 'make build   bin/picket, static'
	@echo 'make run     build and run the daemon on its embedded default (root)'
	@echo 'make demo    a scan seen and blocked, inside network namespaces (root)'
	@echo 'make test    unit, fuzz seeds, race, lab; a skipped test is a failure (root)'
	@echo 'make bench   the measured figures (root)'
	@echo 'make compare PortSentry 1.2 and picket on the same scans, as tables (root)'
	@echo 'make evaluate   scans, ordinary life and peers: the table of the README, within 15 minutes (root)'
	@echo 'make kernels   the same on the kernels of Debian, each booted in an emulated machine (root)'
	@echo 'make soak    what happens to a daemon, at random, for SOAK=$(SOAK) (root)'
	@echo 'make fuzz    every fuzz target for FUZZTIME=$(FUZZTIME)'
	@echo 'make lint    gofmt, lines of 110 columns, vet, staticcheck'
	@echo 'make check   the black-box checks in $(CHECKS), where they are (root)'
	@echo 'make deps    install what the targets above use'
	@echo 'make install, make uninstall   with PREFIX=/usr/local and DESTDIR (root)'
	@echo 'make packages   dist/*.deb and dist/*.rpm'
	@echo 'make repo    dist/repo, an APT repository of them, signed with REPO_KEY=...'
	@echo 'make clean   remove what they built'

build: go
	@CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/picket ./cmd/picket

run: root build
	@exec bin/picket run

demo: root build
	@$(call install,$(LAB_TOOLS))
	@exec bin/picket demo

# Of go test's log only what a failed or skipped test said, what did not build,
# and a line for each package; the rest is in bin/test.log.
SUMMARY = awk '\
	/^\# / { build = 1 } \
	/^(=== |ok|FAIL|\?)/ { build = 0 } \
	build { print; next } \
	/^=== RUN +[^\/]*$$/ { said = ""; next } \
	/^=== / || /^ *--- PASS/ || /^PASS$$/ || /^\?/ { if (/^--- PASS/) said = ""; next } \
	/^ *--- (FAIL|SKIP)/ { printf "%s", said; print; said = ""; next } \
	/^ok/ { print; said = ""; next } \
	/^FAIL/ { printf "%s", said; print; said = ""; next } \
	{ said = said $$0 "\n" } \
	END { printf "%s", said }'

TESTFLAGS := -race -buildvcs=false -count=1 -timeout 18m -v

test deps: export PATH := $(CURDIR)/bin/fail2ban/usr/bin:$(CURDIR)/bin/crowdsec/usr/bin:$(PATH)
test deps: export PYTHONPATH := $(CURDIR)/bin/fail2ban/usr/lib/python3/dist-packages
test: root go
	@$(call install,$(TEST_TOOLS))
	@$(call unpacked,fail2ban,fail2ban-server)
	@$(call unpacked,crowdsec,crowdsec)
	@$(axe)
	@mkdir -p bin
	@echo 'unit, fuzz seeds, race and lab: a few minutes; the whole log is bin/test.log'
	@{ failed=; CGO_ENABLED=1 $(GO) test $(TESTFLAGS) ./... 2>&1 || failed=1; \
		CGO_ENABLED=1 $(GO) test -C $(LAB) $(TESTFLAGS) $$($(GO) list -C $(LAB) ./... | grep -v /kernels) 2>&1 || failed=1; \
		$(GO) test -C $(LAB) $(TESTFLAGS) ./kernels/... 2>&1 || failed=1; [ -z "$$failed" ]; } | tee bin/test.log | $(SUMMARY)
	@! grep -qE '^ *--- SKIP' bin/test.log || { echo 'a skipped test is a failure: see above' >&2; exit 1; }

# With PICKET_COMPARED=/path/to/another/picket both are measured, in turns.
bench: root go build
	@$(call install,$(EVAL_TOOLS) gcc libc6-dev)
	@$(GO) test -buildvcs=false -run '^$$' -bench . -benchmem ./...
	@echo 'reaction, hold and fire, in the lab, and the peers: a quarter of an hour; docs/performance.md gets the last two'
	@$(GO) test -C $(LAB) -buildvcs=false -run '^$$' -bench . -benchtime 1x -timeout 40m . | tee bin/bench.log
	@$(GO) run -C $(LAB) -buildvcs=false ./evaluate -cost -picket "$(CURDIR)/bin/picket" | tee -a bin/bench.log
	@grep -E '^(cpu:|BenchmarkFire|BenchmarkPeers)' bin/bench.log | $(GO) run -C $(LAB) -buildvcs=false ./performance -page $(CURDIR)/docs/performance.md

# PortSentry is unpacked, not installed, and runs in namespaces only.
compare: root build
	@$(call install,$(LAB_TOOLS) hping3 python3)
	@d=$$(mktemp -d); trap 'rm -rf "$$d"' EXIT; \
		(cd "$$d" && apt-get download -qq portsentry && dpkg -x portsentry_*.deb portsentry) 2>/dev/null || \
			{ echo 'no package portsentry: this needs Debian, and apt-get update' >&2; exit 1; }; \
		$(GO) run -C $(LAB) -buildvcs=false ./compare -picket "$(CURDIR)/bin/picket" -portsentry "$$d/portsentry" $(COMPARE)

# Its peers are unpacked into a folder, not installed, and gone afterwards. It
# fails when the table shows a scan missed or an innocent blocked.
evaluate: root build
	@$(call install,$(EVAL_TOOLS))
	@$(GO) run -C $(LAB) -buildvcs=false ./evaluate -picket "$(CURDIR)/bin/picket" -readme "$(CURDIR)/README.md"

# Fetched into bin/kernels, never installed. The test boots one; this all.
KERNELS ?= linux-image-amd64 linux-image-cloud-amd64 linux-image-6.12-amd64
kernels: root go
	@$(call install,$(KERN_TOOLS))
	@mkdir -p bin; echo 'a minute or two for each of $(KERNELS); the whole log is bin/kernels.log'
	@PICKET_KERNELS='$(KERNELS)' $(GO) test -C $(LAB) -buildvcs=false -count=1 -timeout 30m -v ./kernels 2>&1 | \
		tee bin/kernels.log | grep -E '^ok|FAIL|vmlinuz'

# At random, by a seed that it prints: SEED=... does the same once more.
SOAK ?= 10m
soak: root go
	@$(call install,$(LAB_TOOLS) util-linux)
	@echo 'a soak of $(SOAK); the whole log is bin/soak.log'; mkdir -p bin
	@SOAK=$(SOAK) $(GO) test -C $(LAB) -buildvcs=false -count=1 -timeout 24h -run '^TestSoak$$' -v . 2>&1 | \
		tee bin/soak.log | grep -E 'SEED|peak|^ok|FAIL|^ +soak_test.go:[0-9]+: [^ ]'

fuzz: go
	@for m in . $(LAB); do for p in $$($(GO) list -C $$m ./...); do \
		for f in $$($(GO) test -C $$m -buildvcs=false -list '^Fuzz' "$$p" | grep '^Fuzz' || true); do \
			echo "$$p $$f for $(FUZZTIME)"; \
			$(GO) test -C $$m -buildvcs=false -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) "$$p"; \
		done; \
	done; done

lint: go
	@echo gofmt; bad=$$(gofmt -l $$(git -c safe.directory='*' ls-files '*.go')); [ -z "$$bad" ] || { echo "not gofmt'd: $$bad" >&2; exit 1; }
	@echo 'lines of at most 110 columns'; long=$$(git -c safe.directory='*' ls-files '*.go' | while read -r f; do \
		expand -t4 "$$f" | LC_ALL=C.UTF-8 grep -nE '^.{111}' | sed -E "s|^([0-9]+):.*|$$f:\1|" || true; done); \
		[ -z "$$long" ] || { echo "too long: $$long" >&2; exit 1; }
	@echo vet; $(GO) vet ./...; $(GO) vet -C $(LAB) ./...
	@echo staticcheck; d=$$(mktemp -d); trap 'rm -rf "$$d"' EXIT; GOBIN="$$d" $(GO) install $(STATICCHECK); \
		"$$d"/staticcheck -checks all ./...; cd $(LAB); "$$d"/staticcheck -checks all ./...

check: root
	@[ -d $(CHECKS) ] || { echo "make check: there is no $(CHECKS) here" >&2; exit 1; }
	@$(call install,$(CHECK_TOOLS))
	@failed=; for c in $(CHECKS)/*; do \
		case "$$c" in *.py|*.md) continue;; esac; [ -x "$$c" ] || continue; \
		printf '%s: ' "$${c##*/}"; "$$c" 2>&1 | tail -n 1 || failed="$$failed $${c##*/}"; \
	done; [ -z "$$failed" ] || { echo "failed:$$failed" >&2; exit 1; }

deps: root go
	@$(call install,$(sort $(TEST_TOOLS) $(CHECK_TOOLS) $(EVAL_TOOLS)))
	@$(call unpacked,fail2ban,fail2ban-server)
	@$(call unpacked,crowdsec,crowdsec)
	@$(axe)
	@$(GO) mod download; cd $(LAB); $(GO) mod download

clean:
	@rm -rf bin dist

include units/install.mk

# install installs the Debian packages that are missing, and says which. None of
# their services is started (SYSTEMD_OFFLINE: systemctl does as in a chroot). A
# policy-rc.d would do the same, and go on doing it if this were interrupted.
define install
	missing=; for p in $(1); do \
		[ "$$(dpkg-query -W -f='$${db:Status-Status}' "$$p" 2>/dev/null)" = installed ] || missing="$$missing $$p"; \
	done; \
	[ -z "$$missing" ] || { \
		command -v apt-get >/dev/null || { echo "install these first, this is no Debian:$$missing" >&2; exit 1; }; \
		echo "installing$$missing"; \
		ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || apt-get update -qq; \
		export DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1; get="apt-get install -o DPkg::Lock::Timeout=120 -qq -y --no-install-recommends $$missing"; \
		said=$$($$get 2>&1) || { apt-get update -qq && said=$$($$get 2>&1); } || { echo "$$said" >&2; exit 1; }; \
	}
endef

# unpacked unpacks a package into bin, where there is no such program: installed,
# fail2ban and crowdsec would watch this machine's own logs and change its
# ruleset, now and after each boot.
define unpacked
	command -v $(2) >/dev/null || { \
		echo 'unpacking $(1) into bin/$(1)'; \
		mkdir -p bin; d=$$(mktemp -d bin/fetch.XXXXXX); trap 'rm -rf "$$d"' EXIT; \
		get() { (cd "$$d" && apt-get download -qq $(1) 2>&1); }; \
		said=$$(get) || { apt-get update -qq && said=$$(get); } || { echo "$$said" >&2; exit 1; }; \
		dpkg -x "$$d"/$(1)_*.deb "$$d/root"; mv -T "$$d/root" bin/$(1); \
	}
endef

# axe unpacks axe-core, by which a browser tells whether a page is accessible.
define axe
	[ -e bin/axe/package/axe.min.js ] || { \
		command -v npm >/dev/null || { $(call install,npm); }; \
		echo 'unpacking axe-core $(AXE) into bin/axe'; \
		mkdir -p bin/axe; (cd bin/axe && npm pack --silent axe-core@$(AXE) >/dev/null && tar xzf axe-core-$(AXE).tgz && rm axe-core-$(AXE).tgz); \
	}
endef

.PHONY: root go
root:
	@[ "$$(id -u)" = 0 ] || { echo 'this needs root, for the kernel: sudo make $(firstword $(MAKECMDGOALS))' >&2; exit 1; }

# Go 1.21 and later fetch the toolchain that go.mod names, unless they are told
# not to, as Debian's are; older ones cannot read the file.
GO_NEEDED := $(shell sed -nE 's/^go ([0-9]+\.[0-9]+).*/\1/p' go.mod)
GO_FOUND  := $(if $(GO),$(shell cd / && GOTOOLCHAIN=local $(GO) version | sed -nE 's/.* go([0-9]+\.[0-9]+).*/\1/p'))
older = $(filter $(1),$(filter-out $(2),$(firstword $(shell printf '%s\n' $(1) $(2) | sort -V))))
ifneq ($(call older,$(GO_FOUND),$(GO_NEEDED)),)
export GOTOOLCHAIN := auto
endif

go:
	@[ -n "$(GO)" ] || { echo 'this needs Go $(GO_NEEDED) or newer, and there is none. $(GO_WHERE)' >&2; exit 1; }
	@[ -z '$(call older,$(GO_FOUND),1.21)' ] || { echo 'this needs Go $(GO_NEEDED) or newer, and $(GO) is $(GO_FOUND). $(GO_WHERE)' >&2; exit 1; }

GO_WHERE := Debian has one that fetches it by itself (apt install golang-go on Debian 13, \
apt install -t bookworm-backports golang-go on 12: https://backports.debian.org); \
or unpack the one of https://go.dev/dl/ to /usr/local/go, where make finds it
