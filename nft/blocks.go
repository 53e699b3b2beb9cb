// SPDX-License-Identifier: MIT

package nft

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/nftables"
	"go4.org/netipx"
	"golang.org/x/sys/unix"

	"picket/nft/internal/fill"
)

// A Response is what the rules do about a source. The zero Response is Blocked.
type Response uint8

// The responses.
const (
	Blocked Response = iota // everything is dropped, before connection tracking
	Fenced                  // everything but known flows is dropped
	Dark                    // packets to unserved ports are dropped

	Responses = int(Dark) + 1 // how many there are
)

// Block is a response to a source for a time.
type Block struct {
	Response Response
	Source   netip.Prefix
	Spare    bool          // of Blocked: living flows go on, as behind a fence
	For      time.Duration // the time left, when read back
	Held     bool          // the kernel may hold the source; the block ends the hold
	Drops    uint64        // dropped packets; read back only
}

// responseSets are the sets of sources, by response. Blocked sources with Spare are
// in another.
var responseSets = [Responses]string{Blocked: "blocked", Fenced: "fence", Dark: "dark"}

const spareSet = "spared"

// familyOf ends the name of a set.
func familyOf(a netip.Addr) string {
	if a.Is6() {
		return "6"
	}
	return "4"
}

// alone reports whether a source is one key of the sets that rules look addresses
// up in: an address, or the prefix that is one IPv6 source.
func (t *Table) alone(p netip.Prefix) bool {
	return p.IsSingleIP() || p.Addr().Is6() && p.Bits() == t.cfg.prefix6()
}

// place returns the set of a block, and its elements there.
func (t *Table) place(b *Block) (name string, els []nftables.SetElement, err error) {
	name, whole, err := t.where(b)
	switch {
	case err != nil:
		return "", nil, err
	case whole:
		els = []nftables.SetElement{{Key: b.Source.Masked().Addr().AsSlice()}}
	default:
		els = fill.Interval(netipx.RangeOfPrefix(b.Source))
	}
	els[0].Timeout = max(b.For, minTimeout)
	return name, els, nil
}

// where returns the set of a block, and whether it is an address there or an interval.
func (t *Table) where(b *Block) (name string, whole bool, err error) {
	family := familyOf(b.Source.Addr())
	name = responseSets[b.Response]
	whole = t.alone(b.Source)
	switch {
	case b.Response == Blocked && b.Spare && whole:
		name = spareSet
	case b.Response == Blocked:
		whole = b.Source.IsSingleIP()
	}
	switch {
	case whole:
		return name + family, true, nil
	case b.Response == Fenced:
		return "", false, fmt.Errorf("fence %s: %w", b.Source, ErrExtent)
	}
	return name + "_nets" + family, false, nil
}

// minTimeout is not 0: a block with a timeout of 0 never ends.
const minTimeout = time.Millisecond

// Block responds to sources, to all or none; For is rounded to the kernel's millisecond
// (NFTA_SET_ELEM_TIMEOUT). If renew says that a response is in force, its timeout starts again.
// Of a response that comes twice, the last one counts: the kernel may refuse to begin one twice.
// The errors are [ErrFull], [ErrOverlap], [ErrExtent], [ErrPermission], or the kernel's.
func (t *Table) Block(blocks []Block, renew func(Response, netip.Prefix) bool) error {
	blocks = eachOnce(blocks)
	adds := map[string][]nftables.SetElement{} // by set: one message holds hundreds
	for i := range blocks {
		name, els, err := t.place(&blocks[i])
		if err != nil {
			return err
		}
		adds[name] = append(adds[name], els...)
	}
	for name, els := range adds {
		_ = t.conn.SetAddElements(t.sets[name], els) // Flush returns its error
	}
	for i := range blocks {
		b := &blocks[i]
		if renew(b.Response, b.Source) {
			// Before Linux 6.12 adding an element anew leaves its timeout as it is.
			name, els, _ := t.place(b)
			_ = t.conn.SetDeleteElements(t.sets[name], els)
			_ = t.conn.SetAddElements(t.sets[name], els)
			if b.Response == Blocked && t.alone(b.Source) {
				other := Block{Source: b.Source, Spare: !b.Spare}
				t.queueEnd(&other)
			}
		}
		if b.Held && t.alone(b.Source) {
			// The hold must not outlive the block, or an "unblock".
			t.queueDelete("held"+familyOf(b.Source.Addr()), b.Source.Masked().Addr().AsSlice())
		}
	}
	err := t.conn.Flush()
	if isExist(err) {
		return fmt.Errorf("block %s: %w", names(blocks), ErrOverlap)
	}
	return explain("block "+names(blocks), err)
}

// eachOnce returns blocks without those that a later one replaces.
func eachOnce(blocks []Block) (once []Block) {
	type response struct {
		Response
		netip.Prefix
	}
	place := make(map[response]int, len(blocks))
	for _, b := range blocks {
		of := response{b.Response, b.Source}
		if i, is := place[of]; is {
			once[i] = b
			continue
		}
		place[of], once = len(once), append(once, b)
	}
	return once
}

