// SPDX-License-Identifier: MIT

package daemon

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"picket/engine"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/host"
	"picket/internal/ledger"
	"picket/nft"
)

func TestProbesToBlockToEnd(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		r.told(1, "ready: NFLOG group")
		r.probes("192.0.2.9", 1000, 30)
		r.wants("192.0.2.9/32")
		r.told(1, "event=block source=192.0.2.9")
		list := r.asks(control.Request{Command: "blocks"}, "").([]control.Block)
		if len(list) != 1 || list[0].Name != "192.0.2.9" || list[0].Drops != 7 || list[0].Proven {
			t.Errorf("%+v", list)
		}
		s := r.asks(control.Request{Command: "status"}, "").(*control.Status)
		if s.Blocks != 1 || s.Probes != 30 || s.Version != "test" || s.Reaction.Count != 1 {
			t.Errorf("%+v", s)
		}
		sources := r.asks(control.Request{Command: "sources"}, "").([]control.Source)
		if len(sources) != 1 || !sources[0].Blocked {
			t.Errorf("%+v", sources)
		}
		x := r.asks(control.Request{Command: "explain", Source: "192.0.2.9"}, "").(*control.Explanation)
		if x.State != "blocked" || len(x.Blocks) != 1 || x.Blocks[0].Drops != 7 || x.Blocks[0].ByHand ||
			len(x.Probes) == 0 {
			t.Errorf("%+v", x)
		}
		time.Sleep(time.Hour)
		r.wants()
		r.told(1, "event=expire source=192.0.2.9")
	})
}

// The start reports the chains of other firewalls that hear packets first.
func TestFirewallAhead(t *testing.T) {
	running(t, plain, func(k *kernel) { k.ahead = []string{"ip raw PREROUTING"} }, func(r *run) {
		r.told(1, "chain ip raw PREROUTING of another firewall drops packets before picket hears them")
	})
}

// A clock that was set neither prolongs a block nor ends it.
func TestClockIsSet(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		r.asks(control.Request{Command: "block", Source: "192.0.2.7", For: "1h"}, "")
		time.Sleep(20 * time.Minute)
		r.log.Take()
		r.kernel.stepped <- struct{}{}
		synctest.Wait()
		r.told(1, "the clock was set: what is left of 1 blocks stays as it is")
		list := r.asks(control.Request{Command: "blocks"}, "").([]control.Block)
		if len(list) != 1 || list[0].Remaining != 40*60 {
			t.Errorf("%+v", list)
		}
		time.Sleep(40 * time.Minute)
		r.wants()
	})
}

// Orders of a person, and refusals with a helpful message.
func TestByHand(t *testing.T) {
	friends := func(k *kernel) { k.friends = []host.Friend{{Prefix: prefix("192.0.2.1/32"), Why: "gateway"}} }
	running(t, plain, friends, func(r *run) {
		block := func(source, length string) control.Request {
			return control.Request{Command: "block", Source: source, For: length, Reason: "a test"}
		}
		r.asks(block("192.0.2.9", "1h"), "")
		r.asks(block("198.51.100.0/24", "1h"), "")
		r.asks(block("192.0.2.0/24", "1h"), "192.0.2.1 is protected (gateway)")
		r.asks(block("nobody", "1h"), "no address or prefix")
		r.asks(block("192.0.2.9", "for ever"), "duration")
		r.wants("192.0.2.9/32", "198.51.100.0/24")
		if x := r.asks(control.Request{Command: "explain", Source: "192.0.2.9"},
			"").(*control.Explanation); !x.Blocks[0].ByHand {
			t.Errorf("%+v", x)
		}
		r.kernel.with(func() { r.refused[prefix("203.0.113.1/32")] = true })
		r.asks(block("203.0.113.1", "1h"), "refused")
		unblock := func(source string) control.Request {
			return control.Request{Command: "unblock", Source: source}
		}
		r.asks(unblock("198.51.100.7"), "is blocked as part of 198.51.100.0/24")
		r.asks(unblock("203.0.113.7"), "is not blocked")
		r.asks(unblock("nobody"), "no address or prefix")
		r.asks(control.Request{Command: "explain", Source: "nobody"}, "no address or prefix")
		r.asks(control.Request{Command: "dance"}, "unknown command")
		if out := r.asks(unblock("198.51.100.0/24"), "").([]*control.Outcome); len(out) != 1 ||
			out[0].Name != "198.51.100.0/24" {
			t.Error(out)
		}
		r.wants("192.0.2.9/32")
	})
}

