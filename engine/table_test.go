// SPDX-License-Identifier: MIT

package engine

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"picket/internal/probe"
)

// naive is the simplest table: a map, with ages that do not wrap.
type naive struct {
	known map[probe.Key]*sighting
	added int // sources, ever
}

type sighting struct {
	port     uint16
	epoch    int
	cameBack bool
}

// age is how long k was not seen, by the reckoning of put and oldest.
func (n *naive) age(k probe.Key, turns int) int {
	x := n.known[k]
	age := n.added/turns - x.epoch
	if !x.cameBack {
		age += older
	}
	return age
}

// TestTable does the same at random to a table and to the naive one. Both find the same sources.
// None is forgotten before the table is full, and a forgotten one is of the oldest age in its two
// buckets.
func TestTable(t *testing.T) {
	for _, x := range []struct{ size, keys, steps int }{
		{1, 3, 1000}, {2, 5, 1000}, {16, 24, 20_000}, {100, 90, 20_000}, {100, 1000, 20_000},
		{257, 300, 20_000}, {5000, 4900, 60_000}, {5000, 9000, 60_000},
	} {
		t.Run(fmt.Sprintf("%d places, %d sources", x.size, x.keys), func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Log("seed", seed)
			r := rand.New(rand.NewPCG(seed, 0))
			real := newTable(x.size, r.Uint64())
			model := &naive{known: map[probe.Key]*sighting{}}
			forgotten := uint64(0)
			keys := make([]probe.Key, x.keys)
			for i := range keys {
				keys[i] = probe.Key{Hi: r.Uint64() & 3, Lo: r.Uint64N(1 << 40)}
			}
			for range x.steps {
				k := keys[r.IntN(len(keys))]
				was := model.known[k]
				switch r.IntN(4) {
				case 0: // look, without a trace
					if s := real.peek(k); (was != nil) != (s != nil) || s != nil && s.portAt(0) != was.port {
						t.Fatalf("peek %v: %v, want %v", k, s, was)
					}
					continue
				case 1:
					real.expect([]probe.Key{k, keys[0], {}})
					continue
				}
				s := real.find(k)
				if (was != nil) != (s != nil) {
					t.Fatalf("find %v: %v, want %v", k, s, was)
				}
				if was != nil {
					was.epoch, was.cameBack = model.added/real.turns, true
				} else {
					place, old := real.room(k)
					if victim := real.records[place]; real.tags[place/bucketSize].at(place%bucketSize) != 0 {
						if len(model.known) < x.size {
							t.Fatalf("with %d of %d known, one is forgotten", len(model.known), x.size)
						}
						age := model.age(victim.Key, real.turns)
						a, b := real.buckets(k.Mix(real.seed))
						for _, b := range []uint64{a, b} {
							for i := range real.load(b) {
								if other := real.records[int(b)*bucketSize+i].Key; model.age(other,
									real.turns) > age {
									t.Fatalf("forgets %v of age %d before %v of age %d", victim.Key, age,
										other, model.age(other, real.turns))
								}
							}
						}
						if (old != nil) != model.known[victim.Key].cameBack {
							t.Fatalf("worth a trace: %v, came back: %v", old != nil,
								model.known[victim.Key].cameBack)
						}
						delete(model.known, victim.Key)
						forgotten++
					}
					s = real.put(place, k)
					was = &sighting{port: uint16(r.Uint32()), epoch: model.added / real.turns}
					s.setPort(0, was.port, 0)
					model.known[k] = was
					model.added++
				}
				if s.Key != k || s.portAt(0) != was.port {
					t.Fatalf("%v has port %d, want %v and %d", s.Key, s.portAt(0), k, was.port)
				}
			}
			n := 0
			for s := range real.all() {
				if was := model.known[s.Key]; was == nil || s.portAt(0) != was.port || real.peek(s.Key) != s {
					t.Fatalf("%v: port %d, want %v", s.Key, s.portAt(0), was)
				}
				n++
			}
			if real.evicted != forgotten || real.used != n || n != len(model.known) {
				t.Errorf("%d known, %d counted, want %d; %d forgotten, want %d", n, real.used,
					len(model.known), real.evicted, forgotten)
			}
		})
	}
}

