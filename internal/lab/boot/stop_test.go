// SPDX-License-Identifier: MIT

package boot

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// stopped: after a stop, a removal or a file with errors only the operator starts picket again,
// and then it starts at once.
func (s *story) stopped() {
	s.configure("")
	const faulty = "printf 'dry_rum = true\\n' >/etc/picket/picket.toml; "
	const mend = `/etc/picket/picket.toml:1: dry_rum: is unknown`
	for _, end := range []struct {
		name, command string
		asked         int // an operator's questions for the status
		answer        string
		states        string // of service, control socket, trap socket
	}{
		{"stop", "systemctl stop picket.service", 0, "", "inactive active inactive"},
		{"remove", "picket remove", 1, "picket is not running", "inactive inactive inactive"},
		{"a file with faults", faulty + "! systemctl restart picket.service", 1, mend,
			"failed active inactive"},
		// More starts than systemd's own limit allows.
		{"faults and patience", faulty +
			"for i in 1 2 3 4 5 6 7 8 9; do ! systemctl restart picket.service; done",
			30, mend, "failed active inactive"},
	} {
		s.run("sh", "-ec", end.command)
		s.within(time.Second, "sockets closed after "+end.name, func() bool {
			return !strings.Contains(s.try("ss", "-tln"), ":61003")
		})
		for range 30 {
			s.knock(61003)
		}
		for range end.asked {
			if out := s.try("sh", "-c", "picket status 2>&1"); !strings.Contains(out, end.answer) {
				s.t.Errorf("%s: picket status says %q", end.name, out)
			}
		}
		s.within(time.Second, fmt.Sprintf("%q after %s and connections", end.states, end.name), func() bool {
			return s.states() == end.states
		})
		s.configure("")
		s.run("systemctl", "start", "picket.service")
		if states := s.states(); states != "active active active" {
			s.t.Errorf("started after %s: %q", end.name, states)
		}
		s.run("picket", "status")
	}
	s.run("picket", "block", peerAddress) // as before the removal
	// Nothing is refused during a restart and a crash.
	s.run("systemctl", "restart", "picket.service")
	before := s.process()
	s.run("systemctl", "kill", "--signal=KILL", "picket.service")
	for s.process() == before || s.process() == 0 {
		if strings.Contains(s.try("systemctl", "is-active", "picket-trap.socket"), "inactive") {
			s.t.Fatal("the trap's socket is closed while picket comes back")
		}
	}
}

// states returns the states of the service, the control socket and the trap's socket.
func (s *story) states() string {
	return strings.Join(strings.Fields(s.try("systemctl", "is-active", "picket.service", "picket.socket",
		"picket-trap.socket")), " ")
}

// knock connects from an unknown source, with or without an answer.
func (s *story) knock(port int) {
	s.t.Helper()
	err := s.inPeer(func() error {
		c, err := net.DialTimeout("tcp4", fmt.Sprintf("%s:%d", hostAddress, port), 200*time.Millisecond)
		if err == nil {
			c.Close()
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}
