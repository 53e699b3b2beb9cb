// SPDX-License-Identifier: MIT

package config

import (
	"errors"
	"io/fs"
	"net/netip"

	"picket/internal/event"
	"picket/internal/origin"
)

// Origin is section [origin]: databases of countries and networks.
type Origin struct {
	Country string `json:"country"` // "" for none
	Network string `json:"network"` // "" for none

	country, network *origin.Database // nil for none
}

func (o *Origin) read(s *section) {
	o.country = s.database("country", &o.Country, origin.Country)
	o.network = s.database("network", &o.Network, origin.Network)
	s.end()
}

// database reads the path of a database and opens it. A missing one is a
// warning: the file may be for another host, or the database may come later, and
// only words depend on it.
func (s *section) database(key string, to *string, kind origin.Kind) *origin.Database {
	s.path1(key, to, "/var/lib/GeoIP/"+key+".mmdb")
	if *to == "" {
		return nil
	}
	d, err := origin.Open(*to, kind)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.warn(key, err.Error()+"; events will not tell the "+kind.String())
	case err != nil:
		s.fault(key, err.Error())
	}
	return d
}

// Locate writes into ev what the databases know of a.
func (c *Config) Locate(ev *event.Event, a netip.Addr) {
	ev.Country = c.Origin.country.Find(a).Country
	n := c.Origin.network.Find(a)
	ev.ASN, ev.Network = n.ASN, n.Network
}
