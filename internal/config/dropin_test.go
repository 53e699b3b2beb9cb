// SPDX-License-Identifier: MIT

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// write makes files by name in dir, and their directories.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDropIns: files are read in the order of their names; a later key replaces
// an earlier one; friends and lists add up.
func TestDropIns(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"picket.toml": `
[tcp]
trigger = { stealth = 3, advanced = 4 }
stealth = "1"
[ignore]
addresses = ["192.0.2.1"]
[block]
for = ["1h", "2h"]
[[known]]
name = "a"
policy = "log"
addresses = ["198.51.100.1"]
`,
		"picket.d/20-later.toml": "[tcp]\ntrigger = 7\n[ignore]\nown = false\n",
		"picket.d/10-first.toml": "tcp.trigger.stealth = 5\ntcp.stealth = \"2\"\n[ignore]\n" +
			"addresses = [\"192.0.2.2\"]\n[block]\nunproven_for = [\"1m\"]\n[[known]]\nname = \"b\"\n" +
			"policy = \"block\"\naddresses = [\"198.51.100.2\"]\n",
		"picket.d/30-off.toml.bak":  "nonsense",
		"picket.d/.30-editor.toml":  "nonsense",
		"elsewhere/40-not-me.toml":  "nonsense",
		"picket.d/sub/50-deep.toml": "nonsense",
	})
	path := filepath.Join(dir, "picket.toml")
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{dir + "/picket.d/10-first.toml", dir + "/picket.d/20-later.toml"},
		c.DropIns); diff != "" || c.File != path {
		t.Errorf("%s and drop-ins (-want +got):\n%s", c.File, diff)
	}
	if c.TCP.Trigger[1] != 7 || c.TCP.Trigger[2] != 7 || c.TCP.Trigger[3] != 7 ||
		c.TCP.Stealth.String() != "2" {
		t.Errorf("a later key does not count: %+v", c.TCP)
	}
	if len(c.Ignore.Addresses) != 2 || c.Ignore.Own || len(c.Known) != 2 || c.Known[1].Name != "b" {
		t.Errorf("friends and lists do not add up: %+v, %+v", c.Ignore, c.Known)
	}
	if len(c.Block.For) != 2 || Duration(c.Block.UnprovenFor[0]).String() != "1m" {
		t.Errorf("keys of one table in two files: %+v", c.Block)
	}
}

// TestDropInFaults: each fault has its file and line.
func TestDropInFaults(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"picket.toml": "[ignore]\naddresses = [\n  \"192.0.2.x\",\n  \"192.0.2.1\",\n]\n[[known]]\n" +
			"name = \"a\"\npolicy = \"log\"\naddresses = [\"192.0.2.1\"]\n[tcp]\nmodes = [\"classic\"]\n",
		"picket.d/a.toml": "[ignore]\naddresses = [\"192.0.2.2\",\n7,\n  \"gw\" ]\n\n[[known]]\n" +
			"name = \"a\"\npolicy = \"log\"\naddresses = [\"192.0.2.1\",\n\"b\"]\n" +
			"[tcp]\nmodes = [\"stealthy\"]\n",
	})
	_, err := Load(filepath.Join(dir, "picket.toml"))
	want := []string{
		`picket.toml:3: ignore.addresses: "192.0.2.x" is a name`,
		`picket.d/a.toml:3: ignore.addresses: holds a whole number`,
		`picket.d/a.toml:4: ignore.addresses: "gw" is a name`,
		`picket.d/a.toml:7: known.name: is "a", and so is another one's`,
		`picket.d/a.toml:10: known.addresses: "b" is a name`,
		`picket.d/a.toml:12: tcp.modes: holds "stealthy"`,
	}
	prefixed(t, dir+"/", err, want)

	write(t, dir, map[string]string{"picket.toml": "[tcp\n", "picket.d/a.toml": "x = \n"})
	_, err = Load(filepath.Join(dir, "picket.toml"))
	prefixed(t, dir+"/", err, []string{"picket.toml:1: ", "picket.d/a.toml:1: "})
}

// prefixed compares the beginning of each line of an error, behind dir.
func prefixed(t *testing.T, dir string, err error, want []string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	got := strings.Split(err.Error(), "\n")
	if len(got) != len(want) {
		t.Errorf("%d faults, want %d:\n%s", len(got), len(want), err)
	}
	for i := range min(len(got), len(want)) {
		if !strings.HasPrefix(got[i], dir+want[i]) {
			t.Errorf("fault %d\ngot  %s\nwant %s", i, got[i], dir+want[i])
		}
	}
}

