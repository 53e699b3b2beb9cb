// SPDX-License-Identifier: MIT

package evidence

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var packets = []Packet{
	{At: 1_700_000_000_123_456_789, Data: ip("192.0.2.1", 40), Length: 40,
		Comment: "syn to tcp/22, stealth: port 1 of the 25"},
	{At: 1_700_000_001_000_000_001, Data: ip("192.0.2.2", 37), Length: 1500,
		Comment: "zwei\n\x1b[31mred\x00\xff\u00fc"},
	{At: -1, Data: append([]byte{0x60}, make([]byte, 39)...), Comment: strings.Repeat("\u00fc", 40_000)},
}

// ip returns the first n bytes of a TCP SYN.
func ip(source string, n int) []byte {
	b := append([]byte{0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0}, make([]byte, 28)...)
	copy(b[12:], []byte{192, 0, 2, source[len(source)-1] - '0', 192, 0, 2, 9, 0x9c, 0x40, 0, 22})
	b[32], b[33] = 5<<4, 2
	return b[:n]
}

// TestTshark has tshark read what is written.
func TestTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Fatalf("%v: install tshark", err)
	}
	file := filepath.Join(t.TempDir(), "x.pcapng")
	var b bytes.Buffer
	if err := Write(&b, "picket 1.0", "why it is blocked\nin two lines", packets); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tshark, "-r", file, "-T", "fields", "-E", "separator=|", "-e", "frame.time_epoch",
		"-e", "ip.src", "-e", "frame.len", "-e", "frame.cap_len", "-e", "frame.comment", "-e", "tcp.dstport")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, complaints.String())
	}
	got := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	want := []string{
		"1700000000.123456789|192.0.2.1|40|40|syn to tcp/22, stealth: port 1 of the 25|22",
		"1700000001.000000001|192.0.2.2|1500|37|zwei\\n?[31mred??\u00fc|22",
		"0.000000000||40|40|" + strings.Repeat("\u00fc", maxComment/2) + "|",
	}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Errorf("packet %d\ngot  %.200q\nwant %.200q", i+1, strings.Join(got[min(i, len(got)):], "\n"),
				want[i])
		}
	}
	info, err := exec.Command("capinfos", "-c", "-E", "-k", file).CombinedOutput()
	if err != nil || !strings.Contains(string(info), "Raw IP") || !strings.Contains(string(info),
		"why it is blocked") || !strings.Contains(string(info), "3") {
		t.Errorf("%v\n%s", err, info)
	}
}

// full is a disk.
type full struct{ left int }

func (f *full) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, os.ErrInvalid
	}
	return len(b), nil
}

func TestWriteFails(t *testing.T) {
	if err := Write(&full{left: 100}, "x", "y", packets); !errors.Is(err, os.ErrInvalid) {
		t.Errorf("a full disk: %v", err)
	}
	var b bytes.Buffer
	if err := Write(&b, "", "", nil); err != nil || b.Len() == 0 || b.Len()%4 != 0 {
		t.Errorf("nothing to write: %v, %d bytes", err, b.Len())
	}
}
