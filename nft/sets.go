// SPDX-License-Identifier: MIT

package nft

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
)

// Sizes of the sets that the network fills. A dynamic set without a size stops
// at 65,535 in silence.
const (
	sizeBlocked = 1 << 18
	sizeFence   = 1 << 17
	sizeNets    = 1 << 16
	sizeSources = 1 << 16 // sources that the rules remember
	sizeTold    = 128     // ports that this host has called closed
	sizeLinks   = 1 << 12 // interfaces of this host
)

// Times that are the rules' own.
const (
	// HoldTime is how long the kernel holds a source that nobody judges.
	HoldTime = 5 * time.Second

	// PeerTime is how long the kernel remembers that a source had a connection with
	// this host. It runs from the first packet, or the next one after it has run out.
	PeerTime = 10 * time.Second

	// CountTime is how long a port counts, from the source's first one on: in any such
	// time at most twice the trigger pass. The unserved ports are silent for as long to
	// a source that passed it.
	CountTime = 10 * time.Minute

	// InviteTime is how long a source is led to a port.
	InviteTime = time.Hour

	// DoubtTime is how long the rules remember that the first SYN of a connection
	// was held: Linux gives up after its sixth, the last 63 s after the first.
	DoubtTime = 65 * time.Second

	// waitTime is how long copies of a held SYN are dropped. No system sends a SYN
	// again so soon: RFC 6298, 2.1, has it wait for a second.
	waitTime = 250 * time.Millisecond

	// LatelyTime is how long a port still counts as served after its service ends.
	LatelyTime = time.Hour
)

// HoldsTime is how long the kernel holds a source in an hour at most.
const HoldsTime = maxHolds * HoldTime

const (
	maxHolds    = 6  // of one source in an hour
	maxLed      = 10 // connections of a quiet source to the trap
	linkTrigger = 32 // ports of the sources of one link together
)

// A set of the table, in what both of its forms need.
type set struct {
	name     string
	key      nftables.SetDatatype
	value    *nftables.SetDatatype // of a map
	interval bool
	timeout  bool
	dynamic  bool
	counter  bool
	size     uint32
	expire   time.Duration // default timeout of an element
}

// Types of keys.
var (
	address4, address6 = nftables.TypeIPAddr, nftables.TypeIP6Addr
	portKey, protoKey  = nftables.TypeInetService, nftables.TypeInetProto
)

func concat(types ...nftables.SetDatatype) nftables.SetDatatype {
	return nftables.MustConcatSetType(types...)
}

// sets returns every set. The rules fill those with a default timeout, unless noted
// otherwise.
func sets() (all []set) {
	for _, f := range []struct {
		name string
		key  nftables.SetDatatype
	}{{"4", address4}, {"6", address6}} {
		all = append(all, familySets(f.name, f.key)...)
	}
	filled := func(name string, key nftables.SetDatatype, size uint32, expire time.Duration) {
		all = append(all, set{name: name, key: key, dynamic: true, timeout: true, size: size, expire: expire})
	}
	all = append(all, set{name: "links6", key: address6, interval: true})
	filled("linked6", concat(address6, protoKey), sizeSources, CountTime)
	filled("quiet_links6", address6, sizeSources, CountTime)
	filled("heard", nftables.TypeIFIndex, sizeLinks, LatelyTime)
	filled("told", concat(protoKey, portKey), sizeTold, CountTime)
	for _, name := range []string{
		"classic_tcp", "classic_udp", "stealth_tcp", "stealth_udp", "advanced_tcp", "advanced_udp",
		"excluded_tcp", "excluded_udp", "guarded_tcp", "guarded_udp", "door_tcp",
	} {
		all = append(all, set{name: name, key: portKey, interval: true})
	}
	all = append(all, listedSets()...)
	verdicts := nftables.TypeVerdict
	return append(all,
		set{name: "advanced_ip", key: protoKey, interval: true},
		set{name: "lately", key: concat(protoKey, portKey), timeout: true, size: sizeSources,
			expire: LatelyTime},
		set{name: "login_ports", key: portKey},
		set{name: "inline", key: protoKey},
		set{name: "trusted", key: nftables.TypeIFName},
		set{name: "inviting", key: protoKey},
		set{name: "trap_listener", key: portKey},
		set{name: "trap_port", key: protoKey, value: &portKey},
		set{name: "trigger_tcp", key: portKey, value: &verdicts, interval: true},
		set{name: "trigger_udp", key: portKey, value: &verdicts, interval: true},
		set{name: "trigger_behind_tcp", key: portKey, value: &verdicts, interval: true},
		set{name: "trigger_behind_udp", key: portKey, value: &verdicts, interval: true},
		set{name: "published", key: protoKey},
		set{name: "egress", key: protoKey},
		set{name: "trigger_ip", key: protoKey, value: &verdicts, interval: true},
	)
}

