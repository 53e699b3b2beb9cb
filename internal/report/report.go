// SPDX-License-Identifier: MIT

// Package report sums up events over a period: who probed, what for, with which
// tools and from where, and who was blocked.
//
// It reads picket's events as lines of JSON ([Read]) and counts them
// ([Counter]); [Journal] takes them from journalctl. It refuses to grow with its input: at most 65,536 sources are
// kept apart, with 64 ports each, and when there are more those with the fewest
// probes are let go and only counted; a line is at most 64 KiB. What is no event
// is passed over and told at the end, with its line.
//
// It trusts nothing that it reads: every text is cut and made printable. It
// needs nothing, but for the journal the right to read that.
package report

import (
	"cmp"
	"maps"
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
	let     int // sources that were let go
	from    time.Time
	to      time.Time
	events  map[string]int
	shared  map[string]int // patterns of many sources
	reasons map[string]int // of blocks
	answers map[string]int // blocks by response
	blocked map[string]bool
	drops   uint64 // of blocks that ended
	trial   trial
	hours   hours
}

type source struct {
	Source
	hour  int      // in which it was seen last, from 1
	ports []uint32 // hour<<19 | class<<16 | port: when it was first seen to be probed
}

// New returns a counter of nothing.
func New() *Counter {
	return &Counter{
		sources: map[string]*source{}, events: map[string]int{}, shared: map[string]int{}, reasons: map[string]int{},
		answers: map[string]int{}, blocked: map[string]bool{}, hours: hours{at: map[int]*Hour{}},
	}
}

// Add counts an event that [Read] returned.
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
		if e.Event == "pattern" && e.Pattern != "" {
			count(c.shared, e.Pattern)
		}
		return
	}
	switch e.Event {
	case "unblock", "expire":
		c.block(e.Source, false)
		if s := c.sources[e.Source]; s != nil {
			s.Drops += e.Drops
		}
	case "block":
		count(c.reasons, e.Reason)
		count(c.answers, response(e.Action))
		c.block(e.Source, true)
		hour.block(response(e.Action))
		fallthrough
	case "probe", "pattern", "ignore", "trial":
		s := c.source(e)
		s.seen(number, hour, e.Time)
		s.add(&e, number)
	}
}

// response returns what a block did by its action. Those of older journals all
// dropped everything.
func response(action string) string {
	if action == "dark" || action == "fence" {
		return action
	}
	return "block"
}

func (c *Counter) block(source string, on bool) {
	switch {
	case !on:
		delete(c.blocked, source)
	case len(c.blocked) < 1<<18: // more blocks than the engine has
		c.blocked[source] = true
	}
}

// source returns what is counted of e's source, making room if need be.
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

// letGo forgets the half of the sources that probed least, and of those that
// probed alike, that was blocked least.
func (c *Counter) letGo() {
	list := slices.SortedFunc(maps.Values(c.sources), busier)
	for _, s := range list[len(list)/2:] {
		delete(c.sources, s.Source.Source)
	}
	c.let += len(list) - len(list)/2
}

// busier orders sources by what there is to say of them.
func busier(a, b *source) int {
	return cmp.Or(cmp.Compare(b.Probes, a.Probes), cmp.Compare(b.Blocks, a.Blocks), strings.Compare(a.Source.Source, b.Source.Source))
}