// TestTableHoldsAll: the table holds as many sources as configured, whatever their addresses and
// the seed.
func TestTableHoldsAll(t *testing.T) {
	for _, x := range []struct{ size, seeds int }{{16, 1000}, {100, 300}, {1000, 100}, {5000, 20},
		{50_000, 3}, {100_000, 1}, {defaultSources, 2}} {
		for seed := range uint64(x.seeds) {
			table := newTable(x.size, seed)
			slowest := time.Duration(0)
			for i := range x.size {
				k := probe.Words(addr4(uint32(i)))
				if i%2 == 1 {
					k = probe.Key{Hi: 0x2001_0db8<<32 | uint64(i)<<8}
				}
				before, start := table.mask, time.Now()
				place, old := table.room(k)
				if took := time.Since(start); table.mask > before {
					slowest = max(slowest, took)
				}
				if table.put(place, k); old != nil || table.evicted > 0 {
					t.Fatalf("the %d. of %d sources makes one forgotten (seed %d)", i+1, x.size, seed)
				}
			}
			for i := range x.size / 2 {
				if table.peek(probe.Words(addr4(uint32(2*i)))) == nil ||
					table.peek(probe.Key{Hi: 0x2001_0db8<<32 | uint64(2*i+1)<<8}) == nil {
					t.Fatalf("of %d sources, number %d is not there", x.size, 2*i)
				}
			}
			if seed == 0 {
				t.Logf("%d sources: %d buckets of %d, doubled %d times, in %v at most", x.size, table.inUse(),
					len(table.tags), bits.OnesCount64(table.mask), slowest)
			}
		}
	}
}

// TestTableKeepsItsBound: there are never more sources than configured, even if the two buckets of
// the next source are empty.
func TestTableKeepsItsBound(t *testing.T) {
	const size, shunned = 16, 0
	table := newTable(size, 1)
	add := func(k probe.Key) {
		place, _ := table.room(k)
		table.put(place, k)
	}
	var last probe.Key
	for i := uint64(1); table.used < size || last == (probe.Key{}); i++ {
		switch a, b := table.buckets(probe.Key{Lo: i}.Mix(1)); {
		case a != shunned && b != shunned && table.used < size:
			add(probe.Key{Lo: i})
		case a == shunned && b == shunned:
			last = probe.Key{Lo: i}
		}
	}
	before := table.evicted
	if add(last); table.used != size || table.evicted != before+1 || table.peek(last) == nil ||
		table.load(shunned) != 1 {
		t.Errorf("%d known, %d forgotten, want %d and 1", table.used, table.evicted-before, size)
	}
}

// TestWhoComesBackStays: 1,000,000 sources of one packet do not push out a hundred that send now and
// then, at least once in as many new sources as half the table.
func TestWhoComesBackStays(t *testing.T) {
	const size, few = 1 << 16, 100
	for _, x := range []struct {
		pause int // new sources between two packets of one of the few
		lost  float64
	}{{size / 16, 0}, {size / 2, 0}, {size, 0.1}} {
		table := newTable(size, 1)
		see := func(k probe.Key) (known bool) {
			if table.find(k) != nil {
				return true
			}
			place, _ := table.room(k)
			table.put(place, k)
			return false
		}
		came, lost := 0, 0
		for i := range 1_000_000 {
			see(probe.Words(addr4(uint32(i))))
			if n := i % x.pause; n < few {
				if k := (probe.Key{Hi: uint64(n + 1)}); i >= 2*x.pause {
					came++
					if !see(k) {
						lost++
						see(k)
					}
				} else {
					see(k)
				}
			}
		}
		share := float64(lost) / float64(came)
		if share > x.lost {
			t.Errorf("of a hundred with %d new ones in between, %.1f %% were forgotten, want at most %.0f",
				x.pause, 100*share, 100*x.lost)
		}
		t.Logf("%d new ones in between: forgotten %d of %d times", x.pause, lost, came)
	}
}

// TestPorts does the same at random to a record and to a list of ports.
func TestPorts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	type seen struct {
		port  uint16
		class uint8
	}
	for range 200 {
		var s source
		var list []seen // the latest 32 different ones, the oldest first
		for range 300 {
			x := seen{uint16(r.IntN(60)), uint8(r.IntN(4))}
			_, fresh := s.note(x.port, x.class, stampOf(5))
			if want := !slices.Contains(list, x); fresh != want {
				t.Fatalf("%v is new: %v, want %v", x, fresh, want)
			}
			if fresh {
				if list = append(list, x); len(list) > portSlots {
					list = list[1:]
				}
			}
			var got []seen
			for i := range int(s.used) {
				got = append(got, seen{s.portAt(s.ith(i)), s.classAt(s.ith(i))})
			}
			if !slices.Equal(got, list) || int(s.live) != len(list) || !s.sound() {
				t.Fatalf("got %v\nwant %v, %d live", got, list, s.live)
			}
			if r.IntN(40) == 0 { // half of the slow window is over
				kept := r.Uint32()
				var rest []seen
				for i := range list {
					if kept>>s.ith(i)&1 == 1 {
						rest = append(rest, list[i])
					}
				}
				wrapped := s.used == portSlots && s.next != 0
				s.retain(kept)
				if list = rest; wrapped { // in the order of the slots
					list = nil
					for i := range int(s.used) {
						list = append(list, seen{s.portAt(i), s.classAt(i)})
					}
					if len(list) != len(rest) {
						t.Fatalf("%d kept, want %d", len(list), len(rest))
					}
				}
			}
		}
	}
}

