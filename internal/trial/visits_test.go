// SPDX-License-Identifier: MIT

package trial

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"picket/nft"
)

// summarised returns the summary of a capture under a configuration, and the lines of its packets.
func summarised(t *testing.T, text string, c *capture) (sum kept, lines []string) {
	t.Helper()
	for line := range strings.Lines(ran(t, text, c.b, Options{JSON: true})) {
		var x struct {
			Event string
			kept
		}
		if err := json.Unmarshal([]byte(line), &x); err != nil {
			t.Fatal(err)
		}
		sum = x.kept
	}
	for line := range strings.Lines(ran(t, text, c.b, Options{Packets: true})) {
		lines = append(lines, line)
	}
	return sum, lines
}

// service is a capture in which a client connects to port 25.
func service() *capture {
	c := newCapture()
	c.tcp(client, server, 5000, 25, syn)
	c.tcp(server, client, 25, 5000, syn|ack)
	c.tcp(client, server, 5000, 25, ack)
	return c
}

// TestVisits: a SYN to a service gets the verdict of the live host. A stranger's passes. A
// scanner's is refused, and fences the scanner. A SYN of a connected peer, or one that comes
// again, does not wait.
func TestVisits(t *testing.T) {
	c := service()
	c.tcp(client, server, 5001, 25, syn) // it is connected
	c.tcp(forger+1, server, 4000, 25, syn)
	c.tcp(forger+1, server, 4000, 25, syn) // again
	for i, port := range []uint16{23, 2323, 5555} {
		c.tcp(forger+2, server, 2000+uint16(i), port, syn)
	}
	c.tcp(forger+2, server, 4000, 25, syn)
	c.tcp(forger+2, server, 4001, 25, syn) // fenced
	sum, lines := summarised(t, "[inline]\nports = \"open\"", c)
	// The client's first SYN, the stranger's and the scanner's.
	if sum.Waited != 3 || sum.Inline != 1 || sum.Before != 1 || sum.all() != sum.Inline+sum.Fence+sum.Dark {
		t.Errorf("%+v", sum)
	}
	all := strings.Join(lines, "")
	for text, n := range map[string]int{
		": it would have waited for the inline verdict, and passed\n": 2,
		": it would have waited, and the inline verdict refused it\n": 1,
		" open: of a fenced source: the kernel would have dropped it": 1,
	} {
		if strings.Count(all, text) != n {
			t.Errorf("not %d times %q in\n%s", n, text, all)
		}
	}
	if text := ran(t, "[inline]\nports = \"open\"", c.b, Options{}); !containsAll(text,
		"of these that wait for the inline verdict", "of these refused by it", "1 were fenced") {
		t.Error(text)
	}
	if sum, _ := summarised(t, "", c); sum.Waited != 0 || sum.Inline != 0 {
		t.Errorf("without the inline verdict %+v", sum)
	}
}

// TestVisitsAreLed: as many ports lead a dark source to the trap as on the live host.
func TestVisitsAreLed(t *testing.T) {
	c := service()
	for _, port := range []uint16{23, 2323, 5555} {
		c.tcp(forger+1, server, 2000, port, syn)
	}
	for range nft.InviteEach + 2 {
		c.tcp(forger+1, server, 2001, 8001, syn)
	}
	for port := uint16(8002); port < 8060; port++ {
		c.tcp(forger+1, server, 2002, port, syn)
	}
	for port := uint16(8060); port < 8070; port++ { // with options, these have places of their own
		head := binary.BigEndian.AppendUint16([]byte{7, 211}, port)
		head = append(head, 0, 0, 0, 7, 0, 0, 0, 0, 0x70, syn, 250, 0, 0, 0, 0, 0)
		c.other(forger+1, 6, append(head, 2, 4, 5, 0xb4, 4, 2, 1, 1))
	}
	const want = nft.InviteEach + nft.InvitePorts - 1 + 10
	sum, lines := summarised(t, "[trap]\ninvite = \"scored\"", c)
	if sum.Led < want-2 || sum.Led > want {
		t.Errorf("%d were led, want about %d: %+v", sum.Led, want, sum)
	}
	if n := strings.Count(strings.Join(lines, ""), ": the kernel would have led it to the trap: "); n !=
		int(sum.Led) {
		t.Errorf("%d lines of %d", n, sum.Led)
	}
	if sum, _ := summarised(t, "", c); sum.Led != 0 {
		t.Errorf("without invitation %+v", sum)
	}
}

// TestLapsing: a full set takes no more, and an element that has ended makes room.
func TestLapsing(t *testing.T) {
	var l lapsing[int]
	for i := range maxReacted {
		l.count(i, 0, 10e9)
	}
	if n := l.count(-1, 5e9, 10e9); n != 0 || l.has(-1, 5e9) {
		t.Errorf("a full set took one more: %d", n)
	}
	if n := l.count(7, 5e9, 10e9); n != 2 {
		t.Errorf("counted %d times, want 2", n)
	}
	if n := l.count(-1, 11e9, 10e9); n != 1 || !l.has(-1, 12e9) || l.has(7, 11e9) {
		t.Errorf("no room where all has ended: %d", n)
	}
}

func containsAll(text string, want ...string) bool {
	for _, w := range want {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}
