// SPDX-License-Identifier: MIT

package trial

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"picket/internal/config"
	"picket/internal/probe"
	"picket/internal/replay"
)

// hostA is the log of a firewall on an exposed host, 192.0.2.2, over two days, at most
// three lines a minute: 8,351 packets of 1,142 sources. The addresses were replaced,
// /24 by /24.
const hostA = "testdata/host-a.log.gz"

// summaryOf runs host A's log through a configuration.
func summaryOf(t *testing.T, text string, open ...uint16) (x struct {
	Packets, Dropped, Dark, Fence, Block, Door, Unwanted, Limit uint64
}) {
	t.Helper()
	c, err := config.Parse("p.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	log, err := replay.NamedLog(hostA)
	if err != nil {
		t.Fatal(err)
	}
	rules := replay.Rules{Local: []netip.Prefix{netip.MustParsePrefix("192.0.2.2/32")},
		Open: func(protocol uint8, port uint16) bool {
			for _, o := range open {
				if protocol == probe.ProtocolTCP && port == o {
					return true
				}
			}
			return false
		}}
	var out strings.Builder
	if err := Run(context.Background(), &out, c, rules, []replay.Source{log},
		Options{JSON: true}); err != nil {
		t.Fatal(err)
	}
	text = strings.TrimSpace(out.String())
	if err := json.Unmarshal([]byte(text[strings.LastIndex(text, "\n")+1:]), &x); err != nil {
		t.Fatal(err)
	}
	return x
}

// TestRealHost: of the packets to a real host four in five are kept off, of those to
// served ports one in five is refused for its form, and the counts add up.
func TestRealHost(t *testing.T) {
	const graded = "[block]\nstyle = \"graded\"\n"
	x := summaryOf(t, graded)
	if x.Packets != 8351 || x.Dropped*100 < x.Packets*80 || x.Dropped != x.Dark+x.Fence+x.Block+x.Door ||
		x.Door != 0 {
		t.Errorf("%+v: want 8,351 packets, and 80 %% of them dropped", x)
	}
	if x.Unwanted < 8300 || x.Limit*1000 < x.Unwanted*860 || x.Limit*1000 > x.Unwanted*866 {
		t.Errorf("%+v: want a limit of 86.3 %%", x)
	}
	t.Logf("kept off %.1f %%, limit %.1f %%", 100*float64(x.Dropped)/float64(x.Packets),
		100*float64(x.Limit)/float64(x.Unwanted))
	x = summaryOf(t, graded, 22, 80, 443)
	if x.Door*100 < 255*20 {
		t.Errorf("%d of 255 refused at the door, want a fifth", x.Door)
	}
	if y := summaryOf(t, graded+"[door]\nraw = \"log\"\n", 22, 80, 443); y.Door != 0 ||
		y.Dropped != x.Dropped-x.Door {
		t.Errorf("%+v: a door that only logs refuses", y)
	}
	if y := summaryOf(t, "[block]\nstyle = \"block\"\n"); y.Dark+y.Fence != 0 {
		t.Errorf("%+v: blocks are all that was asked for", y)
	}
}
