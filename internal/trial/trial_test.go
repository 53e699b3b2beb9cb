// SPDX-License-Identifier: MIT

package trial

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"picket/internal/config"
	"picket/internal/probe"
	"picket/internal/replay"
)

// A capture is the pcap file of a test: raw IPv4, one packet a microsecond.
type capture struct {
	b  []byte
	at int64 // microseconds
	n  int
}

func newCapture() *capture {
	b := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0)
	return &capture{b: binary.LittleEndian.AppendUint32(b, 101), at: 1_700_000_000_000_000}
}

// tcp adds a segment without options.
func (c *capture) tcp(source, destination uint32, sport, port uint16, flags byte) {
	c.at++
	c.n++
	for _, v := range [...]uint32{uint32(c.at / 1e6), uint32(c.at % 1e6), 40, 40} {
		c.b = binary.LittleEndian.AppendUint32(c.b, v)
	}
	c.b = append(c.b, 0x45, 0, 0, 40, 0, 9, 0, 0, 64, 6, 0, 0)
	c.b = binary.BigEndian.AppendUint32(c.b, source)
	c.b = binary.BigEndian.AppendUint32(c.b, destination)
	c.b = binary.BigEndian.AppendUint16(c.b, sport)
	c.b = binary.BigEndian.AppendUint16(c.b, port)
	c.b = append(c.b, 0, 0, 0, 7, 0, 0, 0, 0, 0x50, flags, 4, 0, 0, 0, 0, 0)
}

// other adds a packet of another protocol.
func (c *capture) other(source uint32, protocol byte, payload []byte) {
	c.at++
	c.n++
	n := uint32(20 + len(payload))
	for _, v := range [...]uint32{uint32(c.at / 1e6), uint32(c.at % 1e6), n, n} {
		c.b = binary.LittleEndian.AppendUint32(c.b, v)
	}
	c.b = append(c.b, 0x45, 0, 0, byte(n), 0, 9, 0, 0, 64, protocol, 0, 0)
	c.b = binary.BigEndian.AppendUint32(c.b, source)
	c.b = binary.BigEndian.AppendUint32(c.b, server)
	c.b = append(c.b, payload...)
}

const (
	server = 0xc0000201 // 192.0.2.1
	client = 0xc6120000 // 198.18.0.0, for benchmarks (RFC 2544)
	forger = 0xcb007100 // 203.0.113.0
	syn    = probe.FlagSYN
	ack    = probe.FlagACK
	rst    = probe.FlagRST
)

// scanAmidService is n rounds of eleven packets: a connection to a service, and
// three ports of a scan that are refused.
func scanAmidService(n uint32) *capture {
	c := newCapture()
	for i := range n {
		from, sport := uint32(client)|i&0xffff, uint16(1024+i%60000)
		c.tcp(from, server, sport, 25, syn)
		c.tcp(server, from, 25, sport, syn|ack)
		for range 3 {
			c.tcp(from, server, sport, 25, ack)
		}
		for k := range uint32(3) {
			port := uint16(1 + (3*i+k)%1023)
			c.tcp(from, server, 5, port, syn)
			c.tcp(server, from, port, 5, rst|ack)
		}
	}
	return c
}

// flood is n SYNs, each from a source of its own.
func flood(n uint32) *capture {
	c := newCapture()
	for i := range n {
		c.tcp(client+i, server, 9, 23, syn)
	}
	return c
}

// scan is one source that asks for n ports.
func (c *capture) scan(source uint32, n int) *capture {
	for port := range n {
		c.tcp(source, server, 40000+uint16(source&0xff), uint16(port+1), syn)
	}
	return c
}

func benchmarkReplay(b *testing.B, c *capture) {
	var rules replay.Rules
	newLists(config.Default()).rules(&rules)
	b.ReportAllocs()
	began := processorTime(b)
	for b.Loop() {
		s, err := newSide(config.Default(), rules)
		if err != nil {
			b.Fatal(err)
		}
		sum, err := replay.Run(context.Background(), []replay.Source{replay.Memory("bench", c.b)}, rules,
			s.queue)
		s.flush()
		if err != nil || sum.Packets != uint64(c.n) || s.engine.Stats().Probes == 0 {
			b.Fatal(err, sum)
		}
	}
	packets := float64(c.n) * float64(b.N) / 1e6
	b.ReportMetric(packets/b.Elapsed().Seconds(), "Mpackets/s")
	b.ReportMetric(packets/(processorTime(b)-began).Seconds(), "Mpackets/cpu-s")
}

// processorTime is the processor time of the process so far. Unlike the clock it
// measures a core even on a busy machine.
func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkReplay reads a capture in memory, in both passes and with the engine: half
// of it connections to a service, half of it a refused scan.
func BenchmarkReplay(b *testing.B) { benchmarkReplay(b, scanAmidService(200_000)) }