// If a person ends many blocks at once, the judge hears of each before it judges another probe. It
// takes no probe for a sign that the kernel has lost a block.
func TestUnblockingIsNeverLost(t *testing.T) {
	running(t, plain+"[tcp.trigger]\nadvanced = 0\n", nil, func(r *run) {
		const n = 5000
		source := func(i int) string { return fmt.Sprintf("203.0.%d.%d", i/250, i%250) }
		for i := range n {
			r.asks(control.Request{Command: "block", Source: source(i), For: "1w"}, "")
		}
		r.probes("198.51.100.1", 1000, 1)
		time.Sleep(time.Hour) // by then no packet of a blocked source is on its way
		r.log.Take()
		if got := r.asks(control.Request{Command: "unblock", All: true},
			"").([]*control.Outcome); len(got) != n {
			t.Errorf("%d ended, want %d", len(got), n)
		}
		for i := range n {
			r.send(source(i), 1000, 1)
		}
		r.told(0, "again: its packets arrived although it was blocked")
		r.asks(control.Request{Command: "unblock", All: true}, "")
		r.asks(control.Request{Command: "block", Source: source(0), For: "1w"}, "")
		r.kernel.with(func() { clear(r.ends); clear(r.kernel.blocks) })
		time.Sleep(time.Hour)
		r.probes(source(0), 1000, 1) // the kernel has lost this block
		r.told(1, "again: its packets arrived although it was blocked")
	})
}

// The kernel takes all of a transaction or none. A source that it refuses does not prevent the
// blocks of others, and is judged again.
func TestRefusedBlock(t *testing.T) {
	refuse := func(k *kernel) { k.refused[prefix("192.0.2.7/32")] = true }
	running(t, plain, refuse, func(r *run) {
		r.probes("192.0.2.7", 1000, 25)
		r.probes("192.0.2.9", 3000, 25)
		r.send("192.0.2.7", 1025, 1)
		r.send("192.0.2.9", 3025, 1)
		r.wants("192.0.2.9/32")
		r.told(1, "could not block 192.0.2.7/32: refused")
		r.kernel.with(func() { clear(r.refused) })
		r.probes("192.0.2.7", 2000, 30)
		r.wants("192.0.2.7/32", "192.0.2.9/32")
	})
}

// The sockets are looked at before the block of a source that may have connected since the last look.
func TestDoubt(t *testing.T) {
	connected := func(k *kernel) {
		k.connected[netip.MustParseAddr("192.0.2.7")] = true
		k.connected[netip.MustParseAddr("192.0.2.8")] = true
	}
	running(t, plain, connected, func(r *run) {
		r.kernel.with(func() { r.kernel.peers = []netip.Addr{netip.MustParseAddr("192.0.2.7")} })
		r.probes("192.0.2.7", 1000, 40)
		r.probes("192.0.2.8", 1000, 40)
		time.Sleep(3 * time.Second)
		r.wants("192.0.2.8/32")
		r.told(1, "event=ignore source=192.0.2.7")
		// A block is ended if its source is found connected.
		r.probes("192.0.2.9", 1000, 40)
		r.wants("192.0.2.8/32", "192.0.2.9/32")
		r.kernel.with(func() { r.kernel.peers = append(r.kernel.peers, netip.MustParseAddr("192.0.2.9")) })
		time.Sleep(3 * time.Second)
		r.wants("192.0.2.8/32")
		r.told(1, "event=unblock source=192.0.2.9")
		// A missing answer changes nothing, and is reported once.
		r.kernel.with(func() { r.peersFail = errors.New("no answer") })
		for port := range 30 {
			time.Sleep(2 * time.Second)
			r.probes("192.0.2.11", 5000+port%2, 1)
		}
		r.told(1, "who is connected is not spared: no answer")
		r.kernel.with(func() { r.peersFail = nil })
		// After a pause there is a look at the first probe.
		time.Sleep(time.Minute)
		r.kernel.with(func() { r.kernel.peers = append(r.kernel.peers, netip.MustParseAddr("192.0.2.12")) })
		r.probes("192.0.2.12", 1000, 40)
		r.wants("192.0.2.8/32")
		r.told(1, "event=ignore source=192.0.2.12")
		time.Sleep(time.Minute)
		// A block that waits for a look can be called off.
		r.kernel.with(func() { r.connected[netip.MustParseAddr("192.0.2.10")] = true })
		r.probes("192.0.2.10", 1000, 30)
		r.asks(control.Request{Command: "unblock", Source: "192.0.2.10"}, "")
		time.Sleep(time.Minute)
		r.wants("192.0.2.8/32")
	})
}

