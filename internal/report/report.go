// SPDX-License-Identifier: MIT

// Package report sums up events over a period: the sources, their ports, tools and
// countries, and the responses.
//
// [Read] reads picket's events as lines of JSON, [Journal] reads them from the
// journal, and a [Counter] counts them. Memory does not grow with the input:
// at most 65,536 sources are kept apart, with 64 ports each. Further ones, with
// the fewest probes, are only counted. A line has at most 64 KiB. A line
// without an event is skipped and named at the end.
//
// Nothing read is trusted: every text is cut and made printable. Only [Journal]
// needs a privilege, to read the journal.
package report

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/internal/event"
	"picket/internal/show"
)

const (
	maxSources = 1 << 16
	maxPorts   = 64   // of a source
	maxNames   = 4096 // of patterns, tools, countries ... each
)

// A Counter sums up events. Make one with [New]. It is not safe for concurrent
// use.
type Counter struct {
	sources map[string]*source
	let     int // sources only counted
	from    time.Time
	to      time.Time
	events  map[string]int
	shared  map[string]int // patterns of many sources
	reasons map[string]int // of blocks
	answers map[string]int // blocks by response
	blocked map[string]inForce
	drops   uint64 // of ended blocks
	trial   trial
	hours   hours
}

// inForce has the responses to a source without an end so far: a time for each in
// seconds since 1970, the end of a block by its own length. A dark or fenced source that
// goes on stays so for longer, and has an end without a time.
type inForce [3]uint32

// ever is an end without a time: only an event ends the response.
const ever = math.MaxUint32

type source struct {
	Source
	hour  int      // of the last event, from 1
	ports []uint32 // hour<<19 | class<<16 | port, at the first probe
}

// New returns an empty counter.
func New() *Counter {
	return &Counter{
		sources: map[string]*source{}, events: map[string]int{}, shared: map[string]int{},
		reasons: map[string]int{},
		answers: map[string]int{}, blocked: map[string]inForce{}, hours: hours{at: map[int]*Hour{}},
	}
}

// Add counts an event of [Read]'s.
func (c *Counter) Add(e event.Event) {
	if c.from.IsZero() || e.Time.Before(c.from) {
		c.from = e.Time
	}
	if e.Time.After(c.to) {
		c.to = e.Time
	}
	c.events[e.Event]++
	if e.Event == "trial" {
		c.trial.add(&e)
	} else {
		c.drops += e.Drops
	}
	number, hour := c.hours.of(e.Time)
	hour.Events++
	if e.Source == "" {
		if e.Event == "unblock" { // all of them
			clear(c.blocked)
		}
		if e.Event == "pattern" && e.Pattern != "" {
			count(c.shared, e.Pattern)
		}
		return
	}
	switch e.Event {
	case "unblock", "expire":
		c.end(&e)
		if s := c.sources[e.Source]; s != nil {
			s.Drops += e.Drops
		}
	case "block":
		count(c.reasons, e.Reason)
		count(c.answers, response(e.Action))
		c.begin(&e)
		hour.block(response(e.Action))
		fallthrough
	case "probe", "pattern", "ignore", "trial":
		s := c.source(e)
		s.seen(number, hour, e.Time)
		s.add(&e, number)
	}
}

// response returns the response of a block by its action. The blocks of older
// journals all dropped everything.
func response(action string) string {
	if action == "dark" || action == "fence" {
		return action
	}
	return "block"
}

// responses are the names of responses, in the order of an inForce.
var responses = [...]string{"dark", "fence", "block"}

// begin notes a response to a source.
func (c *Counter) begin(e *event.Event) {
	at, there := c.blocked[e.Source]
	if !there && len(c.blocked) >= 1<<18 { // more than the engine's blocks
		return
	}
	i := slices.Index(responses[:], response(e.Action))
	at[i] = ever
	if responses[i] == "block" && e.For > 0 {
		at[i] = uint32(min(max(e.Time.Add(time.Duration(e.For)).Unix(), 0), ever-1))
	}
	c.blocked[e.Source] = at
}

// end notes the end of a response, or of all if the event, of an older journal, names
// none.
func (c *Counter) end(e *event.Event) {
	at, there := c.blocked[e.Source]
	if !there {
		return
	}
	if i := slices.Index(responses[:], e.Response); i >= 0 {
		at[i] = 0
	} else {
		at = inForce{}
	}
	if at == (inForce{}) {
		delete(c.blocked, e.Source)
	} else {
		c.blocked[e.Source] = at
	}
}

