// SPDX-License-Identifier: MIT

package journal

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// listen is a journald at path that reads when it is asked to.
func listen(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// next is the next entry that journald reads.
func next(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	b := make([]byte, 1<<16)
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func writer(path string) *Writer { return start(toJournald(path)) }

func TestJournaldEntry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	c := listen(t, path)
	w := writer(path)
	defer w.Close()
	w.Notice(Start, "two\nlines")
	got := "\n" + next(t, c)
	for _, want := range []string{"\nMESSAGE=two?lines\n", "\nPRIORITY=5\n",
		"\nMESSAGE_ID=" + MessageID(Start) + "\n", "\nSYSLOG_IDENTIFIER=picket\n",
		"\nPICKET_EVENT=notice\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	// No value has a line break, and one that had could not add a field.
	const want = "A\n\x05\x00\x00\x00\x00\x00\x00\x00b\nC=d\n"
	if got := string(native(map[string]string{"A": "b\nC=d"})); got != want {
		t.Errorf("%q", got)
	}
}

// A journald that hangs, its queue full of others' entries, costs no processor time, and has
// everything when it goes on.
func TestJournaldHangs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	c := listen(t, path)
	other, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	waiting := 0
	for ; err == nil; waiting++ {
		if err := other.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		_, err = other.Write([]byte("MESSAGE=of another\n"))
	}
	w := writer(path)
	defer w.Close()
	w.Notice("", "once")
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	time.Sleep(time.Second) // what is measured
	if took := used() - before; took > 100*time.Millisecond {
		t.Errorf("waiting for a second took %v of the processor", took)
	}
	for range waiting - 1 {
		next(t, c)
	}
	if got := next(t, c); !strings.Contains(got, "MESSAGE=once\n") {
		t.Errorf("%q", got)
	}
}

// Entries that are lost while journald is gone are counted, and reported when it is back.
func TestJournaldGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	first := listen(t, path)
	w := writer(path)
	defer w.Close()
	w.Notice("", "one")
	if got := next(t, first); !strings.Contains(got, "MESSAGE=one\n") {
		t.Errorf("%q", got)
	}
	first.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for n := range uint64(3) {
		w.Notice("", "to nobody")
		for deadline := time.Now().Add(10 * time.Second); w.Dropped() != n+1; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d are counted of %d", w.Dropped(), n+1)
			}
		}
	}
	second := listen(t, path)
	w.Notice("", "two")
	if got := next(t, second); !strings.Contains(got, "MESSAGE=two\n") {
		t.Errorf("%q", got)
	}
	if got := next(t, second); !strings.Contains(got, "3 events were not written") {
		t.Errorf("%q", got)
	}
}