// A flushed table is put back with its blocks. If only elements were changed, the kernel is
// right.
func TestTableChanged(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		for _, s := range []string{"192.0.2.7", "192.0.2.8", "192.0.2.9"} {
			r.asks(control.Request{Command: "block", Source: s, For: "1d"}, "")
		}
		r.kernel.with(func() {
			r.kernel.state, r.kernel.elements = nft.Absent, nil
			clear(r.ends)
			clear(r.kernel.blocks)
		})
		r.changed <- "nft"
		r.wants("192.0.2.7/32", "192.0.2.8/32", "192.0.2.9/32")
		r.told(1, "was changed or removed by nft: it is back, with 3 of 3 blocks put in again")
		own := prefix("198.51.100.1/32")
		r.kernel.with(func() {
			delete(r.ends, prefix("192.0.2.7/32"))
			delete(r.kernel.blocks, prefix("192.0.2.7/32"))
			r.kernel.blocks[own], r.ends[own] = nft.Block{Source: own}, time.Now().Add(time.Hour)
		})
		r.changed <- "somebody"
		r.wants("192.0.2.8/32", "192.0.2.9/32", "198.51.100.1/32")
		lines := strings.Join(r.log.Take(), "\n")
		for _, want := range []string{`"deleted from the set by somebody"`,
			`"added to the set by somebody"`} {
			if !strings.Contains(lines, want) {
				t.Errorf("lacks %s:\n%s", want, lines)
			}
		}
		if x := r.asks(control.Request{Command: "explain", Source: "198.51.100.1"},
			"").(*control.Explanation); !x.Blocks[0].ByHand {
			t.Errorf("an element of somebody else is no block by hand: %+v", x.Blocks)
		}
		r.kernel.with(func() { r.failing = errors.New("no memory") })
		r.changed <- "nft"
		r.told(1, "could not be put right: no memory")
		r.kernel.with(func() { r.failing = nil })
	})
}

// An element that somebody adds again, for longer, ends when the block was to end.
func TestElementThatIsMadeToLast(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		r.asks(control.Request{Command: "block", Source: "192.0.2.7", For: "1h"}, "")
		r.asks(control.Request{Command: "block", Source: "192.0.2.8", For: "2h"}, "")
		r.log.Take()
		r.kernel.with(func() { r.ends[prefix("192.0.2.7/32")] = time.Now().Add(1000 * time.Hour) })
		r.changed <- "nft"
		r.wants("192.0.2.7/32", "192.0.2.8/32")
		r.told(1, "1 blocks, the first of 192.0.2.7, were made to last longer by nft: they end when they "+
			"would have")
		time.Sleep(time.Hour + time.Second)
		r.wants("192.0.2.8/32")
	})
	if left := time.Hour; !isLonger(&nft.Block{}, left) || isLonger(&nft.Block{For: left}, left) ||
		isLonger(&nft.Block{Response: nft.Fenced, For: 2 * left}, left) || isLonger(&nft.Block{}, slack) {
		t.Error("isLonger is wrong about a block")
	}
}