// standing counts the responses in force at a time.
func (c *Counter) standing(at time.Time) (n int) {
	for _, x := range c.blocked {
		for _, end := range x {
			if int64(end) > at.Unix() {
				n++
			}
		}
	}
	return n
}

// source returns the record of e's source, and makes room for a new one.
func (c *Counter) source(e event.Event) *source {
	if s := c.sources[e.Source]; s != nil {
		return s
	}
	if len(c.sources) >= maxSources {
		c.letGo()
	}
	s := &source{Source: Source{Source: e.Source, First: e.Time}}
	c.sources[e.Source] = s
	return s
}

// letGo forgets half of the sources, those with the fewest probes, then those with
// the fewest blocks.
func (c *Counter) letGo() {
	list := slices.SortedFunc(maps.Values(c.sources), busier)
	for _, s := range list[len(list)/2:] {
		delete(c.sources, s.Source.Source)
	}
	c.let += len(list) - len(list)/2
}

// busier orders sources by their probes, then by their blocks, the most first.
func busier(a, b *source) int {
	return cmp.Or(cmp.Compare(b.Probes, a.Probes), cmp.Compare(b.Blocks, a.Blocks),
		strings.Compare(a.Source.Source, b.Source.Source))
}

func (s *source) add(e *event.Event, hour int) {
	if e.Time.Before(s.First) {
		s.First = e.Time
	}
	if e.Time.After(s.Last) {
		s.Last = e.Time
	}
	// An event has the sum so far.
	s.Probes, s.PortsSeen = max(s.Probes, e.Probes), max(s.PortsSeen, e.PortsSeen)
	if e.Event == "block" {
		s.Blocks++
		s.Response, s.Why = response(e.Action), show.Cut(event.Why(e.Reason, e.Evidence, e.Known), 160)
	}
	s.Proven = s.Proven || e.Proven
	for _, x := range [...]struct {
		to   *string
		what string
	}{{&s.Pattern, e.Pattern}, {&s.Tool, e.Tool}, {&s.Technique, e.Technique}, {&s.Country, e.Country},
		{&s.Network, e.Network}, {&s.Known, e.Known}} {
		if x.what != "" {
			*x.to = x.what
		}
	}
	s.ASN = cmp.Or(e.ASN, s.ASN)
	if e.Protocol != "" {
		s.port(hour, e.Protocol, uint64(e.Port))
	}
	for _, p := range e.Ports {
		protocol, number, _ := strings.Cut(p, "/")
		if n, err := strconv.ParseUint(number, 10, 16); err == nil {
			s.port(hour, protocol, n)
		}
	}
}

// classes are the protocols of ports, as events name them.
var classes = [...]string{"tcp", "udp", "sctp", "icmp", "icmpv6", "ip"}

// port notes a probed port, with the number of the hour.
func (s *source) port(hour int, protocol string, number uint64) {
	class := slices.Index(classes[:], protocol)
	p := uint32(class)<<16 | uint32(number)
	if class < 0 || len(s.ports) >= maxPorts ||
		slices.ContainsFunc(s.ports, func(q uint32) bool { return q&portBits == p }) {
		return
	}
	s.ports = append(s.ports, uint32(hour)<<hourShift|p)
}

// An entry of a source's ports has the hour in the upper bits, then class and number.
const (
	hourShift = 19
	portBits  = 1<<hourShift - 1
)

// portName names the port of an entry.
func portName(p uint32) string {
	return classes[p&portBits>>16] + "/" + strconv.Itoa(int(p&0xffff))
}

// count adds one to a name's count, unless there are too many names.
func count(to map[string]int, name string) {
	if _, there := to[name]; name != "" && (there || len(to) < maxNames) {
		to[name]++
	}
}

