// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"picket/internal/lab"
)

// A site is a lab with a server in it: the host that a tool watches, and at the
// other end of the wire everybody else.
//
//	192.0.2.1       2001:db8::1        everybody's end of the wire, the server's gateway
//	192.0.2.2       2001:db8::2        the server, with 14 further IPv4 addresses for sweeps
//	198.19.N.1      2001:db8:a:N00::1  scanners, each in a network of its own
//	203.0.113.N     2001:db8:b:N::1    innocents
//	192.0.2.130+N   2001:db8::b:N      those of them that are neighbours of the server
type site struct {
	*lab.Lab
	mac     string // of the server's end of the wire
	tcpdump *exec.Cmd
	capture string

	mu       sync.Mutex // guards services
	services []io.Closer
}

// closeLater closes a service when the site closes.
func (s *site) closeLater(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.services = append(s.services, c)
}

// Numbers of addresses at the far end.
const (
	scanners  = 120
	innocents = 160
	targets   = 14 // further addresses of the server

	firstNeighbour = 130 // the last byte of the address before neighbour 0

	resolver = 158 // an innocent, as the two below
	peer     = 159
)

func scanner4(n int) netip.Addr  { return netip.AddrFrom4([4]byte{198, 19, byte(n), 1}) }
func scanner6(n int) netip.Addr  { return netip.MustParseAddr(fmt.Sprintf("2001:db8:a:%x00::1", n)) }
func innocent4(n int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}) }
func innocent6(n int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8:b:%x::1", n)) }
func neighbour4(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{192, 0, 2, byte(firstNeighbour + n)})
}
func neighbour6(n int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8::b:%x", n)) }
func target4(n int) netip.Addr    { return netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + n)}) }

// innocentOf returns the number of an innocent's address, and whether it is a neighbour's.
func innocentOf(a netip.Addr) (n int, near, ok bool) {
	if a.Is4() {
		b := a.As4()
		if b[0] == 192 && b[1] == 0 && b[2] == 2 && b[3] > firstNeighbour && b[3] < 255 {
			return int(b[3]) - firstNeighbour, true, true
		}
		return int(b[3]), false, b[0] == 203 && b[1] == 0 && b[2] == 113
	}
	b := a.As16()
	if near := netip.PrefixFrom(a, 112).Masked() == netip.PrefixFrom(neighbour6(0), 112); near {
		return int(b[15]), true, true
	}
	return int(b[7]), false, b[1] == 1 && b[2] == 0x0d && b[5] == 0xb
}

// newSite builds the lab, its addresses, its services and its capture.
func newSite(capture string) (s *site, err error) {
	l, err := lab.New()
	if err != nil {
		return nil, err
	}
	s = &site{Lab: l, capture: capture}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := s.addresses(); err != nil {
		return nil, err
	}
	mac, err := s.Target.Run("cat", "/sys/class/net/eth0/address")
	if err != nil {
		return nil, err
	}
	s.mac = strings.TrimSpace(mac)
	if err := s.serve(); err != nil {
		return nil, err
	}
	return s, s.startCapture()
}

func (s *site) addresses() error {
	var far, near []string
	for n := 1; n <= scanners; n++ {
		far = append(far, fmt.Sprintf("addr add %s/32 dev eth0", scanner4(n)),
			fmt.Sprintf("addr add %s/128 dev eth0", scanner6(n)))
	}
	for n := 1; n <= innocents; n++ {
		far = append(far, fmt.Sprintf("addr add %s/32 dev eth0", innocent4(n)),
			fmt.Sprintf("addr add %s/128 dev eth0", innocent6(n)))
	}
	for i, sc := range scenes() {
		for n := i*perScene + 1; sc.near && !sc.host && n <= (i+1)*perScene; n++ {
			far = append(far, fmt.Sprintf("addr add %s/32 dev eth0", neighbour4(n)),
				fmt.Sprintf("addr add %s/128 dev eth0", neighbour6(n)))
		}
	}
	far = append(far, "route add 224.0.0.0/4 dev eth0")
	for n := 1; n <= targets; n++ {
		near = append(near, fmt.Sprintf("addr add %s/24 dev eth0", target4(n)))
	}
	near = append(near, "route add default via 192.0.2.1", "route add default via 2001:db8::1")
	if err := ipBatch(s.Attacker, far); err != nil {
		return err
	}
	return ipBatch(s.Target, near)
}

