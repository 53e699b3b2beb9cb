// SPDX-License-Identifier: MIT

package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"picket/engine"
	"picket/internal/probe"
)

// TestPinKeepsWhatAFileDid: with the drop-in, a file does the same as with the
// earlier defaults, however many of them it repeats.
func TestPinKeepsWhatAFileDid(t *testing.T) {
	defaults, err := os.ReadFile("../../units/package/defaults-0.0.toml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing":         "dry_run = true\n",
		"a range":         "[tcp]\nadvanced = \"1-4000\"\n",
		"some triggers":   "[tcp]\ntrigger = { stealth = 3 }\n",
		"one for all":     "[tcp]\ntrigger = 3\n",
		"a style":         "[block]\nstyle = \"graded\"\n",
		"a preset":        "[udp]\npreset = \"web-server\"\n",
		"a score, a door": "[detect]\nscore = \"dark\"\n[door]\nraw = \"drop\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			// As before: the file over the earlier defaults, over the rest of today's.
			old, faults := parse("defaults", defaults)
			mine, more := parse("mine", []byte(text))
			if len(faults)+len(more) > 0 {
				t.Fatal(faults, more)
			}
			if preset, _ := mine.values["udp"].(map[string]any); preset["preset"] != nil {
				delete(old.values, "udp") // the preset has the lists
			}
			old.lay(mine)
			want, err := fromDocument(old)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			path := filepath.Join(dir, "picket.toml")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			kept, err := Pin(path, "defaults", defaults)
			if err == nil {
				err = os.Mkdir(filepath.Join(dir, dropIns), 0o700)
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, dropIns, "00-upgrade.toml"), []byte(kept), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := Load(path)
			if err != nil {
				t.Fatalf("%v, with\n%s", err, kept)
			}
			got.File, got.DropIns, want.File, want.DropIns = "", nil, "", nil
			gotText, err := json.MarshalIndent(got, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			wantText, err := json.MarshalIndent(want, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(wantText), string(gotText)); d != "" {
				t.Errorf("the configuration is another (-want +got):\n%s", d)
			}
		})
	}
}

// TestPinOfAll: a file that says everything needs no drop-in.
func TestPinOfAll(t *testing.T) {
	path, err := filepath.Abs("../../examples/picket.toml")
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := Pin(path, "defaults", []byte("[tcp]\nadvanced = \"1-1023\"\n")); kept != "" ||
		err != nil {
		t.Errorf("%q, %v", kept, err)
	}
}

// TestPinYields: a key set after the upgrade, in the file or a drop-in, wins over the drop-in of
// the upgrade. The user's drop-ins win over both, and a preset stands alone.
func TestPinYields(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "picket.toml")
	write(t, dir, map[string]string{
		"picket.d/00-upgrade.toml": "[tcp]\nadvanced = \"1-1023\"\ntrigger = { classic = 0, stealth = 25 " +
			"}\n" +
			"[udp]\nadvanced = \"1-1023\"\nexclude = \"67\"\n[detect]\nscore = \"log\"\n[block]\n" +
			"style = \"block\"\n",
		"picket.toml": "[tcp]\nadvanced = \"1-4000\"\ntrigger = { stealth = 3 }\n" +
			"[udp]\npreset = \"web-server\"\n[detect]\nscore = \"dark\"\n",
		"picket.d/10-mine.toml": "[tcp]\nadvanced = \"1-5000\"\n",
	})
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	preset, err := Parse("p.toml", []byte("[udp]\npreset = \"web-server\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.TCP.Advanced.String() != "1-5000" || c.Detect.Score != engine.Dark ||
		c.Block.Style != engine.BlockOnly {
		t.Errorf("the wrong file's word: %v, %v, %v", c.TCP.Advanced, c.Detect.Score, c.Block.Style)
	}
	if c.TCP.Trigger[probe.Classic] != 0 || c.TCP.Trigger[probe.Stealth] != 3 {
		t.Errorf("triggers %v", c.TCP.Trigger)
	}
	if d := cmp.Diff(preset.UDP, c.UDP); d != "" {
		t.Errorf("the preset is not alone (-want +got):\n%s", d)
	}
	want := []string{dir + "/picket.d/00-upgrade.toml", dir + "/picket.d/10-mine.toml"}
	if d := cmp.Diff(want, c.DropIns); d != "" || c.File != path {
		t.Errorf("%s and drop-ins (-want +got):\n%s", c.File, d)
	}
}
