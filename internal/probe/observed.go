// SPDX-License-Identifier: MIT

package probe

import (
	"math/bits"
	"strings"
)

// The score of a source is a sequential test (Wald 1945; for scans Jung, Paxson,
// Berger and Balakrishnan, "Fast Portscan Detection Using Sequential Hypothesis
// Testing", 2004): each thing that a probe shows adds ten times the logarithm of
// how much oftener scanners show it than ordinary visitors do, in decibans. By
// Wald's bound no more than one ordinary visitor in 10^(score/10) ever comes to a
// score.
//
// Jung's test asks whether connections fail. Here all of them do, so the test
// asks what they are like. Its observations are not independent, so those about
// how packets are made count once a source, those about ports once a port, and
// a score cannot fall below a floor, or it could be saved up.

// An Observation is something that a probe shows of its source. The zero
// Observation is none.
type Observation uint8

// The observations. weighs has what each is worth, and why.
const (
	_ Observation = iota

	// How the packet is made. Of these the heaviest counts that a source ever
	// showed, and counts once: all its packets come from one program.
	MadeRaw
	MadeFlags
	MadeBare
	MadeShort
	MadeOdd
	MadeFar
	MadeEmpty
	MadeRequest
	MadeMixed

	// What it asks for, once for each port.
	AsksBait
	AsksSought
	AsksOther
	AsksHigh
	AsksProtocol
	AsksTrap

	// How it goes about it.
	SamePort
	MoreAddresses
	ComesAgain
	ComesBack
	Sibling
	IsFriend
)

// Observations is the length of a table indexed by Observation.
const Observations = int(IsFriend) + 1

// weighs is the only place where evidence is weighed: what an observation says,
// in decibans. Rates of scanners are those of the firewall log of a host on the
// internet (1,142 sources, 8,351 packets in two days; each port of a source
// once). Rates of ordinary visitors are those of make evaluate's life and of
// TestOrdinaryLife (each port of a visitor once), or, for none among n, 3/n (the rule
// of three). One below a thousandth is taken for a thousandth or more, since one life
// is not all lives. docs/patterns.md says it in words.
var weighs = [Observations]struct {
	decibans int8
	says     string
}{
	MadeRaw:     {42, "a packet that no client's system sends"},
	MadeFlags:   {32, "flags that no system sends to begin anything"},
	MadeBare:    {22, "a SYN without any option"},
	MadeShort:   {13, "a SYN with MSS alone and a window of Linux or Windows"},
	MadeOdd:     {5, "a packet that may be fragmented, which today's systems do not send"},
	MadeFar:     {11, "a SYN of an ordinary system from a TTL that it does not begin with"},
	MadeEmpty:   {8, "a datagram with nothing in it"},
	MadeRequest: {12, "a request that only scanners make"},
	MadeMixed:   {13, "a SYN with the options of Windows and the TTL of other systems"},

	AsksBait:     {15, "a port that bots look for and nobody mistypes"},
	AsksSought:   {5, "a port that scanners seek more than clients do"},
	AsksOther:    {4, "a port of no common service"},
	AsksHigh:     {2, "a port from which programs make their own connections"},
	AsksProtocol: {8, "an IP protocol that is not spoken here"},
	AsksTrap:     {15, "a completed connection to a trap"},

	SamePort:      {10, "another port from the same source port"},
	MoreAddresses: {4, "one more of this host's addresses"},
	ComesAgain:    {7, "the same bait in another hour"},
	ComesBack:     {10, "again after it was kept in the dark"},
	Sibling:       {8, "neighbours of it scan"},
	IsFriend:      {-20, "this host has a connection with it"},
}

// String says the observation in words.
func (o Observation) String() string {
	if int(o) < Observations {
		return weighs[o].says
	}
	return ""
}

// Decibans is what the observation adds to a score.
func (o Observation) Decibans() int {
	if int(o) < Observations {
		return int(weighs[o].decibans)
	}
	return 0
}

// An Observed is a set of observations.
type Observed uint32

// Has reports whether o is in the set.
func (x Observed) Has(o Observation) bool { return x>>o&1 != 0 }

// All calls yield for each observation of the set.
func (x Observed) All(yield func(Observation) bool) {
	for ; x != 0; x &= x - 1 {
		if !yield(Observation(bits.TrailingZeros32(uint32(x)))) {
			return
		}
	}
}

// String names the observations, "" if there is none.
func (x Observed) String() string {
	var words []string
	for o := range x.All {
		words = append(words, o.String())
	}
	return strings.Join(words, "; ")
}
