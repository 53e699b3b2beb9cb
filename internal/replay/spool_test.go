// SPDX-License-Identifier: MIT

package replay

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/sys/unix"
)

// TestPipe reads a capture that comes through a pipe, plain and compressed, as
// it reads the file, and leaves nothing behind.
func TestPipe(t *testing.T) {
	for _, name := range []string{"syn4.pcap", "syn6.pcapng.gz"} {
		folder := t.TempDir()
		t.Setenv("TMPDIR", folder)
		fifo := filepath.Join(t.TempDir(), "fifo")
		if err := unix.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		b := captures(t)[name]
		written := make(chan error, 1)
		go func() { written <- os.WriteFile(fifo, b, 0) }()
		s, err := Named(fifo)
		if err := errors.Join(err, <-written); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
			t.Errorf("%s: left behind: %v, %v", name, left, err)
		}
		got, _, err := verdicts(t, Rules{}, s)
		want, _, _ := verdicts(t, Rules{}, Memory(name, b))
		if err != nil || len(got) == 0 || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, %v, want %v", name, err, got, want)
		}
	}
}

// TestPipeFaults: devices are refused before they are read, a file is left to
// Run, and a pipe that cannot be kept says where and why.
func TestPipeFaults(t *testing.T) {
	if _, err := Named("/dev/zero"); !errors.Is(err, ErrDevice) {
		t.Errorf("/dev/zero: %v", err)
	}
	s, err := Named("testdata/none.pcap")
	if err != nil {
		t.Error(err)
	}
	if _, _, err = verdicts(t, Rules{}, s); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	_, err = spool("-", io.MultiReader(strings.NewReader("capture"), iotest.ErrReader(unix.ENOSPC)))
	if !errors.Is(err, unix.ENOSPC) || !strings.HasPrefix(err.Error(),
		`read "-": after 7 bytes, which are kept in `) {
		t.Errorf("a full disk: %v", err)
	}
	t.Setenv("TMPDIR", "/nowhere")
	if _, err = spool("-", strings.NewReader("")); !errors.Is(err, fs.ErrNotExist) ||
		!strings.Contains(err.Error(), "kept in /nowhere") {
		t.Errorf("no folder: %v", err)
	}
}