// ipBatch runs commands of iproute2 in h.
func ipBatch(h *lab.Host, commands []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := h.Command(ctx, "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// serve starts the services of the server: web, mail, ssh and DNS.
func (s *site) serve() error {
	for _, port := range []uint16{22, 25} {
		if _, err := s.hold(s.Target, port); err != nil {
			return err
		}
	}
	page := []byte(strings.Repeat("picket evaluates. ", 256))
	for _, port := range []string{":80", ":443"} {
		var l net.Listener
		if err := s.Target.Do(func() (err error) {
			l, err = net.Listen("tcp",
				port)
			return err
		}); err != nil {
			return err
		}
		web := &http.Server{ReadHeaderTimeout: time.Minute,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(page) })}
		s.closeLater(web)
		go web.Serve(l) // ends when closed
	}
	dns, err := s.Target.Listen("udp", 53)
	if err != nil {
		return err
	}
	s.closeLater(dns)
	return nil
}

// A holder is a service that sends back what it receives and keeps its connections until it is
// closed.
type holder struct {
	net.Listener
	mu    sync.Mutex
	conns []*net.TCPConn
}

// hold starts a holder on a port of h.
func (s *site) hold(h *lab.Host, port uint16) (*holder, error) {
	o := &holder{}
	err := h.Do(func() (err error) {
		o.Listener, err = net.ListenTCP("tcp", &net.TCPAddr{Port: int(port)})
		return err
	})
	if err != nil {
		return nil, err
	}
	s.closeLater(o)
	go func() {
		for {
			c, err := o.Accept()
			if err != nil {
				return
			}
			o.mu.Lock()
			o.conns = append(o.conns, c.(*net.TCPConn))
			o.mu.Unlock()
			go io.Copy(c, c) // ends with the connection
		}
	}()
	return o, nil
}

// each calls f for every connection so far.
func (o *holder) each(f func(*net.TCPConn)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.conns {
		f(c)
	}
}

// Close ends the service and its connections.
func (o *holder) Close() error {
	err := o.Listener.Close()
	o.each(func(c *net.TCPConn) { c.Close() })
	return err
}

// startCapture has tcpdump write the packets at the server's end of the wire.
func (s *site) startCapture() error {
	s.tcpdump = s.Target.Command(context.Background(), "tcpdump", "-i", "eth0", "-n", "-U", "-s", "192", "-B",
		"32768", "-Z", "root", "-w", s.capture)
	stderr, err := s.tcpdump.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.tcpdump.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(stderr)
	said, err := lines.ReadString('\n') // "tcpdump: listening on eth0 ..."
	if err != nil || !strings.Contains(said, "listening") {
		return fmt.Errorf("tcpdump: %q: %w", said, errors.Join(err, errNoCapture))
	}
	go io.Copy(io.Discard, lines)
	return nil
}

var errNoCapture = errors.New("no capture")

// stopCapture ends the capture and completes its file.
func (s *site) stopCapture() error {
	if s.tcpdump == nil {
		return nil
	}
	time.Sleep(200 * time.Millisecond) // the last packets are on their way to the file
	s.tcpdump.Process.Signal(os.Interrupt)
	err := s.tcpdump.Wait()
	s.tcpdump = nil
	return err
}

// close ends everything that runs in the site and removes it.
func (s *site) close() error {
	s.mu.Lock()
	for _, c := range s.services {
		c.Close()
	}
	s.mu.Unlock()
	return errors.Join(s.stopCapture(), s.Close())
}