func (s *source) add(e *event.Event, hour int) {
	if e.Time.Before(s.First) {
		s.First = e.Time
	}
	if e.Time.After(s.Last) {
		s.Last = e.Time
	}
	// An event tells how many there were so far.
	s.Probes, s.PortsSeen = max(s.Probes, e.Probes), max(s.PortsSeen, e.PortsSeen)
	if e.Event == "block" {
		s.Blocks++
		s.Response, s.Why = response(e.Action), show.Cut(event.Why(e.Reason, e.Evidence, e.Known), 80)
	}
	s.Proven = s.Proven || e.Proven
	for _, x := range [...]struct {
		to   *string
		what string
	}{{&s.Pattern, e.Pattern}, {&s.Tool, e.Tool}, {&s.Technique, e.Technique}, {&s.Country, e.Country}, {&s.Network, e.Network}, {&s.Known, e.Known}} {
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

// classes are the protocols that ports are told apart by, as events name them.
var classes = [...]string{"tcp", "udp", "sctp", "icmp", "icmpv6", "ip"}

// port notes that a port was probed, in the hour with that number.
func (s *source) port(hour int, protocol string, number uint64) {
	class := slices.Index(classes[:], protocol)
	p := uint32(class)<<16 | uint32(number)
	if class < 0 || len(s.ports) >= maxPorts || slices.ContainsFunc(s.ports, func(q uint32) bool { return q&portBits == p }) {
		return
	}
	s.ports = append(s.ports, uint32(hour)<<hourShift|p)
}

// An entry of a source's ports: the hour above, class and number below.
const (
	hourShift = 19
	portBits  = 1<<hourShift - 1
)

// portName names the port of such an entry.
func portName(p uint32) string {
	return classes[p&portBits>>16] + "/" + strconv.Itoa(int(p&0xffff))
}

// count adds one to a name's count, as long as there are not too many names.
func count(to map[string]int, name string) {
	if _, there := to[name]; name != "" && (there || len(to) < maxNames) {
		to[name]++
	}
}

// A Source is what is known of one source over the period.
type Source struct {
	Source    string    `json:"source"`
	Probes    uint32    `json:"probes"` // as far as events told of them
	PortsSeen uint32    `json:"ports_seen"`
	Blocks    int       `json:"blocks"`
	Drops     uint64    `json:"drops"`              // of its blocks that ended, and of the one in force, by the kernel's count
	Visits    int       `json:"visits"`             // times it came, an hour of quiet between them
	Response  string    `json:"response,omitempty"` // of the last block: dark, fence, block
	Why       string    `json:"why,omitempty"`      // and what that rests on
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

// A Count is how often something was there.
type Count struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// A Report is the sum.
type Report struct {
	From      time.Time      `json:"from,omitzero"` // of the first event
	To        time.Time      `json:"to,omitzero"`   // of the last
	Events    map[string]int `json:"events"`        // by kind
	Sources   int            `json:"sources"`
	Others    int            `json:"others"`  // of them those with too few probes to be kept apart
	Blocked   int            `json:"blocked"` // sources
	Blocks    int            `json:"blocks"`
	InForce   int            `json:"in_force"`  // at the end of the period
	Drops     uint64         `json:"drops"`     // packets, of blocks that ended and of those in force now
	New       int            `json:"new"`       // sources that came once
	Returning int            `json:"returning"` // that came again after an hour of quiet
	Responses []Count        `json:"responses"` // blocks by what they do: dark, fence, block
	Patterns  []Count        `json:"patterns"`  // by sources; of distributed and decoy scans and floods by how often they were named
	Tools     []Count        `json:"tools"`     // by sources
	Ports     []Count        `json:"ports"`     // by sources
	Countries []Count        `json:"countries"`
	Networks  []Count        `json:"networks"`
	Known     []Count        `json:"known"`
	Reasons   []Count        `json:"reasons"` // of blocks
	Busiest   []Source       `json:"busiest"`
	Trial     *Trial         `json:"trial,omitempty"` // if a dry run was on
	Hours     []Hour         `json:"hours"`           // those in which anything happened
	PortHours []PortHours    `json:"port_hours"`      // of the ports of the list
}

// Report sums up, with at most top of each list; it is to be asked for once. Drops are what the kernel has
// dropped of the sources that are blocked now, by their names; nil if that is
// not known.
func (c *Counter) Report(top int, drops map[string]uint64) Report {
	r := Report{
		From: c.from, To: c.to, Events: maps.Clone(c.events), Sources: len(c.sources) + c.let, Others: c.let, Blocks: c.events["block"],
		InForce: len(c.blocked), Drops: c.drops, Responses: ranked(c.answers, top), Hours: c.hours.list(),
	}
	patterns, tools, ports := maps.Clone(c.shared), map[string]int{}, map[string]int{}
	countries, networks, known := map[string]int{}, map[string]int{}, map[string]int{}
	for name, n := range drops {
		r.Drops += n
		if s := c.sources[name]; s != nil {
			s.Drops += n
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
			ports[portName(p)]++
		}
	}
	r.New = r.Sources - r.Returning
	r.Trial = c.trial.sum(top)
	r.Patterns, r.Tools, r.Ports = ranked(patterns, top), ranked(tools, top), ranked(ports, top)
	r.Countries, r.Networks, r.Known, r.Reasons = ranked(countries, top), ranked(networks, top), ranked(known, top), ranked(c.reasons, top)
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
	slices.SortFunc(list, func(a, b Count) int { return cmp.Or(b.Count-a.Count, strings.Compare(a.Name, b.Name)) })
	return list[:min(top, len(list))]
}
