// SPDX-License-Identifier: MIT

package probe

import "strings"

// A Technique is what one packet is, by its flags and protocol. The zero
// Technique is unknown. docs/patterns.md has a section on each.
type Technique uint16

// The techniques with a name of their own. A TCP flag set that has none is
// oddFlags plus the flags, and is named by them: "syn-fin", "psh-urg".
const (
	Unknown        Technique = iota
	Connect                  // a handshake with the trap listener was completed (nmap -sT)
	SYN                      // SYN alone, ECN set-up (RFC 3168, 6.1.1) included (nmap -sS)
	FIN                      // FIN alone (nmap -sF)
	Null                     // no flag at all (nmap -sN)
	Xmas                     // FIN, PSH and URG (nmap -sX)
	ACK                      // ACK without SYN, FIN and RST (nmap -sA, -sW)
	Maimon                   // FIN and ACK (nmap -sM)
	RST                      // RST, with or without ACK: an answer, see [Technique.Backscatter]
	SYNACK                   // SYN and ACK: an answer
	UDP                      // any datagram (nmap -sU)
	SCTPInit                 // SCTP INIT chunk (nmap -sY)
	SCTPCookieEcho           // SCTP COOKIE-ECHO chunk (nmap -sZ)
	SCTP                     // any other SCTP chunk
	SCTPAnswer               // SCTP INIT-ACK, ABORT and the like: an answer
	ICMP                     // an ICMP request other than echo (nmap -PP, -PM)
	ICMPError                // an ICMP error: an answer to something
	IPProto                  // an IP protocol nobody speaks here (nmap -sO)
	Fragment                 // a fragment whose upper-layer header is elsewhere

	oddFlags Technique = 0x100
)

var techniqueNames = [...]string{
	Unknown: "unknown", Connect: "connect", SYN: "syn", FIN: "fin", Null: "null", Xmas: "xmas", ACK: "ack",
	Maimon: "maimon", RST: "rst", SYNACK: "syn-ack", UDP: "udp", SCTPInit: "sctp-init",
	SCTPCookieEcho: "sctp-cookie-echo", SCTP: "sctp", SCTPAnswer: "sctp-answer", ICMP: "icmp",
	ICMPError: "icmp-error", IPProto: "ip-proto", Fragment: "fragment",
}

// String returns the technique as events spell it.
func (t Technique) String() string {
	if t >= oddFlags {
		return FlagNames(uint8(t))
	}
	if int(t) < len(techniqueNames) {
		return techniqueNames[t]
	}
	return techniqueNames[Unknown]
}

// Backscatter reports whether t is an answer, sent by a host because somebody spoke to it
// in our name. It is counted and never held against its source, the victim of the forgery
// and not its author.
func (t Technique) Backscatter() bool {
	return t == RST || t == SYNACK || t == ICMPError || t == SCTPAnswer
}

// FlagNames spells a TCP flag set, "syn-fin" for instance, and "none" for none.
func FlagNames(flags uint8) string {
	if flags == 0 {
		return "none"
	}
	var names []string
	for _, f := range [...]struct {
		bit  uint8
		name string
	}{
		{FlagSYN, "syn"}, {FlagFIN, "fin"}, {FlagRST, "rst"}, {FlagPSH, "psh"},
		{FlagACK, "ack"}, {FlagURG, "urg"}, {FlagECE, "ece"}, {FlagCWR, "cwr"},
	} {
		if flags&f.bit != 0 {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, "-")
}

// ClassifyTCP names a TCP packet by its flags. ECE and CWR say something about
// congestion and nothing about the kind of a packet (RFC 3168), so they are
// left out unless they stand alone.
func ClassifyTCP(flags uint8) Technique {
	core := flags &^ (FlagECE | FlagCWR)
	switch {
	case core&FlagRST != 0 && core&(FlagSYN|FlagFIN|FlagURG) == 0:
		return RST // with ACK or PSH too: RFC 9293, 3.5.2
	case core&^FlagPSH == FlagSYN|FlagACK:
		return SYNACK
	case core == FlagSYN:
		return SYN
	case core == FlagFIN:
		return FIN
	case core == FlagFIN|FlagPSH|FlagURG:
		return Xmas
	case core&^(FlagPSH|FlagURG) == FlagACK:
		return ACK // data of a connection that we do not know counts here
	case core&^FlagPSH == FlagFIN|FlagACK:
		return Maimon
	case flags == 0:
		return Null
	case core == 0:
		return oddFlags | Technique(flags)
	}
	return oddFlags | Technique(core)
}

// ClassifySCTP names an SCTP packet by the type of its first chunk (RFC 9260, 3.2).
func ClassifySCTP(chunk uint8) Technique {
	switch chunk {
	case 1:
		return SCTPInit
	case 10:
		return SCTPCookieEcho
	case 2, 6, 9, 11, 14: // INIT ACK, ABORT, ERROR, COOKIE ACK, SHUTDOWN COMPLETE
		return SCTPAnswer
	}
	return SCTP
}

// ClassifyICMP names an ICMP packet (RFC 792, RFC 950; v6: RFC 4443, RFC 4620)
// by its type. Replies are counted with errors: both answer something.
func ClassifyICMP(v6 bool, typ uint8) Technique {
	if v6 {
		switch typ {
		case 128, 139: // echo request, node information query
			return ICMP
		}
		return ICMPError
	}
	switch typ {
	case 8, 13, 15, 17: // echo, timestamp, information and address mask requests
		return ICMP
	}
	return ICMPError
}
