// SPDX-License-Identifier: MIT

package nft

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"picket/nft/internal/fill"
)

// A Range is a closed range of ports, or of IP protocol numbers.
type Range struct{ From, To uint16 }

// A Trigger is a range of ports and how many of them, 0 to [MaxTrigger], a source may
// probe before the kernel holds it. Ports in no range hold nobody.
type Trigger struct {
	Range
	Ports int
}

// Elements is what the configuration and the host put into the sets.
type Elements struct {
	ClassicTCP, ClassicUDP   []Range
	StealthTCP, StealthUDP   []Range
	AdvancedTCP, AdvancedUDP []Range
	ExcludedTCP, ExcludedUDP []Range   // of the advanced range; never dark
	AdvancedIP               []Range   // IP protocol numbers, below 256
	TriggerTCP, TriggerUDP   []Trigger // SCTP goes with TCP
	TriggerIP                []Trigger // of IP protocol numbers
	DoorTCP                  []Range   // served ports that refuse raw SYNs
	Ignored                  []netip.Prefix
	Known                    []netip.Prefix // of the operator's lists: reported or counted, not blocked
	Listed                   []netip.Prefix // to be dropped, see [Listable]; must not change later
	Links                    []netip.Prefix // the host's IPv6 links: each address there is a source
	Elsewhere                []netip.Prefix // addresses of this host that others serve (IPVS)
	Behind                   []netip.Prefix // networks behind this host that are judged
	Published                bool           // judge ports published by address translation too
	Egress                   bool           // mirror packets that begin connections from Behind
	Operators                []netip.Addr   // of people logged in, never fenced
	LoginPorts               []uint16       // open to them even when blocked
	Trusted                  []string       // interfaces
	Inline                   bool           // a SYN to a served port may have to wait for a verdict
	TrapPort                 uint16         // where the trap listens; 0 for none
	Invite                   bool           // lead suspicious sources there from any unserved port

	// Virtual are the ports, by protocol, that are served at addresses of Elsewhere.
	Virtual map[uint8][]netip.AddrPort
}

// elements returns the wanted elements of a set; ok is false for a set that the
// configuration does not fill.
func (e *Elements) elements(name string) (els []nftables.SetElement, ok bool) {
	ports := map[string][]Range{
		"classic_tcp": e.ClassicTCP, "classic_udp": e.ClassicUDP,
		"stealth_tcp": e.StealthTCP, "stealth_udp": e.StealthUDP,
		"advanced_tcp": e.AdvancedTCP, "advanced_udp": e.AdvancedUDP,
		"excluded_tcp": e.ExcludedTCP, "excluded_udp": e.ExcludedUDP,
		"guarded_tcp": ranges(e.TriggerTCP), "guarded_udp": ranges(e.TriggerUDP), "door_tcp": e.DoorTCP,
	}
	prefixes := map[string][]netip.Prefix{
		"ignored4": e.Ignored, "ignored6": e.Ignored, "links6": e.Links,
		"elsewhere4": e.Elsewhere, "elsewhere6": e.Elsewhere, "behind4": e.Behind, "behind6": e.Behind,
		"known4": e.Known, "known6": e.Known,
	}
	if r, ok := ports[name]; ok {
		return fill.Ranges(r, 2), true
	}
	if p, ok := prefixes[name]; ok {
		return fill.Prefixes(p, strings.HasSuffix(name, "6")), true
	}
	switch name {
	case "advanced_ip":
		return fill.Ranges(e.AdvancedIP, 1), true
	case "operators4", "operators6":
		return fill.Addresses(e.Operators, name == "operators6"), true
	case "inline":
		return fill.Protocols(e.Inline, unix.IPPROTO_TCP), true
	case "virtual4", "virtual6":
		for protocol, list := range e.Virtual {
			for _, at := range list {
				if at.Addr().Is6() == (name == "virtual6") {
					els = append(els, nftables.SetElement{Key: fill.PortKey(protocol, at)})
				}
			}
		}
		return els, true
	case "login_ports":
		return fill.Ports(e.LoginPorts...), true
	case "trusted":
		for _, n := range e.Trusted {
			key := append([]byte(n), make([]byte, unix.IFNAMSIZ-len(n))...)
			els = append(els, nftables.SetElement{Key: key})
		}
		return els, true
	case "trap_listener":
		if e.TrapPort != 0 {
			els = fill.Ports(e.TrapPort)
		}
		return els, true
	case "inviting":
		return fill.Protocols(e.Invite && e.TrapPort != 0, unix.IPPROTO_TCP), true
	case "trap_port":
		if e.TrapPort != 0 {
			els = []nftables.SetElement{{Key: []byte{unix.IPPROTO_TCP}, Val: be16(e.TrapPort)}}
		}
		return els, true
	case "trigger_tcp":
		return triggerElements(e.TriggerTCP, "ports", 2), true
	case "trigger_udp":
		return triggerElements(e.TriggerUDP, "ports", 2), true
	case "trigger_behind_tcp":
		return triggerElements(e.behind(e.TriggerTCP), "ports", 2), true
	case "trigger_behind_udp":
		return triggerElements(e.behind(e.TriggerUDP), "ports", 2), true
	case "published":
		return fill.Protocols(e.Published, unix.IPPROTO_TCP, unix.IPPROTO_UDP), true
	case "egress":
		return fill.Protocols(e.Egress, unix.IPPROTO_TCP), true
	case "trigger_ip":
		return triggerElements(e.TriggerIP, "others", 1), true
	}
	return nil, false
}

// triggers returns the triggers in use, each once.
func (e *Elements) triggers() (out []uint32) {
	here := slices.Concat(e.TriggerTCP, e.TriggerUDP)
	for _, t := range append(here, e.behind(here)...) {
		out = append(out, uint32(min(t.Ports, MaxTrigger)))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ranges are the ranges of triggers.
func ranges(ts []Trigger) (out []Range) {
	for _, t := range ts {
		out = append(out, t.Range)
	}
	return out
}

// triggerElements returns the elements of a map from ports, or protocols, to the
// chain that counts for their trigger. The ranges must not overlap.
func triggerElements(ts []Trigger, what string, width int) (els []nftables.SetElement) {
	for _, t := range ts {
		key := fill.Ranges([]Range{t.Range}, width)
		chain := countChain(what, min(t.Ports, MaxTrigger))
		key[0].VerdictData = &expr.Verdict{Kind: expr.VerdictGoto, Chain: chain}
		els = append(els, key...)
	}
	return els
}

// leastBehind is the lowest trigger behind this host: a source may be the first to ask
// for a service, before the rules have learned it.
const leastBehind = 10

// behind returns the triggers for the networks behind this host.
func (e *Elements) behind(ts []Trigger) (out []Trigger) {
	for _, t := range ts {
		if len(e.Behind) > 0 {
			out = append(out, Trigger{t.Range, max(t.Ports, leastBehind)})
		}
	}
	return out
}

// Merge sorts ranges and joins those that overlap or touch.
func Merge(rs []Range) []Range { return fill.Merge(rs) }