// The kernel's list, read during changes, may lack elements, or have elements that are gone.
// The book does not follow such errors.
func TestListThatIsNotTrue(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		for i := range 4 {
			r.asks(control.Request{Command: "block", Source: fmt.Sprintf("203.0.113.%d", i), For: "1h"}, "")
		}
		r.kernel.with(func() {
			r.distort = func(list []nft.Block) []nft.Block {
				list = slices.DeleteFunc(list, func(b nft.Block) bool {
					return b.Source == prefix("203.0.113.1/32")
				})
				return append(list, nft.Block{Source: prefix("203.0.113.9/32"), For: time.Hour})
			}
		})
		synctest.Wait()
		r.log.Take()
		r.changed <- "nft"
		r.wants("203.0.113.0/32", "203.0.113.1/32", "203.0.113.2/32", "203.0.113.3/32")
		if list := r.asks(control.Request{Command: "blocks"}, "").([]control.Block); len(list) != 4 {
			t.Errorf("the book has %+v", list)
		}
		if lines := r.log.Take(); len(lines) > 0 {
			t.Errorf("told: %q", lines)
		}
	})
}

// Blocks outlive a run: across a reboot in the state file, across a restart in the kernel.
func TestBlocksOutliveARun(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("STATE_DIRECTORY", dir)
	path := filepath.Join(dir, "picket.toml")
	write(t, path, strings.ReplaceAll(plain, "DIR", dir))
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, path, nil)
		r.asks(control.Request{Command: "block", Source: "192.0.2.7", For: "1d"}, "")
		r.asks(control.Request{Command: "block", Source: "192.0.2.8", For: "1d"}, "")
		r.probes("192.0.2.9", 1000, 30)
		if err := r.finish(); err != nil || r.quiet != 1 {
			t.Errorf("%v; the triggers were emptied %d times", err, r.quiet)
		}
		r.told(1, "stopping: blocks stay in force")

		time.Sleep(time.Second)
		r = begin(t, path, nil)
		r.told(1, "3 blocks in force")
		r.wants("192.0.2.7/32", "192.0.2.8/32", "192.0.2.9/32")
		x := r.asks(control.Request{Command: "explain", Source: "192.0.2.7"}, "").(*control.Explanation)
		if !x.Blocks[0].ByHand {
			t.Errorf("%+v", x.Blocks)
		}
		last := r.kernel
		if err := r.finish(); err != nil {
			t.Error(err)
		}

		// The last picket was killed before it saved that it had granted two days.
		granted := time.Now().Add(48 * time.Hour)
		found := prefix("198.51.100.1/32")
		r = begin(t, path, func(k *kernel) {
			k.state, k.elements, k.blocks, k.ends = nft.Complete, last.elements, last.blocks, last.ends
			delete(k.ends, prefix("192.0.2.8/32"))
			delete(k.blocks, prefix("192.0.2.8/32"))
			k.blocks[found], k.ends[found] = nft.Block{Source: found}, time.Now().Add(time.Hour)
			k.ends[prefix("192.0.2.7/32")] = granted
		})
		r.wants("192.0.2.7/32", "192.0.2.9/32", "198.51.100.1/32")
		lines := strings.Join(r.log.Take(), "\n")
		if !strings.Contains(lines, "3 blocks in force") ||
			!strings.Contains(lines, "event=unblock source=192.0.2.8") {
			t.Error(lines)
		}
		x = r.asks(control.Request{Command: "explain", Source: "198.51.100.1"}, "").(*control.Explanation)
		if x.Blocks[0].ByHand || x.Blocks[0].Reason != "from an earlier run" {
			t.Errorf("%+v", x.Blocks)
		}
		time.Sleep(47 * time.Hour) // the other blocks end
		r.wants("192.0.2.7/32")
		time.Sleep(time.Hour + time.Second)
		r.wants()
		if err := r.finish(); err != nil {
			t.Error(err)
		}
	})
}

