// SPDX-License-Identifier: MIT

package boot

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// hung has journald hang, with its socket full of what others say: picket detects, blocks,
// answers and stops as ever. Once journald goes on, the journal has what waited, how much
// was shed, and what happens from then on.
func (s *story) hung() {
	s.run("picket", "unblock", "--all")
	logger, err := strconv.Atoi(strings.TrimSpace(s.run("systemctl", "show", "--value", "--property",
		"MainPID", "systemd-journald.service")))
	if err != nil {
		s.t.Fatal(err)
	}
	resume := func() { s.run("kill", "-CONT", strconv.Itoa(logger)) }
	defer resume()
	hang := func() {
		s.t.Helper()
		s.run("kill", "-STOP", strconv.Itoa(logger))
		if err := s.clog(); err != nil {
			s.t.Fatal(err)
		}
	}

	told := func() int {
		return strings.Count(s.try("journalctl", "--boot", "--no-pager", "--output=cat", "PICKET_EVENT=block",
			"PICKET_SOURCE="+peerAddress), "\n")
	}
	before := told()
	hang()
	s.fromPeer("nmap", "-n", "-Pn", "-sS", "-T4", "--max-retries", "0", "-p1-200", hostAddress)
	s.within(time.Second, "block while journald hangs", func() bool { return s.remaining(peerAddress) > 0 })
	if out := s.run("picket", "status"); !strings.Contains(out, "1 in force") {
		s.t.Errorf("picket status:\n%s", out)
	}
	if told() != before {
		s.t.Error("journald does not hang")
	}
	resume()
	// What others said fills no socket any more, and picket is woken up by nobody but that.
	s.within(time.Second, "the block in the journal", func() bool { return told() > before })

	// More events than wait: those of 100 blocks by hand, and of their ends, again and again.
	hang()
	const pairs = 25
	script := "for i in $(seq 100); do echo 203.0.113.$i; done >/tmp/list; " +
		"for i in $(seq " + strconv.Itoa(pairs) + "); do " +
		"picket block --file /tmp/list --for 1h; picket unblock --file /tmp/list; done"
	s.run("sh", "-ec", script)
	var status struct{ Untold uint64 }
	if err := json.Unmarshal([]byte(s.run("picket", "status", "--json")), &status); err != nil ||
		status.Untold < 200*pairs-4096-100 {
		s.t.Errorf("picket status tells of %d events that did not fit, %v", status.Untold, err)
	}
	resume()
	s.told("events that were shed", "events were not written: the journal was gone, or slower than they come")

	hang()
	begun := time.Now()
	s.run("systemctl", "stop", "picket.service")
	if took := time.Since(begun); took > 5*time.Second {
		s.t.Errorf("the stop took %v while journald hangs", took)
	}
	out := s.run("systemctl", "show", "--value", "--property", "Result", "picket.service")
	if out != "success\n" {
		s.t.Errorf("the stop: %s", out)
	}
	s.run("systemctl", "start", "picket.service")
	s.run("picket", "status")
	if s.remaining(peerAddress) == 0 {
		s.t.Error("the block was lost")
	}
}

// clog fills journald's socket, as another program does that talks while it hangs.
func (s *story) clog() error {
	c, err := net.Dial("unixgram", fmt.Sprintf("/proc/%d/root/run/systemd/journal/socket", s.leader))
	if err != nil {
		return err
	}
	defer c.Close()
	u := c.(*net.UnixConn)
	for {
		if err := u.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			return err
		}
		switch _, err := u.Write([]byte("PRIORITY=7\nMESSAGE=another program\n")); {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil && !errors.Is(err, syscall.EINTR):
			return err
		}
	}
}
