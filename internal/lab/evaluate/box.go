// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"picket/internal/lab"
)

// peerPackages are Debian's. psad does not start without iptables.
var peerPackages = []string{"portsentry", "psad", "scanlogd", "fail2ban", "iptables"}

// lifePackages hold the programs that play ordinary life.
var lifePackages = []string{"avahi-daemon", "minissdpd", "systemd-resolved", "aria2", "sip-tester", "chrony"}

// fetchPackages unpacks packages and their dependencies into root. It installs nothing and
// starts no service.
func fetchPackages(ctx context.Context, root string, names []string) error {
	cache := root + ".cache"
	defer os.RemoveAll(cache)
	for _, d := range []string{filepath.Join(cache, "archives", "partial"), root} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	get := func() ([]byte, error) {
		args := append([]string{"-o", "Dir::Cache=" + cache, "-o", "DPkg::Lock::Timeout=120", "-y",
			"--no-install-recommends", "--download-only", "--reinstall", "install"}, names...)
		return exec.CommandContext(ctx, "apt-get", args...).CombinedOutput()
	}
	out, err := get()
	if err != nil {
		exec.CommandContext(ctx, "apt-get", "-qq", "update").Run() // an error shows below
		out, err = get()
	}
	if err != nil {
		return fmt.Errorf("apt-get: %w: %s", err, strings.TrimSpace(string(out)))
	}
	packages, err := filepath.Glob(filepath.Join(cache, "archives", "*.deb"))
	if err != nil {
		return err
	}
	for _, p := range packages {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", p, root).CombinedOutput(); err != nil {
			return fmt.Errorf("dpkg-deb -x %s: %w: %s", filepath.Base(p), err, out)
		}
	}
	if !slices.Contains(names, "iptables") {
		return nil
	}
	// On an installed system these are links of the alternatives.
	for _, name := range []string{"iptables", "ip6tables"} {
		if err := os.Symlink(name+"-nft", filepath.Join(root, "usr/sbin", name)); err != nil {
			return err
		}
	}
	return nil
}

// A box is the file system of a program: the machine's, with the unpacked packages over it, and
// with its own /etc, /var, /run and /dev.
type box struct {
	root string // of the unpacked packages
	dir  string
	site *site
	host *lab.Host // where its programs run
	said stamped   // messages to syslog, and output of the programs
	log  *net.UnixConn
}

// inBox makes the mounts of the box. Only its own processes see them: `ip netns exec` gives
// each a mount namespace.
const inBox = `root=$1 dir=$2; shift 2
mount -t overlay overlay -o "lowerdir=$root/usr:/usr" /usr
mount -t overlay overlay -o "lowerdir=$root/etc:/etc,upperdir=$dir/etc,workdir=$dir/work" /etc
mount --bind "$dir/var" /var
mount --bind "$dir/dev" /dev
mount --bind "$dir/run" /run
exec "$@"`

// open makes the box of a peer on the server. Files are files of its /etc, by name.
func (b *box) open(s *site, files map[string]string) error {
	return b.openOn(s, s.Target, "box", files)
}

// openOn makes a box on a host, in a folder of that name.
func (b *box) openOn(s *site, h *lab.Host, name string, files map[string]string) error {
	b.site, b.host, b.dir = s, h, filepath.Join(s.Dir(), name)
	for _, d := range []string{"etc", "work", "dev", "run/scanlogd/empty", "run/systemd", "run/fail2ban",
		"run/psad", "var/log/psad", "var/lib/psad", "var/lib/portsentry", "var/lib/fail2ban", "var/tmp"} {
		if err := os.MkdirAll(filepath.Join(b.dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := os.Symlink("/run", filepath.Join(b.dir, "var/run")); err != nil {
		return err
	}
	for _, dev := range [][]string{{"null", "c", "1", "3"}, {"zero", "c", "1", "5"},
		{"urandom", "c", "1", "9"}} {
		if out, err := exec.Command("mknod", append([]string{"-m", "666", filepath.Join(b.dir, "dev",
			dev[0])}, dev[1:]...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("mknod: %w: %s", err, out)
		}
	}
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return err
	}
	for i, user := range []string{"scanlogd", "systemd-resolve", "_chrony", "avahi"} {
		passwd = fmt.Appendf(passwd, "%s:x:%d:65534::/run/%s:/usr/sbin/nologin\n", user, 990+i, user)
	}
	group, err := os.ReadFile("/etc/group")
	if err != nil {
		return err
	}
	files["passwd"], files["group"] = string(passwd), string(group)+"avahi:x:993:\n"
	for name, text := range files {
		name = filepath.Join(b.dir, "etc", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return b.syslog()
}

// syslog collects the messages to the box's /dev/log.
func (b *box) syslog() (err error) {
	b.log, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(b.dir, "dev", "log"),
		Net: "unixgram"})
	if err != nil {
		return err
	}
	if err := os.Chmod(filepath.Join(b.dir, "dev", "log"), 0o666); err != nil {
		return err
	}
	b.site.closeLater(b.log)
	go func() {
		buf := make([]byte, 8192)
		for {
			n, err := b.log.Read(buf)
			if err != nil {
				return
			}
			fmt.Fprintf(&b.said, "%s\n", strings.TrimRight(string(buf[:n]), "\n\x00"))
		}
	}()
	return nil
}

// command makes a command that runs in the box.
func (b *box) command(ctx context.Context, argv ...string) *exec.Cmd {
	args := append([]string{"-c", inBox, "picket-evaluate", b.root, b.dir}, argv...)
	return b.host.Command(ctx, "sh", args...)
}

// output runs a program in the box to its end and returns its output.
func (b *box) output(ctx context.Context, argv ...string) (string, error) {
	out, err := b.command(ctx, argv...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", argv[0], err, out)
	}
	return string(out), nil
}

// run starts a program in the box. It ends with the lab.
func (b *box) run(argv ...string) error {
	cmd := b.command(context.Background(), argv...)
	cmd.Stdout, cmd.Stderr = &b.said, &b.said
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait() // it daemonizes, or ends with the lab
	return nil
}

// wait waits for a message of the peer or for a file in the box.
func (b *box) wait(what string, ok func() bool) error {
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%s does not start; it said:\n%s", what, &b.said)
		}
	}
	return nil
}

func (b *box) rest() time.Duration { return 0 }

func (b *box) words() string { return b.said.String() }

// heard reports whether a word is in the peer's messages.
func (b *box) heard(word string) bool { return strings.Contains(b.said.String(), word) }

// firewall makes what peers that read logs need: a rule that logs packets to ports without a
// service, and the log. It drops nothing, so all tools see the same packets.
func (b *box) firewall() error {
	if err := b.site.kernelLog(10, filepath.Join(b.dir, "var/log/firewall.log")); err != nil {
		return err
	}
	return b.site.Target.NFT(`table inet firewall {
	chain input {
		type filter hook input priority filter
		iif lo accept
		ct state established,related accept
		icmp type echo-request accept
		icmpv6 type { echo-request, nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, ` +
		`mld-listener-query, mld-listener-report, mld2-listener-report } accept
		tcp dport { 22, 25, 80, 443 } tcp flags & (fin | syn | rst | ack) == syn accept
		udp dport 53 accept
		log prefix "DROP " group 10
	}
	}`)
}
