// SPDX-License-Identifier: MIT

package lab

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// lists is a configuration with a list of each policy. The trigger is 0, so the kernel holds a
// source until picket releases it.
func lists(policy1 string) string {
	text := "[tcp]\ntrigger = 0\n"
	for i, policy := range []string{policy1, "log", "block"} {
		text += fmt.Sprintf("[[known]]\nname = \"list-%d\"\naddresses = [\"%s\", \"%s\"]\npolicy = %q\n", i+1,
			Source4(i+1), Source6(i+1), policy)
	}
	return text
}

// TestKnownSourcesAreAnswered: a source of a list that is ignored or logged gets the same
// answers as without picket, far above the trigger too, and with trigger 0.
func TestKnownSourcesAreAnswered(t *testing.T) {
	for name, config := range map[string]string{
		"trigger 0": lists("ignore"), "the default": strings.TrimPrefix(lists("ignore"),
			"[tcp]\ntrigger = 0\n"),
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			d := start(t, l.Target, Options{Config: config})
			for to, known := range map[netip.Addr][2]netip.Addr{
				l.Target.V4: {Source4(1), Source4(2)}, l.Target.V6: {Source6(1), Source6(2)},
			} {
				for _, from := range known {
					n := answersTo(t, l,
						func() { pour(t, l.Attacker, fullScan(attackers{own: from, dst: to})) })
					if n < 980 { // the trap takes some, and does not answer a known source
						t.Errorf("%s: %d of 1000 ports answered", from, n)
					}
					untouched(t, d, from)
				}
			}
		})
	}
}

// TestKnownLists: a known source is ignored, logged or blocked by its list, and freed when the
// list changes.
func TestKnownLists(t *testing.T) {
	l := newLab(t)
	d := start(t, l.Target, Options{Config: lists("ignore")})
	for _, to := range []netip.Addr{l.Target.V4, l.Target.V6} {
		for i := 1; i <= 3; i++ {
			from := Source4(i)
			if to.Is6() {
				from = Source6(i)
			}
			forge(t, l, from, to, uint32(1000*i))
		}
	}
	for i := 2; i <= 3; i++ {
		action := map[int]string{2: "action=log", 3: "action=block"}[i]
		for _, from := range []string{Source4(i).String(), Source6(i).String()} {
			if _, err := d.WaitEvent(3*time.Second, "source="+from+" ", action,
				fmt.Sprintf("known=list-%d", i), "probes=1 "); err != nil {
				t.Error(err)
			}
		}
	}
	for i := 1; i <= 2; i++ {
		if b, ok, err := d.Blocked(Source4(i)); err != nil || ok {
			t.Errorf("list-%d: %+v, %v", i, b, err)
		}
	}
	for _, e := range d.Events() {
		if strings.Contains(e, "known=list-1") {
			t.Errorf("told: %s", e)
		}
	}
	status, err := d.Cmd("status")
	if err != nil || !strings.Contains(status, "from list list-1") {
		t.Errorf("%v\n%s", err, status)
	}
	for i, want := range []string{"its probes are counted and not judged", "told of and never blocked",
		"blocked at its first probe"} {
		text, err := d.Cmd("explain", Source4(i+1).String())
		if err != nil || !strings.Contains(text, want) {
			t.Errorf("explain lacks %q: %v\n%s", want, err, text)
		}
	}
	blocks, err := d.Cmd("blocks", "--json")
	if err != nil || !strings.Contains(strings.ReplaceAll(blocks, " ", ""), `"known":"list-3"`) {
		t.Errorf("%v\n%s", err, blocks)
	}
	// Reversed.
	if err := d.Reload(lists("block")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WaitEvent(3*time.Second, "was read again"); err != nil {
		t.Fatal(err)
	}
	forge(t, l, Source4(1), l.Target.V4, 9000)
	if _, err := d.WaitBlock(Source4(1), 3*time.Second); err != nil {
		t.Error(err)
	}
	if err := d.Reload(lists("log")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WaitEvent(3*time.Second, "event=unblock", "source="+Source4(1).String(),
		"a list that is not blocked"); err != nil {
		t.Error(err)
	}
}
