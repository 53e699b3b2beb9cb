// SPDX-License-Identifier: MIT

package resolve

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"host.example.net.": "host.example.net", "HOST.Example.NET": "host.example.net", "a": "a",
		"1-2-3-4.dsl.example": "1-2-3-4.dsl.example", "xn--bcher-kva.example": "xn--bcher-kva.example",
		"": "", ".": "", "..": "", "a..b": "", "-a.b": "", "a-.b": "", "a_b.c": "", "a b.c": "", "a.b\n": "",
		"\x1b[2J.c": "",
		"192.0.2.1": "", "192.0.2.1.": "", "2001:db8::1": "", "a/b": "", "a]b": "", "bücher.example": "",
		"a\x00.b":                      "",
		strings.Repeat("a", 63) + ".b": strings.Repeat("a", 63) + ".b", strings.Repeat("a", 64) + ".b": "",
		strings.Repeat("a.", 126) + "b": strings.Repeat("a.", 126) + "b", strings.Repeat("a.", 127) + "b": "",
		"$(reboot).example": "", "a;b": "", "a,b": "",
	} {
		if got, ok := Clean(in); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v; want %q", in, got, ok, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("host.example.net.")
	f.Fuzz(func(t *testing.T, s string) {
		host, ok := Clean(s)
		if !ok {
			return
		}
		if strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || len(host) > 253 {
			t.Fatalf("%q", host)
		}
		if again, ok := Clean(host); !ok || again != host {
			t.Fatalf("%q reads back as %q", host, again)
		}
		if _, err := netip.ParseAddr(host); err == nil {
			t.Fatalf("%q reads like an address", host)
		}
	})
}

// A zone answers DNS questions on loopback. Its keys are "PTR name." and "A name.".
type zone struct {
	*net.Resolver
	asked atomic.Int64
}

// serve answers from records once hold is closed; with nil at once.
func serve(t *testing.T, records map[string]string, hold chan struct{}) *zone {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	z := &zone{}
	z.Resolver = &net.Resolver{PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "udp", conn.LocalAddr().String())
		}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			if hold != nil {
				<-hold
			}
			z.asked.Add(1)
			if b := reply(m, records); b != nil {
				conn.WriteTo(b, from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return z
}

func reply(m dnsmessage.Message, records map[string]string) []byte {
	q := m.Questions[0]
	out := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true},
		Questions: m.Questions}
	h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60}
	value := records[strings.TrimPrefix(q.Type.String(), "Type")+" "+q.Name.String()]
	switch {
	case value == "silence":
		return nil
	case value == "":
		out.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypePTR:
		for n := range strings.FieldsSeq(value) {
			out.Answers = append(out.Answers,
				dnsmessage.Resource{Header: h, Body: &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName(n)}})
		}
	case q.Type == dnsmessage.TypeA:
		out.Answers = append(out.Answers,
			dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: netip.MustParseAddr(value).As4()}})
	case q.Type == dnsmessage.TypeAAAA:
		out.Answers = append(out.Answers,
			dnsmessage.Resource{Header: h,
				Body: &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(value).As16()}})
	}
	b, err := out.Pack()
	if err != nil {
		return nil
	}
	return b
}

func start(t *testing.T, c Config) *Resolver {
	t.Helper()
	r := New(c)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return r
}

func lookup(t *testing.T, r *Resolver, addr string) string {
	t.Helper()
	ch := make(chan string, 1)
	r.Lookup(netip.MustParseAddr(addr), func(name string) { ch <- name })
	select {
	case name := <-ch:
		return name
	case <-time.After(20 * time.Second):
		t.Fatal("no answer")
		return ""
	}
}

const v6 = "PTR 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."

