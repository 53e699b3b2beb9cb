// SPDX-License-Identifier: MIT

package nft

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/nftables"
	"go4.org/netipx"
	"golang.org/x/sys/unix"
)

// Block says that a source is blocked for a time.
type Block struct {
	Source netip.Prefix
	For    time.Duration // what is left of it, when read back
	Held   bool          // the kernel may hold the source: the hold ends with the block
	Drops  uint64        // packets that the block refused; read back only
}

// where returns the set that a source's block belongs to.
func where(p netip.Prefix) string {
	family := "4"
	if p.Addr().Is6() {
		family = "6"
	}
	if p.IsSingleIP() {
		return "blocked" + family
	}
	return "blocked_nets" + family
}

// element returns the set elements that stand for a prefix.
func element(p netip.Prefix, d time.Duration) []nftables.SetElement {
	if p.IsSingleIP() {
		return []nftables.SetElement{{Key: p.Addr().AsSlice(), Timeout: d}}
	}
	els := interval(netipx.RangeOfPrefix(p))
	els[0].Timeout = d
	return els
}

// minTimeout keeps a block from being one without end, which a timeout of 0 means.
const minTimeout = time.Millisecond

// Block blocks sources, all or none; For is rounded to the kernel's
// millisecond (NFTA_SET_ELEM_TIMEOUT). A source that renew names as blocked
// already has its timeout started anew. The errors are [ErrFull],
// [ErrOverlap], [ErrPermission], or the kernel's.
func (t *Table) Block(blocks []Block, renew func(netip.Prefix) bool) error {
	adds := map[string][]nftables.SetElement{} // by set: one message holds hundreds
	for _, b := range blocks {
		adds[where(b.Source)] = append(adds[where(b.Source)], element(b.Source, max(b.For, minTimeout))...)
	}
	for name, els := range adds {
		_ = t.conn.SetAddElements(t.sets[name], els) // Flush returns its error
	}
	for _, b := range blocks {
		if renew(b.Source) {
			// Before Linux 6.12 adding an element anew leaves its timeout as it is.
			set, els := t.sets[where(b.Source)], element(b.Source, max(b.For, minTimeout))
			_ = t.conn.SetDeleteElements(set, els)
			_ = t.conn.SetAddElements(set, els)
		}
		if b.Held && b.Source.IsSingleIP() {
			// Or the hold could outlive the block, or its end by hand.
			t.queueDelete(held(b.Source.Addr()), element(b.Source, time.Second))
		}
	}
	err := t.conn.Flush()
	if isExist(err) {
		return fmt.Errorf("block %s: %w", names(blocks), ErrOverlap)
	}
	return explain("block "+names(blocks), err)
}

// Unblock takes a source out of its set, and out of the held one. A source
// that is not there is not an error.
func (t *Table) Unblock(p netip.Prefix) error {
	t.queueDelete(where(p), element(p, time.Second))
	if p.IsSingleIP() {
		t.queueDelete(held(p.Addr()), element(p, time.Second))
	}
	return explain("unblock "+p.String(), t.conn.Flush())
}

// queueDelete deletes elements that may not exist. Adding them first makes the
// deletion succeed on kernels before 6.3, which have no "destroy element".
func (t *Table) queueDelete(set string, els []nftables.SetElement) {
	_ = t.conn.SetAddElements(t.sets[set], els) // Flush returns its error
	_ = t.conn.SetDeleteElements(t.sets[set], els)
}

// UnblockAll empties every blocked set and the held ones.
func (t *Table) UnblockAll() error {
	for _, name := range []string{"blocked4", "blocked6", "blocked_nets4", "blocked_nets6", "held4", "held6"} {
		t.conn.FlushSet(t.sets[name])
	}
	return explain("unblock all", t.conn.Flush())
}

// held returns the name of the held set for an address.
func held(a netip.Addr) string {
	if a.Is6() {
		return "held6"
	}
	return "held4"
}

// Release takes addresses out of the held sets.
func (t *Table) Release(addrs []netip.Addr) error {
	for _, a := range addrs {
		t.queueDelete(held(a), element(netip.PrefixFrom(a, a.BitLen()), time.Second))
	}
	return explain("release held sources", t.conn.Flush())
}

// Blocks reads back what the kernel has. It takes about a second for 100,000,
// so it is for the start and for people, not for every day.
func (t *Table) Blocks() ([]Block, error) {
	var out []Block
	for _, name := range []string{"blocked4", "blocked6"} {
		els, err := t.conn.GetSetElements(t.sets[name])
		if err != nil {
			return nil, explain("read set "+name, err)
		}
		for _, e := range els {
			if a, ok := netip.AddrFromSlice(e.Key); ok {
				out = append(out, read(netip.PrefixFrom(a, a.BitLen()), e))
			}
		}
	}
	for _, name := range []string{"blocked_nets4", "blocked_nets6"} {
		els, err := t.conn.GetSetElements(t.sets[name])
		if err != nil {
			return nil, explain("read set "+name, err)
		}
		out = append(out, readIntervals(els)...)
	}
	return out, nil
}

func read(p netip.Prefix, e nftables.SetElement) Block {
	b := Block{Source: p, For: e.Expires}
	if e.Counter != nil {
		b.Drops = e.Counter.Packets
	}
	return b
}

// readIntervals makes prefixes of the starts and ends that the kernel lists.
// Intervals that are no prefix are not ours and left out.
func readIntervals(els []nftables.SetElement) (out []Block) {
	slices.SortFunc(els, func(a, b nftables.SetElement) int {
		if c := bytes.Compare(a.Key, b.Key); c != 0 || a.IntervalEnd == b.IntervalEnd {
			return c
		}
		if a.IntervalEnd {
			return -1 // where two touch, the end of one comes before the start of the other
		}
		return 1
	})
	for i, e := range els {
		if e.IntervalEnd || i+1 == len(els) {
			continue
		}
		from, _ := netip.AddrFromSlice(e.Key)
		end, _ := netip.AddrFromSlice(els[i+1].Key)
		if p, ok := netipx.IPRangeFrom(from, end.Prev()).Prefix(); ok && !p.IsSingleIP() {
			out = append(out, read(p, e))
		}
	}
	return out
}

// isExist reports the kernel's refusal of an interval that overlaps another.
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
