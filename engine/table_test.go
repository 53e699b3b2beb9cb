// SPDX-License-Identifier: MIT

package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// naive is a table as one would write it down: a map, and a list with the
// source seen last at its end.
type naive struct {
	size  int
	order []key
	port  map[key]uint16
}

func (n *naive) touch(k key) {
	n.order = append(slices.DeleteFunc(n.order, func(x key) bool { return x == k }), k)
}

// TestTable does the same to a table and to the naive one, at random.
func TestTable(t *testing.T) {
	for _, x := range []struct{ size, keys int }{{1, 3}, {2, 5}, {16, 24}, {100, 90}, {100, 1000}, {257, 300}} {
		t.Run(fmt.Sprintf("%d places, %d sources", x.size, x.keys), func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Log("seed", seed)
			r := rand.New(rand.NewPCG(seed, 0))
			real := newTable(x.size, r.Uint64())
			model := &naive{size: x.size, port: map[key]uint16{}}
			forgotten := uint64(0)
			keys := make([]key, x.keys)
			for i := range keys {
				keys[i] = key{r.Uint64() & 3, r.Uint64N(1 << 40)}
			}
			for range 20000 {
				k := keys[r.IntN(len(keys))]
				switch r.IntN(4) {
				case 0: // look, without a trace
					s := real.peek(k)
					if port, known := model.port[k]; known != (s != nil) || known && s.portAt(0) != port {
						t.Fatalf("peek %v: %v, want %v %d", k, s, known, port)
					}
				case 1:
					real.expect([]key{k, keys[0], {}})
				default:
					i := real.find(k)
					port, known := model.port[k]
					if known != (i != none) {
						t.Fatalf("find %v: %v, want %v", k, i != none, known)
					}
					if known {
						model.touch(k)
					} else {
						if real.full() != (len(model.order) == x.size) {
							t.Fatalf("full is %v with %d of %d", real.full(), len(model.order), x.size)
						}
						if len(model.order) == x.size {
							delete(model.port, model.order[0])
							model.order = model.order[1:]
							forgotten++
						}
						i = real.add(k)
						port = uint16(r.Uint32())
						real.records[i].setPort(0, port, 0)
						model.port[k] = port
						model.touch(k)
					}
					if s := &real.records[i]; s.key != k || s.portAt(0) != port {
						t.Fatalf("%v has port %d, want %v and %d", s.key, s.portAt(0), k, port)
					}
				}
			}
			var order []key
			for i := real.oldest; i != none; i = real.order[i].newer {
				order = append(order, real.records[i].key)
			}
			if !slices.Equal(order, model.order) || real.evicted != forgotten || int(real.used) != len(model.order) {
				t.Errorf("order %v, want %v; %d forgotten, want %d", order, model.order, real.evicted, forgotten)
			}
		})
	}
}

// TestPorts does the same to a record and to a list of ports, at random.
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
				s.keep(kept)
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

// TestTraces: what took the longest to show stays, and what is too old goes.
func TestTraces(t *testing.T) {
	m := newTraces(16, 1) // one bucket
	trace := func(i, ports int, last time.Duration) *source {
		s := &source{key: key{lo: uint64(i)}, last: int64(last), first: 1, flags: toldSlow, tool: Nmap}
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
	if m.at(key{lo: 20}) >= 0 {
		t.Error("two ports pushed out three")
	}
	m.put(trace(21, 3, 30*time.Hour), 0)
	if m.at(key{lo: 0}) >= 0 || m.at(key{lo: 21}) < 0 {
		t.Error("of the same number of ports, the older one must go")
	}
	m.put(trace(22, 2, 30*time.Hour), int64(90*time.Minute)) // number 1 is free by then
	if m.at(key{lo: 1}) >= 0 || m.at(key{lo: 22}) < 0 || m.used != 8 {
		t.Errorf("a trace too old was kept; %d in use", m.used)
	}
	var s source
	if !m.take(key{lo: 7}, &s, 0) || s.used != 10 || s.portAt(4) != 4 || s.classAt(4) != 1 || s.last != int64(7*time.Hour) || s.tool != Nmap || s.flags != toldSlow {
		t.Errorf("taken: %+v", s)
	}
	if m.take(key{lo: 7}, &s, 0) || m.take(key{lo: 5}, &s, int64(6*time.Hour)) || m.used != 6 {
		t.Errorf("taken twice, or too old; %d in use", m.used)
	}
	m.put(trace(30, 40, 40*time.Hour), 0)
	s = source{key: key{lo: 30}}
	if !m.take(key{lo: 30}, &s, 0) || int(s.used) != traceSlots || s.portAt(0) != 40-traceSlots || s.portAt(traceSlots-1) != 39 {
		t.Errorf("of forty ports the latest %d must stay: %d, from %d", traceSlots, s.used, s.portAt(0))
	}
}