func TestLookup(t *testing.T) {
	z := serve(t, map[string]string{
		"PTR 1.2.0.192.in-addr.arpa.": "Scanner.Example.NET.", "A scanner.example.net.": "192.0.2.1",
		"PTR 2.2.0.192.in-addr.arpa.": "bank.example.", "A bank.example.": "198.51.100.1",
		"PTR 3.2.0.192.in-addr.arpa.": "198.51.100.7. bad_name.example. good.example.",
		"PTR 4.2.0.192.in-addr.arpa.": "silence",
		v6:                            "six.example.", "AAAA six.example.": "2001:db8::1",
	}, nil)
	plain := start(t, Config{Resolver: z.Resolver, Timeout: 300 * time.Millisecond})
	sure := start(t, Config{Resolver: z.Resolver, Confirm: true})
	for _, c := range []struct{ addr, plain, sure string }{
		{"192.0.2.1", "scanner.example.net", "scanner.example.net"},
		{"::ffff:192.0.2.1", "scanner.example.net", "scanner.example.net"},
		{"192.0.2.2", "bank.example", ""}, // somebody else's name
		{"192.0.2.3", "good.example", ""}, // the first that is a name
		{"192.0.2.9", "", ""},             // none
		{"2001:db8::1", "six.example", "six.example"},
	} {
		if got := lookup(t, plain, c.addr); got != c.plain {
			t.Errorf("%s: %q, want %q", c.addr, got, c.plain)
		}
		if got := lookup(t, sure, c.addr); got != c.sure {
			t.Errorf("%s, confirmed: %q, want %q", c.addr, got, c.sure)
		}
	}
	if got := lookup(t, plain, "192.0.2.4"); got != "" {
		t.Errorf("a resolver that is silent: %q", got)
	}
	asked := z.asked.Load()
	for range 10 { // names and failures are kept
		lookup(t, plain, "192.0.2.1")
		lookup(t, plain, "192.0.2.9")
	}
	if n := z.asked.Load() - asked; n != 0 {
		t.Errorf("%d questions though the answers were known", n)
	}
	if got := plain.Name(netip.MustParseAddr("192.0.2.1")); got != "scanner.example.net" {
		t.Errorf("known name: %q", got)
	}
	if got := plain.Name(netip.MustParseAddr("203.0.113.1")); got != "" {
		t.Errorf("a name out of nothing: %q", got)
	}
}

func TestNeverWaitsAndStaysBounded(t *testing.T) {
	hold := make(chan struct{}) // a resolver that hangs
	z := serve(t, map[string]string{"PTR 1.2.0.192.in-addr.arpa.": "one.example."}, hold)
	r := New(Config{Resolver: z.Resolver, Workers: 1, Queue: 4, Timeout: time.Minute})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	var answers atomic.Int64
	begin := time.Now()
	for a, i := netip.MustParseAddr("192.0.2.1"), 0; i < 200; a, i = a.Next(), i+1 {
		for range 100 {
			r.Lookup(a, func(string) { answers.Add(1) })
		}
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("20,000 calls took %v", took)
	}
	// At most 5 addresses are asked for, each for at most maxWaiting.
	if wait := 20_000 - answers.Load(); wait > 5*maxWaiting+maxWaiting || wait < maxWaiting {
		t.Errorf("%d wait", wait)
	}
	if r.Dropped() == 0 {
		t.Error("nothing was dropped")
	}
	cancel()
	close(hold)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := answers.Load(); n != 20_000 {
		t.Errorf("%d answers to 20,000 questions", n)
	}
	done, dropped := false, r.Dropped()
	r.Lookup(netip.MustParseAddr("203.0.113.9"), func(string) { done = true })
	if !done || r.Dropped() != dropped {
		t.Errorf("after the end: answered %v, and %d counted for a full queue", done, r.Dropped()-dropped)
	}
}

func TestCacheIsBounded(t *testing.T) {
	r := New(Config{Cache: 3, TTL: time.Minute})
	a := netip.MustParseAddr("192.0.2.1")
	for i := range 10 {
		r.answer(a, "n.example")
		if n := len(r.cache); n > 3 || n != len(r.order) {
			t.Fatalf("%d names after %d, ring of %d", n, i+1, len(r.order))
		}
		if r.Name(a) == "" {
			t.Fatal("the newest is not there")
		}
		a = a.Next()
	}
	if r.Name(netip.MustParseAddr("192.0.2.1")) != "" {
		t.Error("the oldest is still there")
	}
	r = New(Config{TTL: time.Nanosecond})
	r.answer(a, "n.example")
	time.Sleep(time.Millisecond)
	if r.Name(a) != "" {
		t.Error("kept beyond its time")
	}
}
