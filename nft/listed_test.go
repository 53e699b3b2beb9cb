// SPDX-License-Identifier: MIT

package nft

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// TestListed: a prefix is in the set of its length, or in parts in the next one, and its areas
// are in theirs. A new list replaces the old one.
func TestListed(t *testing.T) {
	inNetns(t)
	tab := open(t)
	e := testElements()
	e.Listed = []netip.Prefix{
		prefix("198.18.0.0/15"), prefix("203.0.113.7/32"), prefix("203.0.113.0/24"), prefix("203.0.113.9/24"),
		prefix("255.255.0.0/16"),
		prefix("2001:db8::/29"), prefix("2001:dba::/61"), prefix("2001:db8::7/128"), prefix("2001:db8::/96"),
	}
	if _, err := tab.Install(e); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"listed4_15": "198.18.0.0", "listed4_24": "203.0.113.0", "listed4_32": "203.0.113.7",
		"listed4_16": "255.255.0.0",
		"areas4":     "198.18.0.0 198.19.0.0 203.0.0.0 255.255.0.0",
		"listed6_32": "2001:db8:: 2001:db9:: 2001:dba:: 2001:dbb:: 2001:dbc:: 2001:dbd:: 2001:dbe:: " +
			"2001:dbf::",
		"areas6": "2001:db8:: 2001:db9:: 2001:dba:: 2001:dbb:: 2001:dbc:: 2001:dbd:: 2001:dbe:: " +
			"2001:dbf::",
		"listed6_64": "2001:dba:: 2001:dba:0:1:: 2001:dba:0:2:: 2001:dba:0:3:: 2001:dba:0:4:: " +
			"2001:dba:0:5:: 2001:dba:0:6:: 2001:dba:0:7::",
		"listed6_128": "2001:db8::7", "listed6_20": "",
	}
	holds := func() {
		t.Helper()
		for name, keys := range want {
			els, err := tab.conn.GetSetElements(tab.sets[name])
			if err != nil {
				t.Fatal(err)
			}
			var got []netip.Addr
			for _, x := range els {
				a, _ := netip.AddrFromSlice(x.Key)
				got = append(got, a)
			}
			slices.SortFunc(got, netip.Addr.Compare)
			if s := strings.Trim(fmt.Sprint(got), "[]"); s != keys {
				t.Errorf("%s holds %s, want %s", name, s, keys)
			}
		}
	}
	holds()
	if err := tab.Fill(e); err != nil { // nothing to do
		t.Fatal(err)
	}
	holds()
	e.Listed = []netip.Prefix{prefix("192.0.2.0/24")}
	clear(want)
	want["listed4_24"], want["areas4"], want["listed6_32"], want["areas6"], want["listed4_32"] = "192.0.2.0",
		"192.0.0.0", "", "", ""
	if err := tab.Fill(e); err != nil {
		t.Fatal(err)
	}
	holds()
}

// TestListedIsDropped: a listed source gets no answer from any service. Its neighbours, and a
// friend inside, do.
func TestListedIsDropped(t *testing.T) {
	inNetns(t)
	run(t, "", "ip", "addr", "add", "198.51.100.1/24", "dev", "lo")
	run(t, "", "ip", "addr", "add", "203.0.113.1/24", "dev", "lo")
	tab := open(t)
	e := &Elements{Ignored: []netip.Prefix{prefix("203.0.113.1/32")}}
	gets := func(from string) bool { // in
		t.Helper()
		before, err := tab.Counters()
		if err != nil {
			t.Fatal(err)
		}
		c, err := (&net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}).Dial("udp", "127.0.0.1:9")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		after, err := tab.Counters()
		if err != nil {
			t.Fatal(err)
		}
		return after["kept_listed"] == before["kept_listed"]
	}
	e.Listed = []netip.Prefix{prefix("198.51.100.0/25"), prefix("203.0.112.0/22")}
	if _, err := tab.Install(e); err != nil {
		t.Fatal(err)
	}
	if gets("198.51.100.1") {
		t.Error("who is listed gets in")
	}
	if !gets("203.0.113.1") {
		t.Error("a friend does not")
	}
	e.Listed = []netip.Prefix{prefix("198.51.100.128/25")}
	if err := tab.Fill(e); err != nil {
		t.Fatal(err)
	}
	if !gets("198.51.100.1") {
		t.Error("who is not listed does not")
	}
}
