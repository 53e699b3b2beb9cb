// SPDX-License-Identifier: MIT

package elem

import (
	"encoding/binary"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"picket/internal/netns/netnstest"
)

// A question whose answers do not fit into the socket's buffer fails. Its answers are not taken for
// those of the next one.
func TestAnswersThatDoNotFit(t *testing.T) {
	netnstest.Enter(t)
	c := exec.Command("nft", "-f", "-")
	c.Stdin = strings.NewReader("table inet picket {\nset blocked4 { type ipv4_addr; }\n}\n" +
		"add element inet picket blocked4 { 198.18.0.0, 198.18.0.1, 198.18.0.2, 198.18.0.3 }\n")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	q, err := NewQuestion("picket")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if err := unix.SetsockoptInt(q.socket, unix.SOL_SOCKET, unix.SO_RCVBUF, 2048); err != nil {
		t.Fatal(err)
	}
	const many = 100
	for i := range uint32(many) {
		if err := q.Put(i, "blocked4", binary.BigEndian.AppendUint32(nil, 198<<24|18<<16|i%4)); err != nil {
			t.Fatal(err)
		}
	}
	answers := 0
	if err := q.Ask(many, func(uint32, *Element) { answers++ }); err == nil || answers == many {
		t.Fatalf("%d answers fit, %v", answers, err)
	}
	for range many {
		if is, err := q.Has("blocked4", []byte{203, 0, 113, 9}); is || err != nil {
			t.Fatalf("the answer of another question: %v, %v", is, err)
		}
	}
}
