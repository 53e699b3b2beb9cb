// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"slices"
	"time"

	"picket/internal/host"
	"picket/internal/journal"
	"picket/nft"
)

const (
	// servicesEvery is how often it is asked what is served and who is logged in.
	servicesEvery = 2 * time.Second

	// settled is how long a UDP socket on a port of the ephemeral range must have
	// been there to be a service: a resolver's wait for their answer on such, and
	// WireGuard waits for anybody.
	settled = time.Minute

	// serveAgain is how often the kernel is told of a port that is still served.
	serveAgain = nft.LatelyTime / 12
)

// services is what this host serves, by when the port was first seen and last told
// to the kernel. It is one goroutine's.
type services struct {
	first, told map[host.Service]time.Time
	ephemeral   uint16 // the lowest port of that range
}

// news returns the ports to tell the kernel of.
func (s *services) news(list []host.Service, now time.Time) (out []nft.Service) {
	there := make(map[host.Service]bool, len(list))
	for _, x := range list {
		there[x] = true
		if s.first[x].IsZero() {
			s.first[x] = now
		}
		if x.Protocol == protocolUDP && x.Port >= s.ephemeral && now.Sub(s.first[x]) < settled {
			continue
		}
		if told, ok := s.told[x]; !ok || now.Sub(told) >= serveAgain {
			s.told[x] = now
			out = append(out, nft.Service{Protocol: x.Protocol, Port: x.Port})
		}
	}
	for x := range s.first {
		if !there[x] {
			delete(s.first, x)
			delete(s.told, x)
		}
	}
	return out
}

const protocolUDP = 17

// watchServices tells the kernel what is served, so that a port is no probe's
// target for an hour after its service has stopped; and everybody who it is that is
// logged in.
func (d *daemon) watchServices(ctx context.Context) error {
	tick := time.NewTicker(servicesEvery)
	defer tick.Stop()
	s := services{
		first: map[host.Service]time.Time{}, told: map[host.Service]time.Time{}, ephemeral: host.EphemeralPort(),
	}
	trouble := journal.NewTrouble(d.journal, "what this host serves")
	for {
		list, err := d.system.services(d.listenerPort())
		if err == nil {
			if news := s.news(list, time.Now()); len(news) > 0 {
				err = d.orders.serve(ctx, news)
			}
		}
		if ctx.Err() == nil {
			trouble.Tell(err)
		}
		if d.moved() {
			_ = d.apply(ctx, nil) // it fails when picket stops, or as the next reload does, which tells
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// moved looks where the operator is logged in from, and which addresses others
// serve, and reports whether that has changed.
func (d *daemon) moved() bool {
	operators, _ := d.system.operators()
	elsewhere := d.system.elsewhere()
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.Equal(operators, d.operators) && slices.Equal(elsewhere, d.elsewhere) {
		return false
	}
	d.operators, d.elsewhere = operators, elsewhere
	return true
}