// A Source is the sum of one source over the period.
type Source struct {
	Source    string `json:"source"`
	Probes    uint32 `json:"probes"` // as far as events count them
	PortsSeen uint32 `json:"ports_seen"`
	Blocks    int    `json:"blocks"`
	// Packets by the kernel's count, of ended blocks and of the one in force.
	Drops     uint64    `json:"drops"`
	Visits    int       `json:"visits"`             // separated by an hour of quiet
	Response  string    `json:"response,omitempty"` // of the last block: dark, fence, block
	Why       string    `json:"why,omitempty"`      // its evidence
	Pattern   string    `json:"pattern,omitempty"`
	Technique string    `json:"technique,omitempty"`
	Tool      string    `json:"tool,omitempty"`
	Proven    bool      `json:"proven"`
	Country   string    `json:"country,omitempty"`
	ASN       uint32    `json:"asn,omitempty"`
	Network   string    `json:"network,omitempty"`
	Known     string    `json:"known,omitempty"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
}

// A Count is a name and a number.
type Count struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// A Report is the sum.
type Report struct {
	From      time.Time      `json:"from,omitzero"` // the first event
	To        time.Time      `json:"to,omitzero"`   // the last
	Events    map[string]int `json:"events"`        // by kind
	Sources   int            `json:"sources"`
	Others    int            `json:"others"`  // sources only counted
	Blocked   int            `json:"blocked"` // sources
	Blocks    int            `json:"blocks"`
	InForce   int            `json:"in_force"`  // responses, at the end of the period
	Drops     uint64         `json:"drops"`     // packets, of ended blocks and of those in force
	New       int            `json:"new"`       // sources that never came back
	Returning int            `json:"returning"` // sources back after an hour of quiet
	Responses []Count        `json:"responses"` // dark, fence, block
	// By sources; distributed and decoy scans and floods by the times named.
	Patterns  []Count     `json:"patterns"`
	Tools     []Count     `json:"tools"` // by sources
	Ports     []Count     `json:"ports"` // by sources
	Countries []Count     `json:"countries"`
	Networks  []Count     `json:"networks"`
	Known     []Count     `json:"known"`
	Reasons   []Count     `json:"reasons"` // of blocks
	Busiest   []Source    `json:"busiest"`
	Trial     *Trial      `json:"trial,omitempty"` // of a dry run
	Hours     []Hour      `json:"hours"`           // those with events
	PortHours []PortHours `json:"port_hours"`      // of the ports in Ports
}

// Now has the daemon's answer about the responses in force.
type Now struct {
	Responses int
	Drops     map[string]uint64 // packets by source
}

// Report sums up, with at most top entries a list; call it once. Now is nil for a
// period that has ended, and without a daemon.
func (c *Counter) Report(top int, now *Now) Report {
	r := Report{
		From: c.from, To: c.to, Events: maps.Clone(c.events), Sources: len(c.sources) + c.let, Others: c.let,
		Blocks:  c.events["block"],
		InForce: c.standing(c.to), Drops: c.drops, Responses: ranked(c.answers, top), Hours: c.hours.list(),
	}
	patterns, tools, ports := maps.Clone(c.shared), map[string]int{}, map[uint32]int{}
	countries, networks, known := map[string]int{}, map[string]int{}, map[string]int{}
	if now != nil {
		r.InForce = now.Responses
		for name, n := range now.Drops {
			r.Drops += n
			if s := c.sources[name]; s != nil {
				s.Drops += n
			}
		}
	}
	for _, s := range c.sources {
		if s.Visits > 1 {
			r.Returning++
		}
		if s.Blocks > 0 {
			r.Blocked++
		}
		count(patterns, s.Pattern)
		count(tools, s.Tool)
		count(countries, s.Country)
		count(known, s.Known)
		if s.ASN != 0 {
			count(networks, strings.TrimSpace("AS"+strconv.FormatUint(uint64(s.ASN), 10)+" "+s.Network))
		}
		for _, p := range s.ports {
			ports[p&portBits]++
		}
	}
	portNames := make(map[string]int, len(ports))
	for p, n := range ports {
		portNames[portName(p)] = n
	}
	r.New = r.Sources - r.Returning
	r.Trial = c.trial.sum(top)
	r.Patterns, r.Tools, r.Ports = ranked(patterns, top), ranked(tools, top), ranked(portNames, top)
	r.Countries, r.Networks, r.Known, r.Reasons = ranked(countries, top), ranked(networks, top),
		ranked(known, top), ranked(c.reasons, top)
	r.PortHours = c.portHours(r.Ports)
	list := slices.SortedFunc(maps.Values(c.sources), busier)
	r.Busiest = make([]Source, 0, min(top, len(list)))
	for _, s := range list[:min(top, len(list))] {
		r.Busiest = append(r.Busiest, s.Source)
	}
	return r
}

// ranked returns the highest counts.
func ranked(counts map[string]int, top int) []Count {
	list := make([]Count, 0, len(counts))
	for name, n := range counts {
		list = append(list, Count{name, n})
	}
	slices.SortFunc(list, func(a, b Count) int {
		return cmp.Or(b.Count-a.Count,
			strings.Compare(a.Name, b.Name))
	})
	return list[:min(top, len(list))]
}
