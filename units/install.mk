# SPDX-License-Identifier: MIT
#
# Installing, and building packages of what is installed. Included by the
# Makefile, whose GO, VERSION and build it uses.
#
# DESTDIR stages for a package: nothing of the running system is touched then.

PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR    := $(PREFIX)/lib/systemd/system
CATALOGDIR := $(PREFIX)/lib/systemd/catalog
MODULESDIR := $(PREFIX)/lib/modules-load.d
SYSUSERSDIR := $(PREFIX)/lib/sysusers.d
SHAREDIR   := $(PREFIX)/share

# The newest nfpm whose modules the Go module proxy has all of.
NFPM := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2

# v1.2.3-4-gabcdef, of git describe, is four commits after 1.2.3 and not before.
PACKAGE_VERSION := $(or $(shell git -c safe.directory='*' describe --tags --match 'v[0-9]*' 2>/dev/null | sed -E 's/^v//; s/-([0-9]+)-g/+\1.g/'),0.0.0+git)

DIST ?= dist

UNITS       := picket.service picket.socket picket-trap.socket picket-notify.service picket-report.service picket-report.timer \
	picket-metrics.service
COMPLETIONS := $(SHAREDIR)/bash-completion/completions/picket $(SHAREDIR)/zsh/site-functions/_picket \
	$(SHAREDIR)/fish/vendor_completions.d/picket.fish

.PHONY: install uninstall packages

install: build
	@umask 022; d='$(DESTDIR)'; \
	install -D -m 755 -t "$$d$(PREFIX)/bin" bin/picket; \
	for u in $(UNITS) notify-reload.conf; do \
		sed 's|/usr/bin/picket|$(PREFIX)/bin/picket|' units/$$u | install -D -m 644 /dev/stdin "$$d$(UNITDIR)/$$u"; \
	done; \
	install -d "$$d$(SHAREDIR)/picket"; mv "$$d$(UNITDIR)/notify-reload.conf" "$$d$(SHAREDIR)/picket/"; \
	install -D -m 644 -t "$$d$(CATALOGDIR)" units/picket.catalog; \
	install -D -m 644 units/picket.modules "$$d$(MODULESDIR)/picket.conf"; \
	install -D -m 644 units/picket.sysusers "$$d$(SYSUSERSDIR)/picket.conf"; \
	for m in docs/*.[1-9]; do \
		gzip -9nc $$m | install -D -m 644 /dev/stdin "$$d$(SHAREDIR)/man/man$${m##*.}/$${m##*/}.gz"; \
	done; \
	set -- bash zsh fish; for f in $(COMPLETIONS); do \
		bin/picket completion $$1 | install -D -m 644 /dev/stdin "$$d$$f"; shift; \
	done; \
	install -d "$$d$(SHAREDIR)/doc/picket/examples"; \
	cp -r examples/. "$$d$(SHAREDIR)/doc/picket/examples"; rm -f "$$d$(SHAREDIR)/doc/picket/examples/"*.go; \
	install -m 644 -t "$$d$(SHAREDIR)/doc/picket" README.md CHANGELOG.md; \
	install -m 644 LICENSE "$$d$(SHAREDIR)/doc/picket/copyright"; \
	install -d "$$d$(SYSCONFDIR)/picket"; \
	keep() { \
		if [ -z '$(DESTDIR)' ] && [ -e "$$1" ]; then echo "$$1 is kept as it is"; cat >/dev/null; \
		else install -m 644 /dev/stdin "$$1"; fi; \
	}; \
	keep "$$d$(SYSCONFDIR)/picket/picket.toml" < examples/picket.toml; \
	bin/picket ruleset --config examples/picket.toml | keep "$$d$(SYSCONFDIR)/picket/ruleset.nft"
	@[ -n '$(DESTDIR)' ] || [ ! -d /run/systemd/system ] || { \
		v=$$(systemctl --version | sed -nE '1s/^systemd ([0-9]+).*/\1/p'); \
		[ "$$v" -lt 253 ] || { install -d '$(UNITDIR)/picket.service.d'; ln -sf '$(SHAREDIR)/picket/notify-reload.conf' '$(UNITDIR)/picket.service.d/'; }; \
		systemctl daemon-reload; journalctl --update-catalog; \
		echo 'installed; to start it, now and at each boot: systemctl enable --now picket.service'; \
	}

# Configuration and state stay: they are not this command's to lose.
uninstall:
	@d='$(DESTDIR)'; \
	[ -n "$$d" ] || [ ! -d /run/systemd/system ] || systemctl disable --now $(UNITS) 2>/dev/null || true; \
	[ -n "$$d" ] || [ ! -x '$(PREFIX)/bin/picket' ] || '$(PREFIX)/bin/picket' remove || true; \
	rm -f "$$d$(PREFIX)/bin/picket" $(addprefix "$$d$(UNITDIR)"/,$(UNITS)) "$$d$(CATALOGDIR)/picket.catalog" "$$d$(MODULESDIR)/picket.conf" "$$d$(SYSUSERSDIR)/picket.conf" \
		"$$d$(SHAREDIR)"/man/man1/picket.1.gz "$$d$(SHAREDIR)"/man/man5/picket.toml.5.gz $(addprefix "$$d",$(COMPLETIONS)); \
	rm -rf "$$d$(SHAREDIR)/picket" "$$d$(SHAREDIR)/doc/picket" "$$d$(UNITDIR)/picket.service.d"
	@[ -n '$(DESTDIR)' ] || [ ! -d /run/systemd/system ] || { systemctl daemon-reload; journalctl --update-catalog; }
	@echo 'configuration ($(SYSCONFDIR)/picket) and state (/var/lib/picket) are kept'

packages: build
	@rm -rf '$(DIST)/root'; $(MAKE) install DESTDIR='$(DIST)/root' PREFIX=/usr
	@for p in deb rpm; do \
		ROOT='$(DIST)/root' PACKAGE_VERSION='$(PACKAGE_VERSION)' GOARCH=$$($(GO) env GOARCH) $(GO) run $(NFPM) package \
			--config units/package/nfpm.yaml --packager $$p --target '$(DIST)/' 2>&1 | { grep -vE '^using|^go: downloading' || true; }; \
	done; rm -rf '$(DIST)/root'
