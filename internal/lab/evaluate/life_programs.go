// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"picket/internal/lab"
)

// Programs of Debian, unpacked and not installed. They send packets after a search of the
// server has ended, or after a service that they use has ended.

// A program runs until it is stopped.
type program struct {
	box
	end  func()
	done chan struct{}
}

// start starts a program on a host, in a box with these files in /etc.
func (a *actor) start(h *lab.Host, name string, files map[string]string, argv ...string) (*program, error) {
	if files == nil {
		files = map[string]string{}
	}
	p := &program{box: box{root: a.root}, done: make(chan struct{})}
	if err := p.openOn(a.site, h, name, files); err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(a.ctx)
	cmd := p.command(ctx, argv...)
	cmd.Dir = filepath.Join(p.dir, "run")
	cmd.Stdout, cmd.Stderr = &p.said, &p.said
	if err := cmd.Start(); err != nil {
		end()
		return nil, err
	}
	p.end = end
	go func() { defer close(p.done); cmd.Wait() }()
	return p, nil
}

// stop kills the program and waits for its end.
func (p *program) stop() {
	p.end()
	<-p.done
}

// running returns an error if the program has ended.
func (p *program) running() error {
	select {
	case <-p.done:
		return fmt.Errorf("%w; it said:\n%s", errEnded, &p.said)
	default:
		return nil
	}
}

var errEnded = errors.New("the program has ended")

// searches has the server search its link until it is answered, and then again and again, each
// time from a port that is closed before the answer comes.
func (a *actor) searches(p *program, payload []byte, groups ...string) error {
	return a.Target.Do(func() error {
		link, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		for _, g := range groups {
			to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(g))
			from := a.Target.V4
			if to.IP.To4() == nil {
				to.Zone, from = fmt.Sprint(link.Index), a.Target.V6
			}
			for answered, n := false, 0; n < 30; {
				if err := p.running(); err != nil {
					return err
				}
				if time.Now().After(a.until) {
					return fmt.Errorf("%s: %w", g, errNoAnswer)
				}
				c, err := net.ListenUDP("udp", &net.UDPAddr{IP: from.AsSlice()})
				if err != nil {
					return err
				}
				if _, err := c.WriteToUDP(payload, to); err != nil {
					c.Close()
					return err
				}
				if !answered {
					c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
					_, _, err := c.ReadFromUDP(make([]byte, 1500))
					answered = err == nil
				} else {
					n++
				}
				c.Close()
				pause(a.ctx, 100*time.Millisecond)
				if a.ctx.Err() != nil {
					return a.ctx.Err()
				}
			}
		}
		return nil
	})
}

var errNoAnswer = errors.New("a search is not answered")

// avahi answers queries from another port than 5353 to that port (RFC 6762, 6.7).
func avahi(a *actor) error {
	p, err := a.start(a.host, "avahi", map[string]string{
		"avahi/avahi-daemon.conf": "[server]\nhost-name=printer\nenable-dbus=no\n",
		"avahi/services/ipp.service": `<?xml version="1.0"?><!DOCTYPE service-group SYSTEM ` +
			`"avahi-service.dtd">` +
			`<service-group><name>printer</name><service><type>_ipp._tcp</type><port>631</port></service>` +
			`</service-group>`,
	}, "/usr/sbin/avahi-daemon", "--no-drop-root", "--no-rlimits", "--no-chroot")
	if err != nil {
		return err
	}
	defer p.stop()
	query := []byte("\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04_ipp\x04_tcp\x05local\x00\x00\x0c" +
		"\x00\x01")
	return a.searches(p, query, "224.0.0.251:5353", "[ff02::fb]:5353")
}

// minissdpd answers searches for a device (UPnP Device Architecture 1.1, 1.3.3).
func minissdpd(a *actor) error {
	p, err := a.start(a.host, "minissdpd", nil, "/usr/sbin/minissdpd", "-d", "-6", "-i", "eth0", "-s",
		"/run/ssdp", "-p", "/run/pid")
	if err != nil {
		return err
	}
	defer p.stop()
	var device net.Conn
	if err := p.wait("minissdpd", func() bool {
		device, err = net.Dial("unix", filepath.Join(p.dir, "run/ssdp"))
		return err == nil
	}); err != nil {
		return err
	}
	defer device.Close()
	kind := "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
	said := []byte{4} // register a service of its own: SUBMIT in its protocol
	for _, s := range []string{kind, "uuid:1::" + kind, "Debian UPnP/1.1", "http://" + a.host.V4.String() +
		":5000/rootDesc.xml"} {
		said = append(append(said, byte(len(s))), s...)
	}
	if _, err := device.Write(said); err != nil {
		return err
	}
	search := "M-SEARCH * HTTP/1.1\r\nHOST: %s\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: ssdp:all\r\n\r\n"
	const group4, group6 = "239.255.255.250:1900", "[ff02::c]:1900"
	return errors.Join(a.searches(p, fmt.Appendf(nil, search, group4), group4),
		a.searches(p, fmt.Appendf(nil, search, group6), group6))
}

// resolved answers for its host's name by LLMNR (RFC 4795).
func resolved(a *actor) error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	name, _, _ = strings.Cut(name, ".")
	p, err := a.start(a.host, "resolved", map[string]string{
		"systemd/resolved.conf": "[Resolve]\nLLMNR=yes\nMulticastDNS=no\nDNSStubListener=no\nFallbackDNS=\n",
	}, filepath.Join(a.root, "lib/systemd/systemd-resolved"))
	if err != nil {
		return err
	}
	defer p.stop()
	query := append([]byte("\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"), byte(len(name)))
	query = append(append(query, name...), "\x00\x00\x01\x00\x01"...)
	return a.searches(p, query, "224.0.0.252:5355", "[ff02::1:3]:5355")
}

