// SPDX-License-Identifier: MIT

package show

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudoterminal: text written to one end is typed at the other.
func terminal(t *testing.T) (user, screen *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { user.Close() })
	if err := unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(user.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	return user, screen
}

// TestTerminalSize: only a terminal has a size; one without a size has the usual one.
func TestTerminalSize(t *testing.T) {
	user, screen := terminal(t)
	size, ok := Terminal(screen)
	if !ok {
		t.Fatal("a terminal is none")
	}
	if width, height := size(); width != 80 || height != 24 {
		t.Errorf("without a size: %d by %d", width, height)
	}
	if err := unix.IoctlSetWinsize(int(user.Fd()), unix.TIOCSWINSZ,
		&unix.Winsize{Col: 132, Row: 50}); err != nil {
		t.Fatal(err)
	}
	if width, height := size(); width != 132 || height != 50 || Width(screen) != 132 {
		t.Errorf("%d by %d, width %d", width, height, Width(screen))
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if n := Width(null) + Width(new(strings.Builder)); n != 0 {
		t.Errorf("what is no terminal has %d columns", n)
	}
}