// TestTraces: the traces of the most ports stay, then the newest. Traces that are too old go.
func TestTraces(t *testing.T) {
	m := newTraces(16, 1) // one bucket
	trace := func(i, ports int, last time.Duration) *source {
		s := &source{Key: probe.Key{Lo: uint64(i)}, last: int64(last), first: 1, flags: toldSlow,
			tool: probe.Nmap}
		for p := range ports {
			s.note(uint16(p), uint8(p%3), stampOf(1))
		}
		return s
	}
	m.put(trace(99, 1, time.Hour), 0)
	if m.used != 0 {
		t.Error("a source of one port was kept")
	}
	for i := range 8 {
		m.put(trace(i, 3+i, time.Duration(i)*time.Hour), 0)
	}
	m.put(trace(20, 2, 30*time.Hour), 0)
	if m.at(probe.Key{Lo: 20}) >= 0 {
		t.Error("two ports pushed out three")
	}
	m.put(trace(21, 3, 30*time.Hour), 0)
	if m.at(probe.Key{Lo: 0}) >= 0 || m.at(probe.Key{Lo: 21}) < 0 {
		t.Error("of the same number of ports, the older one must go")
	}
	m.put(trace(22, 2, 30*time.Hour), int64(90*time.Minute)) // number 1 is free by then
	if m.at(probe.Key{Lo: 1}) >= 0 || m.at(probe.Key{Lo: 22}) < 0 || m.used != 8 {
		t.Errorf("a trace too old was kept; %d in use", m.used)
	}
	var s source
	if !m.take(probe.Key{Lo: 7}, &s, 0) || s.used != 10 || s.portAt(4) != 4 || s.classAt(4) != 1 ||
		s.last != int64(7*time.Hour) || s.tool != probe.Nmap || s.flags != toldSlow {
		t.Errorf("taken: %+v", s)
	}
	if m.take(probe.Key{Lo: 7}, &s, 0) || m.take(probe.Key{Lo: 5}, &s, int64(6*time.Hour)) || m.used != 6 {
		t.Errorf("taken twice, or too old; %d in use", m.used)
	}
	m.put(trace(30, 40, 40*time.Hour), 0)
	s = source{Key: probe.Key{Lo: 30}}
	if !m.take(probe.Key{Lo: 30}, &s, 0) || int(s.used) != traceSlots || s.portAt(0) != 40-traceSlots ||
		s.portAt(traceSlots-1) != 39 {
		t.Errorf("of forty ports the latest %d must stay: %d, from %d", traceSlots, s.used, s.portAt(0))
	}
}

// TestKinds counts the ports of a record in the simplest way: those inside the window, of TCP with
// SCTP, of UDP and of the rest, without ports that other sources share.
func TestKinds(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	same := func(a, b uint8) bool { return a == b || a|b == 2 }
	for round := range 20_000 {
		var s source
		classes := []uint8{0, 1, 2, 3}
		if round%2 == 0 { // mostly, all are of one
			classes = classes[round/2%4:][:1]
		}
		for range r.IntN(40) {
			s.note(uint16(r.IntN(60)), classes[r.IntN(len(classes))], stampOf(5))
		}
		for i := range s.used {
			if r.IntN(4) == 0 {
				s.stamp[i] = 0
				s.live--
			}
			if r.IntN(4) == 0 && round%3 == 0 {
				s.copied |= 1 << i
			}
		}
		s.protocols |= r.Uint64() << s.used << s.used // what was there before, see retain
		for class := range uint8(4) {
			wantAll, wantOwn, own := 0, 0, 0
			for i := range int(s.used) {
				if s.stamp[i] == 0 {
					continue
				}
				alone := int(^s.copied >> i & 1)
				own += alone
				if same(s.classAt(i), class) {
					wantAll++
					wantOwn += alone
				}
			}
			if all, gotOwn := s.within(class); all != wantAll || gotOwn != wantOwn || s.own() != own {
				t.Fatalf("class %d: %d, %d its own, and %d of all; want %d, %d and %d: %+v", class, all,
					gotOwn, s.own(), wantAll, wantOwn, own, s)
			}
		}
	}
}
