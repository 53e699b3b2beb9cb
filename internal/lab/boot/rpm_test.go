// SPDX-License-Identifier: MIT

package boot

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRPM follows the .rpm from installation to removal, under the real systemd and with the
// real rpm: its scripts do the same as those of the .deb.
func TestRPM(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	s := &story{t: t, ctx: ctx}
	var rpms []string
	for _, version := range []string{"0.0.9", "0.1.0"} {
		dist := filepath.Join(t.TempDir(), version)
		s.local("make", "-C", "../../..", "packages", "DIST="+dist, "PACKAGE_VERSION="+version)
		found, err := filepath.Glob(filepath.Join(dist, "*.rpm"))
		if err != nil || len(found) != 1 {
			t.Fatalf("packages of version %s: %q, %v", version, found, err)
		}
		rpms = append(rpms, found...)
	}
	s.prepare()
	s.local("cp", rpms[0], s.Path("/root/0.rpm"))
	s.local("cp", rpms[1], s.Path("/root/1.rpm"))
	if err := s.Boot(ctx); err != nil {
		t.Fatal(err)
	}
	// rpm does not know Debian's packages.
	rpm := func(args ...string) string {
		return s.run("sh", append([]string{"-c", `exec rpm --nodeps "$@" 2>&1`, "sh"}, args...)...)
	}
	running := func() {
		t.Helper()
		units := []string{"picket.socket", "picket-trap.socket", "picket.service", "picket-report.timer"}
		if out := s.try("systemctl", append([]string{"is-active"}, units...)...); out !=
			strings.Repeat("active\n", len(units)) {
			t.Errorf("systemctl is-active says\n%s", out)
		}
		units = append(units, "picket-notify.service") // it ends at once if nobody is to be notified
		if out := s.try("systemctl", append([]string{"is-enabled"}, units...)...); out !=
			strings.Repeat("enabled\n", len(units)) {
			t.Errorf("systemctl is-enabled says\n%s", out)
		}
	}

	if out := rpm("--install", "/root/0.rpm"); !strings.Contains(out, "picket top") {
		t.Errorf("installed, it says:\n%s", out)
	}
	running()
	s.run("id", "picket-notify")
	s.scanned("198.51.100.9")

	// After an upgrade, a file of version 0.0 still has its effect, and the include is renewed.
	const mine = "# mine\ndry_run = false\n"
	s.configure(mine)
	s.run("sh", "-c", "picket ruleset | sed 's/counter/counter # of old/' >/etc/picket/ruleset.nft")
	s.run("rm", "/usr/share/picket/defaults-0.0.toml")
	if out := rpm("--upgrade", "/root/1.rpm"); !strings.Contains(out, "00-upgrade.toml") {
		t.Errorf("upgraded, it says:\n%s", out)
	}
	running()
	if b, err := os.ReadFile(s.Path("/etc/picket/picket.toml")); string(b) != mine {
		t.Errorf("the configuration is now %q, %v", b, err)
	}
	if out := s.run("picket", "check", "--json"); !strings.Contains(out, `"advanced": "1-1023"`) {
		t.Errorf("after the upgrade:\n%s", out)
	}
	if out := s.run("cat", "/etc/picket/ruleset.nft"); strings.Contains(out, "# of old") {
		t.Error("the include is the old one")
	}
	if out := s.run("rpm", "--query", "picket"); !strings.HasPrefix(out, "picket-0.1.0") {
		t.Errorf("after the upgrade, rpm has %s", out)
	}

	if out := rpm("--erase", "picket"); !strings.Contains(out, "are kept") {
		t.Errorf("removed, it says:\n%s", out)
	}
	if out, err := s.Run(ctx, "nft", "list", "table", "inet", "picket"); err == nil {
		t.Errorf("the table is left:\n%s", out)
	}
	left, err := s.Run(ctx, "sh", "-c", `ls -d /usr/bin/picket /run/picket /etc/picket/ruleset.nft \
		/usr/lib/systemd/system/picket* /etc/systemd/system/*/picket* 2>/dev/null`)
	if err == nil {
		t.Errorf("left:\n%s", left)
	}
	if out := s.run("cat", "/etc/picket/picket.toml"); out != mine {
		t.Errorf("the administrator's file is %q", out)
	}

	out := s.run("sh", "-c", "PICKET_TRIAL=1 rpm --nodeps --install /root/1.rpm 2>&1")
	if !strings.Contains(out, "a trial, which") {
		t.Errorf("installed with a trial, it says:\n%s", out)
	}
	if out := s.run("picket", "status"); !strings.Contains(out, "dry run") {
		t.Errorf("installed with a trial:\n%s", out)
	}
}
