// SPDX-License-Identifier: MIT

package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestActionFaults(t *testing.T) {
	const file = `[tcp]
action = "run"
preset = "anal"
[udp]
preset = "aware"
[ip]
preset = "aware"
[run]
command = []
end = ["true", "$TARGET$"]
when = "during"
timeout = "2h"
parallel = 0
queue = 100000
[route]
type = "reject"
table = 254
priority = 40000
[hosts_deny]
line = "deny them"
file = "hosts.deny"
[history]
file = "/var/log/x"
blocked = "/var/log/x"
format = "xml"
[resolve]
timeout = "1ms"
keep = 3
[hosts_denied]
`
	_, err := Parse("p.toml", []byte(file))
	want := []string{
		`p.toml:2: tcp.action: is "run", and there is nothing to run: set run.command`,
		`p.toml:3: tcp.preset: is "anal": want "" or "aware" or "bare-bones"`,
		`p.toml:7: ip.preset: is unknown`,
		`p.toml:10: run.end: command "true": the program must be a full path`,
		`p.toml:11: run.when: is "during": want "after" or "before"`,
		`p.toml:12: run.timeout: is "2h": want 1s to 1h`,
		`p.toml:13: run.parallel: is 0: want a whole number, 1 to 64`,
		`p.toml:14: run.queue: is 100000: want a whole number, 1 to 65536`,
		`p.toml:16: route.type: is "reject": want "" or "unreachable" or "blackhole" or "prohibit"`,
		`p.toml:17: route.table: route table 254: a number from 1, other than 253 to 255`,
		`p.toml:18: route.priority: is 40000: want a whole number, 1 to 32765`,
		`p.toml:20: hosts_deny.line: hosts.deny line "deny them": there must be a $TARGET$ in it`,
		`p.toml:21: hosts_deny.file: is "hosts.deny": want a full path`,
		`p.toml:24: history.blocked: is the history file too`,
		`p.toml:25: history.format: is "xml": want "json" or "portsentry-1" or "portsentry-2" or "eve"`,
		`p.toml:27: resolve.timeout: is "1ms": want 100ms to 1m`,
		`p.toml:28: resolve.keep: is a whole number: want a duration in quotes`,
		`p.toml:29: hosts_denied: is unknown: did you mean "hosts_deny"?`,
	}
	if err == nil {
		t.Fatal("no error")
	}
	got := strings.Split(err.Error(), "\n")
	if len(got) != len(want) {
		t.Errorf("%d faults, want %d:\n%s", len(got), len(want), err)
	}
	for i := range min(len(got), len(want)) {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("fault %d\ngot  %s\nwant %s", i, got[i], want[i])
		}
	}
}

// TestPreset: a preset takes the place of the default lists, and the file's own
// lists add to it.
func TestPreset(t *testing.T) {
	c, err := Parse("p.toml", []byte("[tcp]\npreset = \"bare-bones\"\nstealth = \"2,65535\"\n"+
		"exclude = \"22\"\n[udp]\npreset = \"web-server\"\nmodes = []\n"))
	if err != nil {
		t.Fatal(err)
	}
	const bare = "11,15,110-111,143,540,635,1080,1524,2000,12345-12346,20034,32771-32774,49724,54320"
	if got := c.TCP.Stealth.String(); got != "1-2,"+bare+",65535" {
		t.Errorf("stealth %s", got)
	}
	if got := c.TCP.Classic.String(); got != "1,11,15,110-111,143,540" {
		t.Errorf("classic %s", got)
	}
	if got := c.TCP.Exclude.String(); got != "22,113,139" {
		t.Errorf("exclude %s", got)
	}
	if diff := cmp.Diff(Default().TCP.Trigger, c.TCP.Trigger); diff != "" {
		t.Errorf("a preset is of ports alone:\n%s", diff)
	}
	if c.UDP.Modes != 0 || c.Elements().StealthUDP != nil || len(c.UDP.Stealth) == 0 {
		t.Errorf("no modes must watch nothing: %+v", c.UDP)
	}
}

// TestHostFaults: a fault of the host is a warning with its line, and a missing
// ignore list keeps the daemon from running.
func TestHostFaults(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "ignore")
	text := "[ignore]\nfiles = [" + `"` + missing + `"` + "]\n[run]\ncommand = [\"/nonexistent/program\"]\n"
	c, err := Parse("p.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) != 2 || c.Warnings[0].Line != 2 || c.Warnings[0].Key != "ignore.files" ||
		c.Warnings[1].Line != 4 || !strings.Contains(c.Warnings[1].Problem, "no such file") {
		t.Errorf("warnings:\n%v", c.Warnings)
	}
	if err := c.Runnable(); !errors.As(err, new(Faults)) ||
		!strings.HasPrefix(err.Error(), "p.toml:2: ignore.files: ") {
		t.Errorf("without its ignore list picket must not run: %v", err)
	}
	if err := os.WriteFile(missing, []byte("192.0.2.9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err = Parse("p.toml", []byte(text)); err != nil || c.Runnable() != nil ||
		len(c.Ignore.Addresses) != 1 {
		t.Errorf("%v, %v", err, c)
	}
	if err := os.WriteFile(missing, []byte("192.0.2.9\n192.0.2.x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = Parse("p.toml", []byte(text)); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a bad line in an ignore list: %v", err)
	}
}