// BenchmarkReplayFlood is the worst case: every packet is a probe, a flow and a
// source of its own.
func BenchmarkReplayFlood(b *testing.B) { benchmarkReplay(b, flood(1_000_000)) }

// blocking is a configuration that blocks every source above a trigger.
const blocking = "block.style = \"block\"\n"

// TestAgainst: a source that one configuration blocks is listed with the decision of the
// other, in both directions. A source that both treat alike is not listed.
func TestAgainst(t *testing.T) {
	// One source is not watched by the other, one is above the trigger here, one above both.
	c := newCapture().scan(forger+1, 10)
	c.scan(forger+2, 200)
	for range 20 {
		c.tcp(forger+3, server, 41000, 4000, syn)
		c.at += 1e6
	}
	this, err := config.Parse("this.toml",
		[]byte("dry_run = true\n"+blocking+"[tcp]\nadvanced = \"1-1023\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := config.Parse("other.toml",
		[]byte(blocking+"[tcp]\ntrigger = { stealth = 3, advanced = 0 }\nadvanced = \"4-5000\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := differencesOf(t, this, other, c)
	want := map[string]string{
		"203.0.113.1 blocked": "not above the trigger: 10 different ports inside the window, 25 let pass; " +
			"above the trigger: 2 different ports inside the window, 0 let pass",
		"203.0.113.2 earlier": "above the trigger: 26 different ports inside the window, 25 let pass; " +
			"above the trigger: 2 different ports inside the window, 0 let pass",
		"203.0.113.3 blocked": "its ports are not watched; above the trigger: 1 different port inside the " +
			"window, 0 let pass",
	}
	for k, w := range want {
		if got[k] != w {
			t.Errorf("%s: %q, want %q", k, got[k], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("differences %q", got)
	}
	got = differencesOf(t, other, this, c)
	for _, k := range []string{"203.0.113.1 spared", "203.0.113.2 later", "203.0.113.3 spared"} {
		if got[k] == "" {
			t.Errorf("the other way round %s is missing: %q", k, got)
		}
	}
	if got := differencesOf(t, this, this, c); len(got) != 0 {
		t.Errorf("a configuration differs from itself: %q", got)
	}
}

// tcp6 adds a segment from an address of 2001:db8:1:1::/64 to 2001:db8::1.
func (c *capture) tcp6(host uint16, sport, port uint16, flags byte) {
	c.at++
	c.n++
	for _, v := range [...]uint32{uint32(c.at / 1e6), uint32(c.at % 1e6), 60, 60} {
		c.b = binary.LittleEndian.AppendUint32(c.b, v)
	}
	c.b = append(c.b, 0x60, 0, 0, 0, 0, 20, 6, 64, 0x20, 1, 0xd, 0xb8, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0)
	c.b = binary.BigEndian.AppendUint16(c.b, host)
	c.b = append(c.b, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
	c.b = binary.BigEndian.AppendUint16(c.b, sport)
	c.b = binary.BigEndian.AppendUint16(c.b, port)
	c.b = append(c.b, 0, 0, 0, 7, 0, 0, 0, 0, 0x50, flags, 4, 0, 0, 0, 0, 0)
}

// TestAgainstPrefix: a scan with a new address of one /64 for each port is one source.
// The first block and the block of the prefix are listed for each configuration.
func TestAgainstPrefix(t *testing.T) {
	c := newCapture()
	for i := range uint16(120) {
		c.tcp6(i+1, 40000+i, i+1, syn)
	}
	this, err := config.Parse("this.toml", []byte(blocking+"[tcp]\nmodes = [\"advanced\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := config.Parse("other.toml", []byte(blocking+"[tcp]\nmodes = [\"advanced\"]\ntrigger = 3\n"))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := Against(context.Background(), &out, this, other, replay.Rules{},
		[]replay.Source{replay.Memory("m", c.b)}, false); err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(out.String(), "other: other.toml\n")
	want := `
blocked earlier by the other configuration:
  2001:db8:1:1::/64 portscan syn
    this  blocked 2001:db8:1:1::1a at 2023-11-14 22:13:20.000026, 3 times, for 15m in all ` +
		`(tcp.trigger.advanced = 25): above the trigger: 26 different ports inside the window, 25 let pass
          and 2001:db8:1:1::/64 at 2023-11-14 22:13:20.000028
    other blocked 2001:db8:1:1::4 at 2023-11-14 22:13:20.000004, 3 times, for 15m in all ` +
		`(tcp.trigger.advanced = 3): above the trigger: 4 different ports inside the window, 3 let pass
          and 2001:db8:1:1::/64 at 2023-11-14 22:13:20.000006
`
	if d := cmp.Diff(want, list); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	s, err := newSide(this, replay.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := replay.Run(context.Background(), []replay.Source{replay.Memory("m", c.b)}, replay.Rules{},
		s.queue)
	s.flush()
	if r := s.result(&sum, 0); err != nil || r.Sources != 1 || r.Blocked != 1 || s.order[0].times != 3 ||
		s.order[0].last.Source != "2001:db8:1:1::/64" {
		t.Errorf("%v: %d sources, %d of them blocked: %+v", err, r.Sources, r.Blocked, s.order[0])
	}
}

// TestAgainstNothing: captures without packets get no verdict.
func TestAgainstNothing(t *testing.T) {
	for text, c := range map[string]*capture{"nothing was read, so there is nothing to compare": newCapture(),
		"neither would have blocked anybody": newCapture().scan(forger, 2)} {
		var out strings.Builder
		if err := Against(context.Background(), &out, config.Default(), config.Default(), replay.Rules{},
			[]replay.Source{replay.Memory("m", c.b)}, false); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(out.String(), "\n\n"+text+"\n") {
			t.Errorf("want %q at the end of %s", text, out.String())
		}
	}
}

// TestBlockedAreBlocked: a source that is only logged, or has the command run, is in the
// table and not among the blocked ones.
func TestBlockedAreBlocked(t *testing.T) {
	for text, blocked := range map[string]int{
		"": 2, "dry_run = true\n": 0, "[tcp]\naction = \"log\"\n": 0,
		"[tcp]\naction = \"run\"\n[run]\ncommand = [\"/bin/true\"]\n":                   0,
		"[[known]]\nname = \"mine\"\npolicy = \"log\"\naddresses = [\"203.0.113.1\"]\n": 1,
	} {
		c, err := config.Parse("p.toml", []byte(blocking+text))
		if err != nil {
			t.Fatal(err)
		}
		s, err := newSide(c, replay.Rules{})
		if err != nil {
			t.Fatal(err)
		}
		sum, err := replay.Run(context.Background(), []replay.Source{replay.Memory("m",
			newCapture().scan(forger+1, 99).scan(forger+2, 99).b)}, replay.Rules{}, s.queue)
		if err != nil {
			t.Fatal(err)
		}
		s.flush()
		if r := s.result(&sum, 0); r.Blocked != blocked || len(s.order) != 2 {
			t.Errorf("%q: %d blocked of %d reacted to, want %d of 2", text, r.Blocked, len(s.order), blocked)
		}
	}
}

// TestTooManyServices: if more ports answer than the first pass remembers, both forms of
// the summary say so, and both forms of a comparison.
func TestTooManyServices(t *testing.T) {
	for _, n := range []uint32{3, replay.MaxLearned + 1} {
		c := newCapture()
		for i := range n {
			c.tcp(forger, client+i, 9, 25, syn)
			c.tcp(client+i, forger, 25, 9, syn|ack)
		}
		s, err := newSide(config.Default(), replay.Rules{})
		if err != nil {
			t.Fatal(err)
		}
		sources := []replay.Source{replay.Memory("m", c.b)}
		sum, err := replay.Run(context.Background(), sources, replay.Rules{}, s.queue)
		if err != nil {
			t.Fatal(err)
		}
		s.flush()
		var one, two strings.Builder
		r := s.result(&sum, 0)
		s.print(&one, r)
		if err := Against(context.Background(), &two, config.Default(), config.Default(), replay.Rules{},
			sources, false); err != nil {
			t.Fatal(err)
		}
		full := n > replay.MaxLearned
		const warning = "\nmore than 65536 ports answered, "
		if r.Learned == full || strings.Contains(one.String(), warning) != full ||
			strings.Contains(two.String(), warning) != full {
			t.Errorf("%d answered: learned %v\n%s\n%s", n, r.Learned, &one, &two)
		}
	}
}

func differencesOf(t *testing.T, this, other *config.Config, c *capture) map[string]string {
	t.Helper()
	var out strings.Builder
	err := Against(context.Background(), &out, this, other, replay.Rules{},
		[]replay.Source{replay.Memory("m", c.b)}, true)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for d := json.NewDecoder(strings.NewReader(out.String())); ; {
		var x struct {
			Event, Change, Source string
			This                  string `json:"this_why"`
			Other                 string `json:"other_why"`
		}
		if err := decodeLoose(d, &x); err == io.EOF {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		if x.Event == "difference" {
			found[x.Source+" "+x.Change] = x.This + "; " + x.Other
		}
	}
}

// decodeLoose decodes the texts of an object alone.
func decodeLoose(d *json.Decoder, to any) error {
	raw := map[string]any{}
	if err := d.Decode(&raw); err != nil {
		return err
	}
	for k, v := range raw {
		if _, ok := v.(string); !ok {
			delete(raw, k)
		}
	}
	b, err := json.Marshal(raw)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, to)
}
