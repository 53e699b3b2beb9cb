// SPDX-License-Identifier: MIT

package history

import (
	"fmt"
	"strings"

	"picket/internal/event"
	"picket/internal/probe"
)

// appendOne writes PortSentry 1.2's line (WriteBlocked in portsentry_io.c):
//
//	1795391544 - 11/22/2026 23:52:24 Host: 192.0.2.1/192.0.2.1 Port: 11 TCP Blocked
//
// It says "Blocked" for every action, as PortSentry does with BLOCK_TCP="0":
// fail2ban's filter reads that.
func appendOne(b []byte, r Record) []byte {
	t := r.Event.Time.In(r.Zone)
	return fmt.Appendf(b, "%d - %s Host: %s/%s Port: %d %s Blocked\n",
		t.Unix(), t.Format("01/02/2006 15:04:05"), r.name(), r.Address, r.Event.Port, protocol(r.Event))
}

// appendTwo writes PortSentry 2's line (LogScanEvent in sentry.c):
//
//	2026-11-22T23:18:47.694+0000 Scan from: [192.0.2.1] (192.0.2.1) protocol: [TCP] port: [11]
//	  type: [TCP SYN/Normal scan] IP opts: [unknown] ignored: [false] triggered: [true]
//	  noblock: [false] blocked: [true]
//
// in one line. The IP options are unknown, PortSentry's own word where it did not
// look. Blocked is true only if the kernel has acknowledged a block: PortSentry
// says it of a failed command, too.
func appendTwo(b []byte, r Record) []byte {
	blocked := r.Event.Event == "block"
	return fmt.Appendf(b, "%s Scan from: [%s] (%s) protocol: [%s] port: [%d] type: [%s] IP opts: [unknown] "+
		"ignored: [false] triggered: [true] noblock: [%t] blocked: [%t]\n",
		r.Event.Time.In(r.Zone).Format("2006-01-02T15:04:05.000-0700"),
		r.Address, r.name(), protocol(r.Event), r.Event.Port, label(r.Event), !blocked, blocked)
}

// name is the host name, or the address without one.
func (r Record) name() string {
	if r.Name != "" {
		return r.Name
	}
	return r.Address.String()
}

func protocol(e event.Event) string { return strings.ToUpper(e.Protocol) }

// label is PortSentry's name of a probe (ReportPacketType in packet_info.c), in its
// order: XMAS if FIN, PSH and URG are set, with any other flag.
func label(e event.Event) string {
	switch {
	case e.Mode == "classic", e.Technique == "connect":
		return "Connect"
	case e.Protocol != "tcp":
		return strings.ToUpper(e.Protocol)
	}
	has := flags(e)
	switch {
	case has("syn")+has("fin")+has("ack")+has("psh")+has("urg")+has("rst") == 0:
		return "TCP NULL scan"
	case has("fin")+has("urg")+has("psh") == 3:
		return "TCP XMAS scan"
	case has("fin") == 1 && has("syn")+has("ack")+has("psh")+has("urg")+has("rst") == 0:
		return "TCP FIN scan"
	case has("syn") == 1 && has("fin")+has("ack")+has("psh")+has("urg")+has("rst") == 0:
		return "TCP SYN/Normal scan"
	}
	return fmt.Sprintf("Unknown Type: TCP Packet Flags: SYN: %d FIN: %d ACK: %d PSH: %d URG: %d RST: %d",
		has("syn"), has("fin"), has("ack"), has("psh"), has("urg"), has("rst"))
}

// flags returns a function from a flag to 1 or 0. An event without flags, a pattern
// for instance, has the flags of its technique.
func flags(e event.Event) func(string) int {
	s := e.Flags
	if s == "" {
		switch s = e.Technique; s {
		case probe.Maimon.String():
			s = "fin-ack"
		case probe.Xmas.String():
			s = "fin-psh-urg"
		}
	}
	set := strings.FieldsFunc(strings.ToLower(s), func(c rune) bool { return c < 'a' || c > 'z' })
	return func(name string) int {
		for _, f := range set {
			if f == name {
				return 1
			}
		}
		return 0
	}
}