// familySets returns the sets that are there for IPv4 and for IPv6.
func familySets(family string, address nftables.SetDatatype) (all []set) {
	answer := func(name string, interval bool, size uint32) {
		all = append(all, set{
			name: name + family, key: address, interval: interval, timeout: true, counter: true, size: size,
		})
	}
	answer("blocked", false, sizeBlocked)
	answer("blocked_nets", true, sizeNets)
	answer(spareSet, false, sizeFence)
	answer("fence", false, sizeFence)
	answer("dark", false, sizeBlocked)
	answer("dark_nets", true, sizeNets)
	filled := func(name string, key nftables.SetDatatype, expire time.Duration) {
		all = append(all, set{
			name: name + family, key: key, dynamic: true, timeout: true, size: sizeSources, expire: expire,
		})
	}
	filled("held", address, HoldTime)
	filled("holds", address, time.Hour)
	filled("quiet", address, CountTime)
	filled("sight", concat(address, protoKey, portKey), CountTime)
	filled("kinds", concat(address, protoKey), CountTime)
	filled("ports", concat(address, protoKey), CountTime)
	filled("others", address, CountTime)
	filled("askers", address, CountTime)
	filled("repeats", concat(address, portKey), 10*time.Second)
	filled("again", address, time.Minute)
	filled("talkers", address, time.Minute)
	filled("begun", address, time.Minute)
	filled("answers", address, time.Minute)
	filled("over", address, time.Minute)
	filled("late", address, time.Minute)
	filled("led", address, CountTime)
	filled("invited", address, InviteTime)
	filled("invited_crude", address, InviteTime)
	filled("invited_ports", concat(address, portKey), InviteTime)
	filled("connected", address, PeerTime)
	filled("peers", concat(address, portKey, portKey), 24*time.Hour)
	filled("answered", concat(address, portKey, portKey), time.Hour)
	filled("asked", concat(address, protoKey, portKey), CountTime)
	filled("doubted", concat(address, portKey, portKey), DoubtTime)
	filled("waiting", concat(address, portKey, portKey), waitTime)
	filled("sought", concat(address, protoKey, portKey), CountTime)
	filled("overdue", address, CountTime)
	filled("served", concat(address, protoKey, portKey), LatelyTime)
	filled("refused", concat(address, protoKey, portKey), CountTime)
	filled("serves", address, LatelyTime)
	filled("open", address, LatelyTime)
	filled("outgoing", address, time.Minute)
	return append(all,
		set{name: "ignored" + family, key: address, interval: true},
		set{name: "known" + family, key: address, interval: true},
		set{name: "elsewhere" + family, key: address, interval: true},
		set{name: "virtual" + family, key: concat(address, protoKey, portKey)},
		set{name: "behind" + family, key: address, interval: true},
		set{name: "operators" + family, key: address},
	)
}

// seconds is a time as nft reads it.
func seconds(t time.Duration) string {
	if t%time.Second != 0 {
		return fmt.Sprintf("%dms", t.Milliseconds())
	}
	return fmt.Sprintf("%ds", int(t.Seconds()))
}

// netlink returns the set as the library wants it.
func (s set) netlink(t *nftables.Table) *nftables.Set {
	n := &nftables.Set{
		Table: t, Name: s.name, KeyType: s.key, Interval: s.interval, HasTimeout: s.timeout,
		Timeout: s.expire, Dynamic: s.dynamic, Counter: s.counter, Size: s.size,
		KeyByteOrder: binaryutil.BigEndian,
	}
	if s.value != nil {
		n.IsMap, n.DataType = true, *s.value
	}
	return n
}

// text returns the set as nft reads it.
func (s set) text() string {
	var b strings.Builder
	kind, typ := "set", s.key.Name
	if s.value != nil {
		kind, typ = "map", s.key.Name+" : "+s.value.Name
	}
	fmt.Fprintf(&b, "\t%s %s {\n\t\ttype %s\n", kind, s.name, typ)
	if s.size > 0 {
		fmt.Fprintf(&b, "\t\tsize %d\n", s.size)
	}
	var flags []string
	for _, f := range []struct {
		on   bool
		name string
	}{{s.dynamic, "dynamic"}, {s.interval, "interval"}, {s.timeout, "timeout"}} {
		if f.on {
			flags = append(flags, f.name)
		}
	}
	if len(flags) > 0 {
		fmt.Fprintf(&b, "\t\tflags %s\n", strings.Join(flags, ","))
	}
	if s.counter {
		b.WriteString("\t\tcounter\n")
	}
	if s.expire > 0 {
		fmt.Fprintf(&b, "\t\ttimeout %s\n", seconds(s.expire))
	}
	b.WriteString("\t}\n")
	return b.String()
}