// TestSense: keys that are right one by one and make no sense together are a fault.
func TestSense(t *testing.T) {
	for text, want := range map[string]string{
		"[tcp]\nadvanced = \"1-1023\"\nexclude = \"1-2000\"\n": `p.toml:3: tcp.exclude: leaves nothing ` +
			`of tcp.advanced, "1-1023", to watch`,
		"[block]\nfor = [\n\"1w\",\n\"1d\",\n\"ever\",\n\"1h\"]\n": "p.toml:4: block.for: \"1d\" comes " +
			"after \"1w\", and is shorter: want lengths that grow, for those who come back\n" +
			"p.toml:5: block.for: \"ever\" is no duration",
		"[tcp]\nstealth = \"ssh,http-alt, 7\"\n": `p.toml:2: tcp.stealth: "ssh" is a ` +
			`name: write its port, 22, "http-alt" is a name: write its port, 8080: want`,
		"[ignore]\naddresses = [\"192.0.2.1 - 192.0.2.6\"]\n": `p.toml:2: ignore.addresses: ` +
			`"192.0.2.1 - 192.0.2.6" is a range: write its prefixes, each an entry by itself, ` +
			`192.0.2.1/32, 192.0.2.2/31, 192.0.2.4/31, 192.0.2.6/32`,
		"[tpc]\nx = 1\n":    `p.toml:1: tpc: is unknown: did you mean "tcp"?`,
		"triger = 1\n":      `p.toml:1: triger: is unknown: want one of dry_run, `,
		"trigger = 1\n":     `p.toml:1: trigger: is unknown: it is a key of [ip], [tcp], [udp]`,
		"[tcp]\nfor = []\n": `p.toml:2: tcp.for: is unknown: it is a key of [block]`,
		"dry_run = yes\n": `p.toml:1: unexpected character U+0079 'y' at start of value: ` +
			`text is in quotes, a switch is true or false`,
		"DRY_RUN = true\n": `p.toml:1: DRY_RUN: is unknown: did you mean "dry_run"?`,
		"[hosts-deny]\n":   `p.toml:1: hosts-deny: is unknown: did you mean "hosts_deny"?`,
		"SCAN_TRIGGER=\"0\"\n": `p.toml:1: SCAN_TRIGGER: is unknown: this is an option of PortSentry: ` +
			`"picket import p.toml" prints the picket.toml that does the same`,
		"# PortSentry\nTCP_PORTS=\"1\"\nIGNORE_FILE=/etc/x\n": `p.toml:3: `,
		"[tcp]\nmodes = [\"steal\", \"classic\", \"advance\"]\n": "p.toml:2: tcp.modes: holds " +
			"\"steal\": want any of \"classic\" or \"stealth\" or \"advanced\"\n" +
			"p.toml:2: tcp.modes: holds \"advance\"",
		"known = [ 3, { name = \"A\" } ]": "p.toml:1: known: holds a whole " +
			"number: want tables, [[known]]\np.toml:1: known.name: is \"A\"",
		"[run]\ncommand = [\"/bin/true\",\n3,\n\"$TARGET$\",\ntrue]\n": "p.toml:3: run.command: holds a " +
			"whole number: want texts in quotes\np.toml:",
	} {
		if _, err := Parse("p.toml", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q\ngot  %v\nwant %s", text, err, want)
		}
	}
	_, err := Parse("p.toml", []byte("# PortSentry\nTCP_PORTS=\"1\"\nIGNORE_FILE=/etc/x\n"))
	if !strings.Contains(err.Error(), `"picket import p.toml"`) {
		t.Errorf("broken syntax of PortSentry's: %v", err)
	}
	if c, err := Parse("p.toml", []byte("\ufeffdry_run = true\n")); err != nil || !c.DryRun {
		t.Errorf("a byte order mark: %v", err)
	}
	c, err := Parse("p.toml", []byte("tcp.modes = []\nudp.modes = []\n[ip]\nmodes = [\"stealth\"]\n"))
	if err != nil || c.Runnable() == nil || !strings.HasPrefix(c.Runnable().Error(),
		"p.toml:1: tcp.modes: and those of [udp] and [ip] watch nothing") {
		t.Errorf("nothing is watched: %v", err)
	}
}

// TestCheck: faults of the file and of the host are reported together.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"picket.toml": "[run]\ncommand = [\"/nonexistent/program\"]\n[ignore]\n" +
		"files = [\"/nonexistent/list\"]\n[tcp]\naction = \"drop\"\n"})
	c, faults, warnings := Check(filepath.Join(dir, "picket.toml"))
	if c != nil || len(warnings) != 1 || warnings[0].Line != 2 {
		t.Errorf("%+v, warnings %v", c, warnings)
	}
	prefixed(t, dir+"/", faults, []string{"picket.toml:4: ignore.files: ", "picket.toml:6: tcp.action: "})
}
