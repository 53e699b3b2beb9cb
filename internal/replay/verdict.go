// SPDX-License-Identifier: MIT

package replay

// A Verdict says whether a packet is a probe, and why. The zero Verdict is Probe.
type Verdict uint8

// The verdicts, in the order in which they are reached.
const (
	Probe        Verdict = iota // a rule would have mirrored it
	NotIP                       // ARP and whatever else is no IP packet
	Garbage                     // no IP packet that a stack would take
	Cut                         // too little was captured to tell what it is
	Fragment                    // a piece of a packet that is not whole yet, or never was
	Own                         // sent by the watched hosts
	Broadcast                   // to many: broadcast or multicast
	Foreign                     // to a host that is not watched
	Answer                      // answers an earlier packet of its flow
	Established                 // of a connection that was answered
	Related                     // an ICMP error about a flow that is known
	Late                        // from whom a watched host asked, when its flow was over
	Stray                       // an answer to a network behind the host, to nothing that is known
	Echo                        // a ping
	Housekeeping                // ICMP that is neither a scanner's request nor an error
	Open                        // to a port that serves somebody
	Unmonitored                 // to a port that no mode watches
	Verdicts                    // how many there are; for tables indexed by Verdict
)

// String returns the verdict as summaries and JSON spell it.
func (v Verdict) String() string {
	names := [...]string{
		Probe: "probe", NotIP: "not-ip", Garbage: "garbage", Cut: "cut", Fragment: "fragment", Own: "own",
		Broadcast: "broadcast", Foreign: "foreign", Answer: "answer", Established: "established",
		Related: "related", Late: "late", Stray: "stray",
		Echo: "echo", Housekeeping: "housekeeping", Open: "open", Unmonitored: "unmonitored",
	}
	if int(v) < len(names) {
		return names[v]
	}
	return "unknown"
}

// Why returns the verdict in words.
func (v Verdict) Why() string {
	words := [...]string{
		Probe: "to a watched port that serves nobody", NotIP: "no IP packet",
		Garbage: "no IP packet that a host would take",
		Cut:     "too little of it was captured", Fragment: "a piece of a packet that is not whole yet, or " +
			"never was",
		Own: "sent by the watched hosts", Broadcast: "to many hosts",
		Foreign: "to a host that is not watched",
		Answer:  "answers an earlier packet of its flow", Established: "of a connection that was answered",
		Late:    "from an address and port that a watched host asked, late",
		Stray:   "an answer to a network behind the host, to nothing that is known",
		Related: "an ICMP error about a flow that is known", Echo: "a ping",
		Housekeeping: "ICMP that only hosts and routers need",
		Open:         "to a port that serves somebody", Unmonitored: "to a port that no mode watches",
	}
	if int(v) < len(words) {
		return words[v]
	}
	return ""
}