// Blocks of an earlier run are put back in parts. One with a date in the future lasts no longer
// than it was granted.
func TestManyBlocksArePutBack(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("STATE_DIRECTORY", dir)
	path := filepath.Join(dir, "picket.toml")
	write(t, path, strings.ReplaceAll(plain, "DIR", dir))
	synctest.Test(t, func(t *testing.T) {
		const many = 20*batch + 1
		later := time.Now().Add(365 * 24 * time.Hour) // the clock was a year ahead
		err := ledger.File().Save(func(w io.Writer) error {
			book := ledger.New()
			for i := range many {
				source := netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), 32)
				book.Enter(ledger.Ref{Response: engine.Block, Source: source}, later, later.Add(time.Hour),
					event.Event{})
			}
			e, err := engine.New(engine.Config{Sources: 16}, 1)
			if err != nil {
				return err
			}
			return ledger.Resting(book, e).Write(w)
		})
		if err != nil {
			t.Fatal(err)
		}
		r := begin(t, path, nil)
		r.told(1, fmt.Sprintf("%d blocks in force", many))
		if n := len(r.blocked()); n != many {
			t.Errorf("%d are back, want %d", n, many)
		}
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		if n := len(r.blocked()); n != 0 {
			t.Errorf("%d are blocked after the hour", n)
		}
		if err := r.finish(); err != nil {
			t.Error(err)
		}
	})
}

// A reload frees sources that are protected now, refuses a file with an error, and names the
// keys that need a restart.
func TestReload(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		reload := func(more string) {
			write(t, r.options.Path, strings.ReplaceAll(plain, "DIR", filepath.Dir(r.options.Path))+more)
			r.hangup <- syscall.SIGHUP
			synctest.Wait()
		}
		r.asks(control.Request{Command: "block", Source: "192.0.2.7", For: "1d"}, "")
		r.probes("192.0.2.9", 1000, 30)
		reload("nonsense = 1\n")
		r.asks(control.Request{Command: "reload"}, "nonsense")
		if _, err := r.answer(r.t.Context(), control.Request{Command: "reload"}); !errors.As(err,
			new(control.Invalid)) {
			t.Errorf("an invalid file: %#v", err)
		}
		r.told(3, "the configuration was not changed")
		r.wants("192.0.2.7/32", "192.0.2.9/32")
		reload("[ignore]\naddresses = [\"192.0.2.7\"]\n[nflog]\ngroup = 77\n[run]\nqueue = " +
			"5\n[resolve]\nkeep = \"1m\"\n")
		r.wants("192.0.2.9/32")
		lines := strings.Join(r.log.Take(), "\n")
		for _, want := range []string{
			"the configuration was read again", "nflog.group, nflog.snaplen",
			"event=unblock source=192.0.2.7",
			"run.timeout, run.parallel, run.queue and the bounds of [resolve] change only with a restart",
		} {
			if !strings.Contains(lines, want) {
				t.Errorf("lacks %q:\n%s", want, lines)
			}
		}
		reload("[trap]\ninvite = \"scored\"\n")
		r.told(1, "the trap opens its listener at the start: restart picket")
		reload("[run]\ncommand = [\"/nonexistent/program\"]\n")
		r.told(1, "run.command: ")
		reload("[[known]]\nname = \"mine\"\npolicy = \"ignore\"\naddresses = [\"192.0.2.9\"]\n")
		r.wants()
		r.kernel.with(func() { r.failing = errors.New("no memory") })
		reload("")
		r.told(1, "the configuration was not changed: no memory")
		r.kernel.with(func() { r.failing = nil })
		r.asks(control.Request{Command: "reload"}, "")
		r.told(1, "the configuration was read again")
	})
}

// A change of the host's own addresses is noticed, also after a failed watch.
func TestHostChanges(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		r.asks(control.Request{Command: "block", Source: "192.0.2.7", For: "1d"}, "")
		r.hosts <- errors.New("too much at once")
		time.Sleep(2 * rewatch)
		r.told(1, "the host's addresses and routes: too much at once")
		r.kernel.with(func() {
			r.kernel.friends = []host.Friend{{Prefix: prefix("192.0.2.7/32"),
				Why: "own address"}}
		})
		r.hosts <- nil
		r.wants()
		r.told(1, "in order again")
	})
}

