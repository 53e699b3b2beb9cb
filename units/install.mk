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
# Without a tag it is what CHANGELOG has on top, or comes first, counted in
# commits, so that each build is newer than those before; one of a tree with
# changes, in seconds besides. 0.1.0-393 is sorted before 0.1.0.
GIT := git -c safe.directory='*'
NEXT_VERSION := $(or $(shell sed -nE 's/^\#\# v?([0-9]+\.[0-9]+\.[0-9]+).*/\1/p; T; q' CHANGELOG.md),0.1.0)
CHANGED := $(shell [ -z "$$($(GIT) status --porcelain --untracked-files=no 2>&1)" ] || date -u +.%Y%m%d%H%M%S)
PACKAGE_VERSION := $(or \
	$(shell $(GIT) describe --tags --match 'v[0-9]*' 2>/dev/null | sed -E 's/^v//; s/-([0-9]+)-g/+\1.g/'),\
	$(NEXT_VERSION)-$(or $(shell $(GIT) rev-list --count HEAD 2>/dev/null),0)$(CHANGED)+$(or $(shell $(GIT) rev-parse --short HEAD 2>/dev/null),tree))

DIST ?= dist

# For an APT repository: where it is made, and the key that signs it, by any
# name that gpg knows.
REPO     ?= $(DIST)/repo
REPO_KEY ?=

UNITS       := picket.service picket.socket picket-trap.socket picket-notify.service picket-report.service picket-report.timer \
	picket-metrics.service
COMPLETIONS := $(SHAREDIR)/bash-completion/completions/picket $(SHAREDIR)/zsh/site-functions/_picket \
	$(SHAREDIR)/fish/vendor_completions.d/picket.fish

.PHONY: install uninstall packages repo

install: build
	@umask 022; d='$(DESTDIR)'; \
	install -D -m 755 -t "$$d$(PREFIX)/bin" bin/picket; \
	for u in $(UNITS); do \
		sed 's|/usr/bin/picket|$(PREFIX)/bin/picket|' units/$$u | install -D -m 644 /dev/stdin "$$d$(UNITDIR)/$$u"; \
	done; \
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
	cp -r examples/. "$$d$(SHAREDIR)/doc/picket/examples"; rm -rf "$$d$(SHAREDIR)/doc/picket/examples/"*.go "$$d$(SHAREDIR)/doc/picket/examples/testdata"; \
	install -m 644 -t "$$d$(SHAREDIR)/doc/picket" README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE; \
	install -D -m 644 -t "$$d$(SHAREDIR)/doc/picket/docs" docs/*.md; \
	install -m 644 LICENSE "$$d$(SHAREDIR)/doc/picket/copyright"; \
	install -D -m 644 -t "$$d$(SHAREDIR)/picket" units/package/defaults-*.toml units/package/package.sh; \
	install -d "$$d$(SYSCONFDIR)/picket/picket.d"
	@[ -n '$(DESTDIR)' ] || [ ! -d /run/systemd/system ] || { \
		systemd-sysusers '$(SYSUSERSDIR)/picket.conf'; \
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
	rm -rf "$$d$(SHAREDIR)/picket" "$$d$(SHAREDIR)/doc/picket"
	@[ -n '$(DESTDIR)' ] || [ ! -d /run/systemd/system ] || { systemctl daemon-reload; journalctl --update-catalog; }
	@echo 'configuration ($(SYSCONFDIR)/picket) and state (/var/lib/picket) are kept'

packages: VERSION := $(PACKAGE_VERSION)
packages: build
	@rm -rf '$(DIST)/root'; $(MAKE) install DESTDIR='$(DIST)/root' PREFIX=/usr
	@for p in deb rpm; do \
		ROOT='$(DIST)/root' PACKAGE_VERSION='$(PACKAGE_VERSION)' GOARCH=$$($(GO) env GOARCH) $(GO) run $(NFPM) package \
			--config units/package/nfpm.yaml --packager $$p --target '$(DIST)/' 2>&1 | { grep -vE '^using|^go: downloading' || true; }; \
	done; rm -rf '$(DIST)/root'

# A folder to copy to any web server, or to name as file:/... in a source of apt:
# one suite, "stable", with everything that dist has. Without a key it is made
# unsigned, and apt then asks for [trusted=yes].
repo:
	@ls '$(DIST)'/*.deb >/dev/null 2>&1 || $(MAKE) packages
	@$(call install,apt-utils $(if $(REPO_KEY),gpg))
	@rm -rf '$(REPO)'; install -d '$(REPO)/pool' '$(REPO)/dists/stable/main'; cp '$(DIST)'/*.deb '$(REPO)/pool/'; \
	cd '$(REPO)'; architectures=; for deb in pool/*.deb; do \
		a=$$(dpkg-deb --field "$$deb" Architecture); case " $$architectures " in *" $$a "*) ;; *) architectures="$$architectures $$a";; esac; \
	done; \
	for a in $$architectures; do \
		d="dists/stable/main/binary-$$a"; mkdir -p "$$d"; \
		apt-ftparchive --arch "$$a" packages pool > "$$d/Packages"; gzip -9nk "$$d/Packages"; \
	done; \
	apt-ftparchive -o APT::FTPArchive::Release::Origin=picket -o APT::FTPArchive::Release::Label=picket \
		-o APT::FTPArchive::Release::Suite=stable -o APT::FTPArchive::Release::Codename=stable \
		-o APT::FTPArchive::Release::Components=main -o APT::FTPArchive::Release::Architectures="$${architectures# }" \
		release dists/stable > Release; mv Release dists/stable/Release; \
	if [ -n '$(REPO_KEY)' ]; then \
		gpg --batch --yes --local-user '$(REPO_KEY)' --clearsign --output dists/stable/InRelease dists/stable/Release; \
		gpg --batch --yes --local-user '$(REPO_KEY)' --armor --detach-sign --output dists/stable/Release.gpg dists/stable/Release; \
		gpg --batch --yes --export '$(REPO_KEY)' > picket.gpg; \
	else echo 'not signed: make repo REPO_KEY=...'; fi
