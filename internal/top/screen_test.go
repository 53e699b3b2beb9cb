// SPDX-License-Identifier: MIT

package top

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"picket/internal/control"
)

// A person uses a screen, and records what was done.
type person struct {
	*screen
	t    *testing.T
	done []string
}

func at(t *testing.T, v *View) *person {
	p := &person{t: t}
	p.screen = newScreen(v, Actions{
		Explain: func(source string, width int) (string, error) {
			return fmt.Sprintf("of %s\x1b[31m on %d columns\n%s", source, width,
				strings.Repeat("more\n", 50)), nil
		},
		Do: func(command, source string) (string, error) {
			p.done = append(p.done, command+" "+source)
			return command + "ed " + source + "\n", nil
		},
	})
	return p
}

// press presses keys; a word of several letters is one key.
func (p *person) press(keys ...string) {
	p.t.Helper()
	named := map[string]tea.KeyType{
		"up": tea.KeyUp, "down": tea.KeyDown, "enter": tea.KeyEnter, "esc": tea.KeyEsc, "tab": tea.KeyTab,
		"backspace": tea.KeyBackspace,
		"end":       tea.KeyEnd, "pgdown": tea.KeyPgDown, "ctrl+c": tea.KeyCtrlC,
	}
	for _, k := range keys {
		msg := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)}
		if n, ok := named[k]; ok {
			msg = tea.KeyMsg{Type: n}
		}
		if _, cmd := p.Update(msg); cmd != nil {
			p.Update(cmd())
		}
	}
}

// shows checks for a text on the screen, and for others not on it.
func (p *person) shows(want string, not ...string) {
	p.t.Helper()
	got := p.View()
	if !strings.Contains(got, want) {
		p.t.Errorf("lacks %q:\n%s", want, got)
	}
	for _, n := range not {
		if strings.Contains(got, n) {
			p.t.Errorf("has %q:\n%s", n, got)
		}
	}
}

func TestScreenKeys(t *testing.T) {
	p := at(t, watched())
	p.shows("by rate")
	if p.source() != "192.0.2.2" {
		t.Errorf("the busiest is not chosen: %s", p.source())
	}
	p.press("s")
	p.shows("by probes")
	if p.source() != "192.0.2.2" || p.sources[0].Name != "192.0.2.1" {
		t.Errorf("by probes: %s chosen, %s first", p.source(), p.sources[0].Name)
	}
	p.press("r")
	p.shows("reversed")
	p.press("r", "end", "down", "down")
	if p.chosen() != 2 {
		t.Errorf("line %d of 3 is chosen", p.chosen())
	}
	p.press("/", ".", "3", "x", "backspace")
	p.shows("/.3_")
	p.press("enter")
	p.shows("only /.3", "192.0.2.2 ", "192.0.2.1 ")
	if p.source() != "192.0.2.3" {
		t.Errorf("%s is chosen of one", p.source())
	}
	p.press("esc", "2")
	p.shows("by since")
	p.press("?")
	p.shows("allow it for two hours")
	p.press("esc", "enter")
	p.shows("of 192.0.2.8?[31m on 80 columns")
	p.press("pgdown", "pgdown", "pgdown", "pgdown")
	p.shows("more", "of 192.0.2.8")
	p.press("u")
	p.shows("end the blocks of 192.0.2.8? y")
	p.press("n")
	p.shows("nothing changed")
	p.press("u", "y", "esc", "1", "b", "y", "a", "y")
	if got := strings.Join(p.done, ", "); got != "unblock 192.0.2.8, block 192.0.2.3, allow 192.0.2.3" {
		t.Errorf("done: %s", got)
	}
	p.press("tab", "tab")
	p.shows("nothing has changed yet")
	p.press("b", "enter") // with no source chosen
	for _, quit := range []string{"q", "ctrl+c"} {
		if cmd := p.key(map[string]tea.KeyMsg{"q": {Type: tea.KeyRunes, Runes: []rune("q")},
			"ctrl+c": {Type: tea.KeyCtrlC}}[quit]); cmd == nil || cmd() != tea.Quit() {
			t.Errorf("%s does not quit", quit)
		}
	}
}

