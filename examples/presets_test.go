// SPDX-License-Identifier: MIT

package examples

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
)

type lists struct{ Classic, Stealth, Advanced, Exclude string }

type preset struct{ TCP, UDP lists }

func load(t *testing.T, name string) preset {
	t.Helper()
	b, err := Preset(name)
	if err != nil {
		t.Fatal(err)
	}
	var p preset
	d := toml.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return p
}

// ports spells a list out, and fails if it is wrong or has a port twice.
func ports(t *testing.T, list string) map[int]bool {
	t.Helper()
	out := make(map[int]bool)
	for item := range strings.SplitSeq(list, ",") {
		a, b, isRange := strings.Cut(item, "-")
		if !isRange {
			b = a
		}
		from, err1 := strconv.Atoi(a)
		to, err2 := strconv.Atoi(b)
		if err1 != nil || err2 != nil || from < 1 || to > 65535 || isRange && from >= to {
			t.Errorf("%q in %q is no port", item, list)
			continue
		}
		for p := from; p <= to; p++ {
			if out[p] {
				t.Errorf("%d twice in %q", p, list)
			}
			out[p] = true
		}
	}
	return out
}

func TestPresets(t *testing.T) {
	want := []string{"aware", "bare-bones", "full", "home-router", "mail-server", "v2-aggressive",
		"v2-catch-all", "v2-default", "web-server", "workstation"}
	if d := cmp.Diff(want, Presets()); d != "" {
		t.Fatalf("(-want +got):\n%s", d)
	}
	for _, name := range Presets() {
		t.Run(name, func(t *testing.T) {
			p := load(t, name)
			for _, l := range []lists{p.TCP, p.UDP} {
				classic, stealth, advanced, exclude := ports(t, l.Classic), ports(t, l.Stealth),
					ports(t, l.Advanced), ports(t, l.Exclude)
				if len(advanced) != 1023 || len(classic) < 7 || len(stealth) < 8 {
					t.Errorf("%d, %d and %d ports", len(classic), len(stealth), len(advanced))
				}
				if !strings.Contains(name, "-server") && name != "home-router" && name != "workstation" {
					continue
				}
				for p := range stealth { // what ours argue in their comments
					if exclude[p] || p >= 32768 {
						t.Errorf("trap port %d is excluded or ephemeral", p)
					}
				}
			}
		})
	}
	if _, err := Preset("anal"); err == nil || !strings.Contains(err.Error(), "aware, bare-bones, full") {
		t.Errorf("a name that is none: %v", err)
	}
	if _, err := Preset("../presets"); err == nil {
		t.Error("a path was taken for a name")
	}
}

// badPorts returns the ports that browsers refuse.
func badPorts(t *testing.T) map[int]bool {
	t.Helper()
	text, err := os.ReadFile("testdata/bad-ports.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[int]bool)
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		port, err := strconv.Atoi(line)
		if err != nil {
			t.Fatal(err)
		}
		out[port] = true
	}
	if len(out) < 80 {
		t.Fatalf("%d bad ports", len(out))
	}
	return out
}

// TestNoPageLeadsIntoATrap: browsers refuse every trap port of the reference and of the
// presets, and every refused port of a preset's list is one.
func TestNoPageLeadsIntoATrap(t *testing.T) {
	bad := badPorts(t)
	var reference struct{ TCP lists }
	if err := toml.Unmarshal(Reference, &reference); err != nil {
		t.Fatal(err)
	}
	check := func(name string, l lists, whole bool) {
		classic := ports(t, l.Classic)
		for p := range classic {
			if !bad[p] {
				t.Errorf("%s: a page can lead its readers to trap port %d", name, p)
			}
		}
		for p := range ports(t, l.Stealth) {
			if whole && bad[p] && !classic[p] {
				t.Errorf("%s: port %d is no trap, and might be", name, p)
			}
		}
	}
	check("reference", reference.TCP, false)
	for _, name := range Presets() {
		check(name, load(t, name).TCP, true)
	}
}

// TestPortSentrysListsAreWhole: the numbers of ports are those of Debian's
// portsentry.conf and of PortSentry 2's example.
func TestPortSentrysListsAreWhole(t *testing.T) {
	for name, want := range map[string][2]int{
		"bare-bones": {20, 16}, "aware": {26, 21}, "full": {45, 32},
		"v2-default": {28, 9}, "v2-aggressive": {39, 24}, "v2-catch-all": {1813, 5050},
	} {
		p := load(t, name)
		if got := [2]int{len(ports(t, p.TCP.Stealth)), len(ports(t, p.UDP.Stealth))}; got != want ||
			p.UDP.Classic != p.UDP.Stealth {
			t.Errorf("%s: %v ports, want %v, of UDP the same in classic and stealth", name, got, want)
		}
	}
	for name, has := range map[string][]int{"aware": {1, 31337, 49724}, "full": {6000, 40425},
		"bare-bones": {110, 54320}} {
		for _, p := range has {
			if !ports(t, load(t, name).TCP.Stealth)[p] {
				t.Errorf("%s has no %d", name, p)
			}
		}
	}
}