// A command ahead of the block: the block waits for it, and can be called off.
func TestCommandBeforeBlock(t *testing.T) {
	const before = plain + `
[run]
command = ["DIR/hook"]
when = "before"
unproven = true
`
	running(t, before, nil, func(r *run) {
		dir := filepath.Dir(r.options.Path)
		write(t, dir+"/hook", "#!/bin/sh\ncat >>"+dir+"/ran\nexit 3\n")
		if err := os.Chmod(dir+"/hook", 0o700); err != nil {
			t.Fatal(err)
		}
		r.probes("192.0.2.9", 1000, 40)
		r.wants("192.0.2.9/32")
		ran, err := os.ReadFile(dir + "/ran")
		if err != nil || strings.Count(string(ran), `"source":"192.0.2.9"`) != 1 {
			t.Errorf("%v: %s", err, ran)
		}
		r.told(1, "command for block of 192.0.2.9")
		x := r.asks(control.Request{Command: "explain", Source: "192.0.2.9"}, "").(*control.Explanation)
		if !x.Blocks[0].Commanded {
			t.Errorf("%+v", x.Blocks)
		}
	})
}

// The ends of a run, and the message of each.
func TestRunEnds(t *testing.T) {
	for _, x := range []struct {
		name    string
		prepare func(*kernel)
		then    func(*run)
		want    string
	}{
		{"a foreign table", func(k *kernel) { k.state = nft.Foreign }, nil, nft.ErrForeign.Error()},
		{"a kernel that fails", func(k *kernel) { k.failing = errors.New("no memory") }, nil, "no memory"},
		{"a watch that breaks", nil, func(r *run) { r.changed <- "" }, "the watch broke"},
		{"picket remove", nil, func(r *run) { r.asks(control.Request{Command: "remove"}, "") }, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			running(t, plain, x.prepare, func(r *run) {
				if x.then != nil {
					x.then(r)
				}
				synctest.Wait()
				select {
				case err := <-r.result:
					if x.want == "" && err != nil || x.want != "" &&
						(err == nil || !strings.Contains(err.Error(), x.want)) {
						t.Errorf("%v, want %q", err, x.want)
					}
					r.result <- err
				default:
					t.Error("goes on")
				}
				if _, err := os.Stat(ledger.File().Path); x.name == "picket remove" && err == nil {
					t.Error("a state file is left behind")
				}
			})
		})
	}
}

// Lost probes are reported, at most once a second.
func TestLossIsTold(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		time.Sleep(time.Millisecond)
		r.kernel.with(func() { r.kernel.lost = 3 })
		time.Sleep(time.Minute)
		r.told(0, "lost")
		r.probes("192.0.2.7", 1000, 1) // so that the next number leaves a gap
		time.Sleep(time.Minute)
		r.told(1, "3 mirrored packets were lost before they were judged")
		r.alive() // without systemd it reports nothing, but the judge answers
		synctest.Wait()
	})
}

// Packets beyond the kernel's limits are reported once a minute, with the busiest sources. So
// is a connection tracking table that is almost full.
func TestLimitsAreTold(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		for range 3 {
			r.probes("192.0.2.7", 1000, 3)
			time.Sleep(time.Minute)
		}
		r.told(0, "limits")
		r.kernel.with(func() {
			r.counts = map[string]uint64{"unlogged_overall": 7, "full_sight": 2, "trapped": 9}
			r.untracked = errors.New("99 of 100 entries are in use")
		})
		for range 30 {
			r.probes("192.0.2.7", 1000, 1)
			time.Sleep(time.Second)
		}
		lines := strings.Join(r.log.Take(), "\n")
		want := "limits: full_sight 2, unlogged_overall 7; of those seen last, 192.0.2.7 sent most"
		if strings.Count(lines, "limits") != 1 || !strings.Contains(lines, want) {
			t.Errorf("want once %q:\n%s", want, lines)
		}
		if !strings.Contains(lines, "connection tracking: 99 of 100") {
			t.Error(lines)
		}
		r.kernel.with(func() { r.untracked = nil })
	})
}

// A dry run judges and reports, and blocks nobody.
func TestDryRun(t *testing.T) {
	running(t, "dry_run = true\n"+plain, nil, func(r *run) {
		r.told(1, "dry run, nobody will be blocked")
		r.probes("192.0.2.9", 1000, 30)
		r.wants()
		r.told(1, "source=192.0.2.9 destination=192.0.2.2 protocol=tcp port=1025")
	})
}
