// SPDX-License-Identifier: MIT

// Package resolve finds the host names of sources, for people: the successor of
// PortSentry's RESOLVE_HOST.
//
// No decision waits for it. PortSentry 1.2 asked the resolver in its packet loop
// and stood still meanwhile; here a question is queued, a full queue drops it, and
// the name comes later or never. Answers are kept for a while, failures too, and the
// cache has a fixed size.
//
// A name is the word of the reverse zone's owner, perhaps the scanner. Anything but
// a host name of RFC 1123 is refused, a name that reads like an address included,
// and with confirmation any name that does not lead back to the address. The rest is
// ASCII letters, digits, hyphens and dots.
//
// It needs a resolver (/etc/resolv.conf).
package resolve

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"picket/internal/queue"
)

// Config tunes the lookups. A zero field has its default.
type Config struct {
	Workers int           // lookups at once; 2
	Queue   int           // questions that wait; 256
	Cache   int           // names kept; 4,096
	TTL     time.Duration // how long a name is kept; 1 h
	Timeout time.Duration // of one lookup; 5 s
	// Confirm asks for the addresses of the name too, and takes the name only if the
	// source is one of them.
	Confirm bool
	// Resolver asks; nil is Go's resolver with the system's configuration.
	Resolver *net.Resolver
}

func (c Config) withDefaults() Config {
	if c.Workers <= 0 {
		c.Workers = 2
	}
	if c.Queue <= 0 {
		c.Queue = 256
	}
	if c.Cache <= 0 {
		c.Cache = 4096
	}
	if c.TTL <= 0 {
		c.TTL = time.Hour
	}
	if c.Timeout <= 0 {
		c.Timeout = 5 * time.Second
	}
	if c.Resolver == nil {
		c.Resolver = &net.Resolver{PreferGo: true}
	}
	return c
}

// failTTL is how long a failure is kept: a broken resolver is asked again soon, and
// a flood of one source asks once.
const failTTL = 5 * time.Minute

// A Resolver finds names. Its methods may be called by several goroutines.
type Resolver struct {
	conf  Config
	queue *queue.Queue[netip.Addr]

	mu      sync.Mutex
	stopped bool
	cache   map[netip.Addr]entry
	order   []netip.Addr // the cache's keys, oldest first, a ring
	next    int          // the next place of the ring
	waiting map[netip.Addr][]func(string)
	crowded uint64 // questions beyond maxWaiting
}

type entry struct {
	name string
	till time.Time
}

// maxWaiting is the most callers that wait for one address; the next gets no name.
const maxWaiting = 64

// New returns a resolver; it asks nothing before [Resolver.Run].
func New(c Config) *Resolver {
	c = c.withDefaults()
	return &Resolver{
		conf: c, queue: queue.New[netip.Addr](c.Queue),
		cache: make(map[netip.Addr]entry), waiting: make(map[netip.Addr][]func(string)),
	}
}

// Run looks names up until ctx is done, and returns nil. Callers that still wait
// get no name.
func (r *Resolver) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range r.conf.Workers {
		wg.Go(func() {
			r.queue.Each(ctx, func(a netip.Addr) { r.answer(a, r.lookup(ctx, a)) })
		})
	}
	wg.Wait()
	r.mu.Lock()
	r.stopped = true
	left := r.waiting
	r.waiting = make(map[netip.Addr][]func(string))
	r.mu.Unlock()
	for _, list := range left {
		for _, done := range list {
			done("")
		}
	}
	return nil
}

// Name returns the name known now, or "".
func (r *Resolver) Name(a netip.Addr) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	name, _ := r.known(key(a))
	return name
}

// Lookup calls done once with the name of a, or with "" for none: at once if that
// is known or too many wait already, otherwise from another goroutine. It never
// waits.
func (r *Resolver) Lookup(a netip.Addr, done func(name string)) {
	a = key(a)
	r.mu.Lock()
	name, ok := r.known(a)
	if !ok && r.enlist(a, done) {
		r.mu.Unlock()
		return
	}
	r.mu.Unlock()
	done(name)
}

// Dropped is the number of questions dropped by a full queue.
func (r *Resolver) Dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.crowded + r.queue.Shed()
}

func key(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// known returns the cached name; ok is false if nothing is cached. It is called with
// the lock held, as are the ones below.
func (r *Resolver) known(a netip.Addr) (name string, ok bool) {
	e, ok := r.cache[a]
	if !ok || time.Now().After(e.till) {
		return "", false
	}
	return e.name, true
}

// enlist puts done on the waiting list of a, and asks for a if nobody has. It is
// false if there is no place.
func (r *Resolver) enlist(a netip.Addr, done func(string)) bool {
	list, asked := r.waiting[a]
	if r.stopped {
		return false
	}
	if len(list) >= maxWaiting {
		r.crowded++
		return false
	}
	if !asked && !r.queue.Put(a) {
		return false
	}
	r.waiting[a] = append(list, done)
	return true
}

func (r *Resolver) answer(a netip.Addr, name string) {
	r.mu.Lock()
	ttl := r.conf.TTL
	if name == "" {
		ttl = min(ttl, failTTL)
	}
	r.keep(a, entry{name, time.Now().Add(ttl)})
	list := r.waiting[a]
	delete(r.waiting, a)
	r.mu.Unlock()
	for _, done := range list {
		done(name)
	}
}

// keep caches an answer, in the place of the oldest if the cache is full.
func (r *Resolver) keep(a netip.Addr, e entry) {
	if _, there := r.cache[a]; !there {
		if len(r.order) < r.conf.Cache {
			r.order = append(r.order, a)
		} else {
			delete(r.cache, r.order[r.next])
			r.order[r.next] = a
			r.next = (r.next + 1) % len(r.order)
		}
	}
	r.cache[a] = e
}

// lookup asks for the first valid name of a.
func (r *Resolver) lookup(ctx context.Context, a netip.Addr) string {
	ctx, cancel := context.WithTimeout(ctx, r.conf.Timeout)
	defer cancel()
	names, err := r.conf.Resolver.LookupAddr(ctx, a.String())
	if err != nil && len(names) == 0 {
		return ""
	}
	for _, n := range names {
		name, ok := Clean(n)
		if ok && (!r.conf.Confirm || r.confirmed(ctx, name, a)) {
			return name
		}
	}
	return ""
}

// confirmed reports whether the name leads back to the address.
func (r *Resolver) confirmed(ctx context.Context, name string, a netip.Addr) bool {
	network := "ip6"
	if a.Is4() {
		network = "ip4"
	}
	back, err := r.conf.Resolver.LookupNetIP(ctx, network, name+".")
	if err != nil {
		return false
	}
	for _, b := range back {
		if key(b) == a {
			return true
		}
	}
	return false
}
