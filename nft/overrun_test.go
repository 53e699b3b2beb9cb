// SPDX-License-Identifier: MIT

package nft

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// What a full socket loses of others' changes (ENOBUFS) is a change by nobody known,
// and the next one is heard of as ever.
func TestWatchOverrun(t *testing.T) {
	inNetns(t)
	tab := open(t)
	install(t, tab)
	w, err := tab.Watch()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.conn.SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	var many strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&many, "add element inet picket blocked4 { 198.18.%d.%d timeout 1h }\n", i/250, i%250)
	}
	run(t, many.String(), "nft", "-f", "-")
	heard := make(chan string, 100)
	ended := make(chan error, 1)
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
	run(t, "", "nft", "add element inet picket blocked4 { 203.0.113.9 timeout 1h }")
	next("nft[")
	w.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