// End ends a response to a source. It is no error if there is none.
func (t *Table) End(r Response, p netip.Prefix) error {
	t.queueEnd(&Block{Response: r, Source: p})
	if r == Blocked && t.alone(p) {
		t.queueEnd(&Block{Response: r, Source: p, Spare: true})
	}
	return explain("unblock "+p.String(), t.conn.Flush())
}

func (t *Table) queueEnd(b *Block) {
	if name, els, err := t.place(b); err == nil && !t.lacks(b) {
		// Adding them first makes the deletion succeed on kernels before 6.3,
		// which have no "destroy element".
		_ = t.conn.SetAddElements(t.sets[name], els) // Flush returns its error
		_ = t.conn.SetDeleteElements(t.sets[name], els)
	}
}

// lacks reports whether the kernel has no such network, and so perhaps a wider or a narrower one:
// to add it would fail. Without an answer, that failure is the error.
func (t *Table) lacks(b *Block) bool {
	list := []Block{*b}
	_, whole, err := t.where(b)
	return !whole && err == nil && t.look(list) == nil && list[0].For < 0
}

// Unblock ends every response to a source, and forgets the rules' counts of it.
func (t *Table) Unblock(p netip.Prefix) error {
	for r := range Responses {
		t.queueEnd(&Block{Response: Response(r), Source: p})
	}
	if t.alone(p) {
		t.queueEnd(&Block{Source: p, Spare: true})
		t.queueForget(p)
	}
	return explain("unblock "+p.String(), t.conn.Flush())
}

// Forget resets the rules' counts of the ports of sources. The rules count only
// single addresses and the prefix that is one IPv6 source.
func (t *Table) Forget(ps []netip.Prefix) error {
	for _, p := range ps {
		if t.alone(p) {
			t.queueForget(p)
		}
	}
	return explain("forget what was counted", t.conn.Flush())
}

func (t *Table) queueForget(p netip.Prefix) {
	family, address := familyOf(p.Addr()), p.Masked().Addr().AsSlice()
	for _, name := range sourceSets {
		t.queueDelete(name+family, address)
	}
	for _, class := range []byte{4, 17} { // see the fields class and classUnder
		for _, n := range t.triggers {
			t.queueDelete("ports"+family, append(slices.Clone(address), class^triggerBits(n), 0, 0, 0))
		}
	}
}

func (t *Table) queueDelete(set string, key []byte) {
	els := []nftables.SetElement{{Key: key, Timeout: time.Second}}
	_ = t.conn.SetAddElements(t.sets[set], els) // Flush returns its error
	_ = t.conn.SetDeleteElements(t.sets[set], els)
}

// UnblockAll ends every response, and forgets the rules' counts.
func (t *Table) UnblockAll() error {
	all := append(append(slices.Clone(responseSets[:]), countSets...), spareSet)
	for _, s := range sets() {
		if slices.Contains(all, strings.TrimSuffix(strings.TrimRight(s.name, "46"), "_nets")) {
			t.conn.FlushSet(t.sets[s.name])
		}
	}
	return explain("unblock all", t.conn.Flush())
}

// sourceSets hold the rules' counts of sources, and the sources that passed a trigger.
var sourceSets = []string{"held", "quiet", "holds", "others", "askers", "led", "invited", "invited_crude"}

// countSets hold those, and the counts of a source and a port, or of all the sources of a link.
var countSets = append(slices.Clone(sourceSets), "sight", "kinds", "ports", "linked", "quiet_links", "told",
	"invited_ports")

// A Service is a port with a listener, now or lately.
type Service struct {
	Protocol uint8
	Port     uint16
	For      time.Duration // how long it still counts as served; [LatelyTime] if it is served now
}

// Serve makes ports count as served, each for its time from now on.
func (t *Table) Serve(list []Service) error {
	for _, s := range list {
		key := fill.PortKey(s.Protocol, netip.AddrPortFrom(netip.Addr{}, s.Port))
		els := []nftables.SetElement{{Key: key, Timeout: s.For}}
		_ = t.conn.SetAddElements(t.sets["lately"], els) // Flush returns its error
		_ = t.conn.SetDeleteElements(t.sets["lately"], els)
		_ = t.conn.SetAddElements(t.sets["lately"], els)
	}
	return explain("tell what is served", t.conn.Flush())
}

// Release ends the holds of addresses. It removes repeats: the kernel refuses a
// transaction that adds and deletes one element more than some dozens of times
// (lib/rhashtable.c: elasticity).
func (t *Table) Release(addrs []netip.Addr) error {
	slices.SortFunc(addrs, netip.Addr.Compare)
	for _, a := range slices.Compact(addrs) {
		t.queueDelete("held"+familyOf(a), a.AsSlice())
		if a.Is6() {
			p, _ := a.Prefix(t.cfg.prefix6()) // an address is in it
			t.queueDelete("held6", p.Addr().AsSlice())
		}
	}
	return explain("release held sources", t.conn.Flush())
}

// isExist reports whether the kernel refused an interval for overlapping another.
func isExist(err error) bool { return errors.Is(err, unix.EEXIST) }

// names lists the sources of blocks for an error, the first few of them.
func names(blocks []Block) string {
	var b strings.Builder
	for i, x := range blocks {
		if i == 3 {
			fmt.Fprintf(&b, " and %d more", len(blocks)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(x.Source.String())
	}
	return b.String()
}