// TestScreenFits: on a terminal of any size, a screen fits and has the chosen source.
func TestScreenFits(t *testing.T) {
	v := watched()
	for i := range 300 {
		v.sources = append(v.sources, control.Source{Name: fmt.Sprintf("2001:db8:%x::/48", i),
			Network: strings.Repeat("n", 99), ASN: 1})
		v.blocks = append(v.blocks, control.Block{Name: fmt.Sprintf("2001:db8:%x::/48", i),
			Reason: strings.Repeat("r", 99) + "\x1b[2J"})
	}
	for i, size := range [][2]int{{80, 24}, {200, 60}, {20, 8}, {1, 1}, {80, 400}, {80, 24}} {
		p := at(t, v)
		if i == 5 { // one line more above the tables
			v.status.Rules = map[string]uint64{"unlogged_" + strings.Repeat("x", 99): 1}
		}
		p.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		for _, keys := range [][]string{{"end"}, {"2", "pgdown"}, {"3"}, {"?"}, {"esc", "2", "u"}} {
			p.press(keys...)
			out := p.View()
			for _, code := range []string{bold, reverse, normal} {
				out = strings.ReplaceAll(out, code, "")
			}
			lines := strings.Split(out, "\n")
			if len(lines) > max(size[1], 1) || size[1] == 24 && len(lines) != 24 {
				t.Errorf("%v %v: %d lines", size, keys, len(lines))
			}
			for _, l := range lines {
				if n := len([]rune(l)); n > size[0] || strings.Contains(l, "\x1b") {
					t.Errorf("%v %v: %d columns: %q", size, keys, n, l)
				}
			}
		}
	}
	p := at(t, v)
	p.press("end")
	p.shows(p.source())
	p.shows("limits of the kernel")
	p.press("s", "s", "s", "s")
	p.shows(p.source() + " ")
}

// TestFeed: differences between two looks are changes. A failed look, or one at another daemon,
// is no change.
func TestFeed(t *testing.T) {
	var f feed
	noon := time.Date(2026, 11, 29, 12, 0, 0, 0, time.Local)
	old := &View{at: noon, blocked: noon,
		blocks: []control.Block{{Name: "192.0.2.1", Response: "dark"}, {Name: "192.0.2.2"}}}
	now := &View{at: noon.Add(2 * time.Second), blocked: noon.Add(2 * time.Second),
		blocks: []control.Block{{Name: "192.0.2.1", Response: "dark"},
			{Name: "192.0.2.1", Response: "block", Reason: "above the trigger", Evidence: "9 ports",
				Since: noon.Add(time.Second)}},
		sources: []control.Source{{Name: "192.0.2.3", First: noon.Add(time.Second), Tool: "nmap"},
			{Name: "192.0.2.4", First: noon.Add(-time.Hour)}}}
	f.add(&View{}, now)
	f.add(old, &View{at: now.at, trouble: fmt.Errorf("gone")})
	f.add(old, &View{at: now.at, status: control.Status{Pid: 8}, blocked: now.at})
	if len(f.list) > 0 {
		t.Errorf("%v", f.list)
	}
	f.add(old, now)
	var got []string
	for _, c := range f.latest() {
		got = append(got, c.source+" "+c.words)
	}
	want := "192.0.2.2 block has ended; 192.0.2.1 block: 9 ports; 192.0.2.3 seen for the first time nmap"
	if g := strings.Join(got, "; "); g != want {
		t.Errorf("%s\nwant %s", g, want)
	}
	for range mostChanges {
		f.add(old, now)
	}
	if len(f.list) != mostChanges {
		t.Errorf("%d are kept", len(f.list))
	}
}
