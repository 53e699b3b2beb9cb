// SPDX-License-Identifier: MIT

package behind

import (
	"net/netip"
	"testing"
	"time"

	"picket/internal/probe"
)

var (
	start  = time.Unix(1_700_000_000, 0)
	inside = netip.MustParseAddr("198.51.100.2")
)

// target is the i-th of many addresses.
func target(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, byte(113 + i/256), byte(i)}) }

// Probes leave in the order of their arrival, with their own bytes, after their wait.
func TestRoom(t *testing.T) {
	r := NewRoom(3, 4)
	if _, ok := r.Next(); ok {
		t.Fatal("somebody waits in an empty room")
	}
	for round := range 4 {
		for i := range 3 {
			p := probe.Probe{Port: uint16(10*round + i)}
			r.Add(&p, []byte{byte(round), byte(i), 3, 4, 5}, start.Add(time.Duration(i)))
		}
		if !r.Full() {
			t.Fatal("three of three places are taken, and the room is not full")
		}
		for i := range 3 {
			due, ok := r.Next()
			if !ok || !due.Equal(start.Add(Patience+time.Duration(i))) {
				t.Fatalf("the %d. is due at %v, %v", i, due, ok)
			}
			p, raw := r.Leave()
			if p.Port != uint16(10*round+i) || string(raw) != string([]byte{byte(round), byte(i), 3, 4}) {
				t.Fatalf("the %d. of round %d is port %d with %v", i, round, p.Port, raw)
			}
		}
	}
	if r.Full() {
		t.Error("an empty room is full")
	}
}

// A device scans if it asks many addresses at a port, or many ports of an address, and few
// answer. It is reported once an hour.
func TestDevicesThatScan(t *testing.T) {
	for name, to := range map[string]func(i int) netip.AddrPort{
		"addresses": func(i int) netip.AddrPort { return netip.AddrPortFrom(target(i), 23) },
		"ports":     func(i int) netip.AddrPort { return netip.AddrPortFrom(target(0), uint16(i+1)) },
	} {
		t.Run(name, func(t *testing.T) {
			var d Devices
			told := []int{}
			for i := range 1000 {
				at := start.Add(time.Duration(i) * 5 * time.Second)
				if s, is := d.Asked(inside, to(i), i%50 == 0, at); is {
					told = append(told, i)
					if s.Asked != mostUnanswered+1 || s.Evidence() == "" ||
						(s.Port == 0) != s.Target.IsValid() {
						t.Errorf("%+v", s)
					}
				}
			}
			// 5 s each: an hour is 720 of them.
			if len(told) != 2 || told[0] > 27 || told[1] < told[0]+720 {
				t.Errorf("told at the questions %v of 1000", told)
			}
		})
	}
}

// Ordinary devices are not reported.
func TestDevicesThatDoNot(t *testing.T) {
	for name, ask := range map[string]func(d *Devices, i int, now time.Time) bool{
		"a mail server, of whose peers a third is gone": func(d *Devices, i int, now time.Time) bool {
			_, is := d.Asked(inside, netip.AddrPortFrom(target(i), 25), i%3 != 0, now)
			return is
		},
		"BitTorrent, most of whose peers are gone": func(d *Devices, i int, now time.Time) bool {
			_, is := d.Asked(inside, netip.AddrPortFrom(target(i), uint16(1024+i*7919%60000)), i%4 == 0, now)
			_, also := d.Asked(inside, netip.AddrPortFrom(target(i), 6881), false, now)
			return is || also
		},
		"who tries an address that is gone, for hours": func(d *Devices, i int, now time.Time) bool {
			_, is := d.Asked(inside, netip.AddrPortFrom(target(0), 443), false, now)
			return is
		},
		"who meets a dead address each minute": func(d *Devices, i int, now time.Time) bool {
			_, is := d.Asked(inside, netip.AddrPortFrom(target(i), 443), false,
				start.Add(time.Duration(i)*time.Minute))
			return is
		},
	} {
		t.Run(name, func(t *testing.T) {
			var d Devices
			for i := range 2000 {
				if ask(&d, i, start.Add(time.Duration(i)*100*time.Millisecond)) {
					t.Fatalf("told of at question %d", i)
				}
			}
		})
	}
}

// Memory is bounded for any number of devices and of their targets.
func TestDevicesAreBounded(t *testing.T) {
	var d Devices
	for i := range 4 * mostDevices {
		for n := range 4 * mostTallies {
			d.Asked(target(i), netip.AddrPortFrom(target(n), uint16(n+1)), false, start.Add(time.Duration(i)))
		}
	}
	if len(d.by) > mostDevices {
		t.Errorf("%d devices are kept", len(d.by))
	}
	for _, x := range d.by {
		if len(x.ports) > mostTallies || len(x.targets) > mostTallies {
			t.Fatalf("%d ports and %d targets are kept of one", len(x.ports), len(x.targets))
		}
	}
}