// aria2 is two peers of a BitTorrent client of the server. The client ends in the middle of a
// download; the peers and their DHTs still look for it.
func aria2(a *actor) error {
	const port = "51413"
	first, _ := a.who(0)
	tracker := netip.AddrPortFrom(first, 6969)
	var l net.Listener
	if err := a.Attacker.Do(func() (err error) {
		l, err = net.Listen("tcp",
			tracker.String())
		return err
	}); err != nil {
		return err
	}
	peers := string(append(a.Target.V4.AsSlice(), 0xc8, 0xd5)) // BEP 23: address and port
	web := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter,
		_ *http.Request) {
		fmt.Fprintf(w, "d8:intervali2e5:peers6:%se", peers)
	})}
	defer web.Close()
	go web.Serve(l) // ends when closed
	data := bytes.Repeat([]byte("picket"), 1<<20)
	torrent := torrentOf(data, fmt.Sprintf("http://%s/announce", tracker))
	client := func(h *lab.Host, name string, more ...string) (*program, error) {
		return a.start(h, name, map[string]string{"file.torrent": torrent},
			append([]string{"/usr/bin/aria2c", "--no-conf", "--enable-dht=true",
				"--dht-file-path=/run/dht", "--bt-tracker-interval=2", "/etc/file.torrent"}, more...)...)
	}
	seeds := filepath.Join(a.Dir(), "seed", "var") // its own /var
	if err := errors.Join(os.MkdirAll(seeds, 0o755), os.WriteFile(filepath.Join(seeds, "file"), data,
		0o644)); err != nil {
		return err
	}
	seed, err := client(a.Target, "seed", "-d", "/var", "--seed-ratio=0", "--check-integrity=true",
		"--listen-port="+port, "--dht-listen-port="+port)
	if err != nil {
		return err
	}
	defer seed.stop()
	pause(a.ctx, 2*time.Second)
	for i := range perScene {
		v4, _ := a.who(i)
		p, err := client(a.Attacker, fmt.Sprintf("leech%d", i), "-d", "/var", "--interface="+v4.String(),
			"--listen-port=6881", "--dht-listen-port=6881",
			"--dht-entry-point="+a.Target.V4.String()+":"+port, "--max-overall-download-limit=40K")
		if err != nil {
			return err
		}
		defer p.stop()
	}
	pause(a.ctx, 8*time.Second)
	if err := seed.running(); err != nil {
		return err
	}
	seed.stop()
	pause(a.ctx, time.Until(a.until)-5*time.Second)
	return a.ctx.Err()
}

// torrentOf describes a file to BitTorrent (BEP 3).
func torrentOf(data []byte, tracker string) string {
	const piece = 1 << 18
	var sums []byte
	for at := 0; at < len(data); at += piece {
		sum := sha1.Sum(data[at:min(at+piece, len(data))])
		sums = append(sums, sum[:]...)
	}
	return fmt.Sprintf("d8:announce%d:%s4:infod6:lengthi%de4:name4:file12:piece lengthi%de6:pieces%d:%see",
		len(tracker), tracker, len(data), piece, len(sums), sums)
}

// sipp is two telephone exchanges that call one on the server. That one ends; INVITEs and the
// streams of calls go on.
func sipp(a *actor) error {
	server := a.Target.V4.String()
	uas, err := a.start(a.Target, "uas", nil, "/usr/bin/sipp", "-sn", "uas", "-i", server, "-p", "5060",
		"-mi", server, "-mp", "16000", "-rtp_echo", "-nostdin")
	if err != nil {
		return err
	}
	defer uas.stop()
	pause(a.ctx, time.Second)
	for i := range perScene {
		v4, _ := a.who(i)
		p, err := a.start(a.Attacker, fmt.Sprintf("uac%d", i), nil, "sh", "-c",
			`ln -s /usr/share/sip-tester pcap && exec "$0" "$@"`,
			"/usr/bin/sipp", "-sn", "uac_pcap", server+":5060", "-i", v4.String(), "-mi", v4.String(), "-p",
			"5070", "-r", "2", "-m", "20", "-nostdin")
		if err != nil {
			return err
		}
		defer p.stop()
	}
	pause(a.ctx, 5*time.Second)
	if err := uas.running(); err != nil {
		return err
	}
	uas.stop()
	pause(a.ctx, 15*time.Second)
	return a.ctx.Err()
}

// chrony is two clients of a time server on this host. The server ends.
func chrony(a *actor) error {
	conf := func(text string) map[string]string {
		return map[string]string{"c.conf": text + "cmdport 0\npidfile /run/pid\n"}
	}
	argv := []string{"/usr/sbin/chronyd", "-x", "-d", "-u", "root", "-f", "/etc/c.conf"}
	server, err := a.start(a.Target, "ntpd", conf("local stratum 5\nallow all\n"), argv...)
	if err != nil {
		return err
	}
	defer server.stop()
	for i := range perScene {
		v4, v6 := a.who(i)
		p, err := a.start(a.Attacker, fmt.Sprintf("ntp%d", i), conf(fmt.Sprintf(
			"server %s iburst minpoll -2 maxpoll 0\nserver %s iburst minpoll -2 maxpoll 0\n"+
				"bindacqaddress %s\nbindacqaddress %s\n",
			a.Target.V4, a.Target.V6, v4, v6)), argv...)
		if err != nil {
			return err
		}
		defer p.stop()
	}
	pause(a.ctx, 5*time.Second)
	if err := server.running(); err != nil {
		return err
	}
	server.stop()
	pause(a.ctx, 15*time.Second)
	return a.ctx.Err()
}
