// SPDX-License-Identifier: MIT

package watch

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"picket/internal/netns/netnstest"
)

// If a full socket loses changes of others (ENOBUFS), that is a change by an unknown process.
// The next change is reported as usual.
func TestWatchOverrun(t *testing.T) {
	netnstest.Enter(t)
	nft := func(text string) {
		t.Helper()
		c := exec.Command("nft", "-f", "-")
		c.Stdin = strings.NewReader(text)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("nft: %v\n%s", err, out)
		}
	}
	nft("add table inet picket\nadd set inet picket blocked4 { type ipv4_addr; }\n")
	w, err := New(0, "picket")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.conn.SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	var many strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&many, "add element inet picket blocked4 { 198.18.%d.%d }\n", i/250, i%250)
	}
	nft(many.String())
	heard, ended := make(chan string, 100), make(chan error, 1)
	go func() { ended <- w.Run(func(by string) { heard <- by }) }()
	next := func(want string) {
		t.Helper()
		for limit := time.After(10 * time.Second); ; {
			select {
			case by := <-heard:
				if strings.HasPrefix(by, want) {
					return
				}
			case <-limit:
				t.Fatalf("no change by %s is heard of", want)
			}
		}
	}
	next("unknown")
	nft("add element inet picket blocked4 { 203.0.113.9 }")
	next("nft[")
	w.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
