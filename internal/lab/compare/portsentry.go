// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"picket/internal/lab"
)

// settings are the parts of portsentry.conf that vary.
type settings struct {
	tcp, udp string // ports
	block    bool
}

// conf returns the file. dir is the place of its own files.
func (s settings) conf(dir string) string {
	block := map[bool]string{false: "0", true: "1"}[s.block]
	return fmt.Sprintf(`# PortSentry 1.2
TCP_PORTS="%s"
UDP_PORTS="%s"
ADVANCED_PORTS_TCP="1024"
ADVANCED_PORTS_UDP="1024"
ADVANCED_EXCLUDE_TCP="113,139"
ADVANCED_EXCLUDE_UDP="520,138,137,67"
IGNORE_FILE="%[3]s/portsentry.ignore"
HISTORY_FILE="%[3]s/portsentry.history"
BLOCKED_FILE="%[3]s/portsentry.blocked"
RESOLVE_HOST="0"
BLOCK_TCP="%[4]s"
BLOCK_UDP="%[4]s"
KILL_ROUTE="/usr/sbin/nft add element inet ps b4 { $TARGET$ timeout 600s }"
SCAN_TRIGGER="0"
`, s.tcp, s.udp, dir, block)
}

// A portsentry is PortSentry 1.2, one process for each mode.
type portsentry struct {
	bench
	settings
	modes []string // "-stcp"

	host *lab.Host
	sink net.PacketConn
	done chan struct{}
	mu   sync.Mutex
	said []string
}

// root makes a root folder from the machine's /usr and a few files, starts PortSentry in it,
// and exits when PortSentry has become a daemon. The mounts are in the mount namespace of "ip
// netns exec", and end with PortSentry.
const root = `set -e
cd "$1"
mkdir -p usr dev etc/portsentry opt proc
mount --bind /usr usr
mount --bind "$2" opt
for d in bin sbin lib lib64; do [ ! -L "/$d" ] || [ -L "$d" ] || ln -s "usr/$d" "$d"; done
[ -c dev/null ] || mknod -m 666 dev/null c 1 3
exec chroot . /opt/usr/sbin/portsentry "$3"`

func (p *portsentry) start(l *lab.Lab) (err error) {
	p.host, p.said = l.Target, nil
	dir := filepath.Join(l.Dir(), "portsentry")
	if err := os.MkdirAll(filepath.Join(dir, "etc/portsentry"), 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "dev"), 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{"portsentry.conf": p.conf("/etc/portsentry"),
		"portsentry.ignore": "127.0.0.1/32\n0.0.0.0\n"} {
		if err := os.WriteFile(filepath.Join(dir, "etc/portsentry", name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := p.host.NFT(`table inet ps {
	set b4 { type ipv4_addr; flags timeout; }
	chain in { type filter hook prerouting priority -300; ip saddr @b4 drop; }
}`); err != nil {
		return err
	}
	if p.sink, err = net.ListenPacket("unixgram", filepath.Join(dir, "dev/log")); err != nil {
		return err
	}
	p.done = make(chan struct{})
	go p.listen()
	for _, mode := range p.modes {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		out, err := p.host.Command(ctx, "sh", "-c", root, "compare", dir, p.portsentry, mode).CombinedOutput()
		cancel()
		if err != nil {
			return fmt.Errorf("portsentry %s: %w: %s", mode, err, out)
		}
	}
	for limit := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		p.mu.Lock()
		active := strings.Count(strings.Join(p.said, "\n"), "now active and listening")
		p.mu.Unlock()
		if active == len(p.modes) {
			return nil
		}
		if time.Now().After(limit) {
			return fmt.Errorf("portsentry %v is not active: %q", p.modes, p.said)
		}
	}
}

// listen receives PortSentry's messages to syslog.
func (p *portsentry) listen() {
	defer close(p.done)
	for buf := make([]byte, 8192); ; {
		n, _, err := p.sink.ReadFrom(buf)
		if err != nil {
			return // closed
		}
		p.mu.Lock()
		p.said = append(p.said, string(buf[:n]))
		p.mu.Unlock()
	}
}

// labels reads "attackalert: TCP SYN/Normal scan from host: 192.0.2.7/192.0.2.7
// to TCP port: 11".
func (p *portsentry) labels(source string) (out []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	alert := regexp.MustCompile(`attackalert: +(.*?) from host: [^/]*/([^ ]*) to `)
	for _, line := range p.said {
		m := alert.FindStringSubmatch(line)
		if m == nil || m[2] != source || m[1] == "Packet" { // a second line, about IP options
			continue
		}
		label := strings.NewReplacer("TCP SYN/Normal scan", "S/N", "TCP ", "", " scan", "").Replace(m[1])
		if strings.HasPrefix(label, "Unknown Type") {
			label = "unknown"
		}
		if !slices.Contains(out, label) {
			out = append(out, label)
		}
	}
	return out
}

func (p *portsentry) lines() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.said)
}

func (p *portsentry) cpu() (time.Duration, error) { return used(p.host, "portsentry") }

func (p *portsentry) stop() error {
	pids, err := processes(p.host, "portsentry")
	for _, pid := range pids {
		_ = exec.Command("kill", pid).Run() // it may be gone already
	}
	p.sink.Close()
	<-p.done
	return err
}
