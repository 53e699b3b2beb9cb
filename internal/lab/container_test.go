// SPDX-License-Identifier: MIT

package lab

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"picket/internal/netns"
)

// addBridge adds a bridge with two containers to the target, each with a service at port 80. An
// engine publishes these as 8080 and 8081, and port 81 of the first, which has no listener, as
// 8082.
func addBridge(t *testing.T, l *Lab, name string) (one, two *Host) {
	t.Helper()
	withLinkLocal(t, l.Target)
	if err := l.Target.IP("link add "+name+" type bridge", "addr add 198.51.100.1/24 dev "+name,
		"addr add 2001:db8:c::1/64 dev "+name+" nodad", "link set "+name+" up"); err != nil {
		t.Fatal(err)
	}
	if err := l.Target.Sysctl("net/ipv4/ip_forward", "1", "net/ipv6/conf/all/forwarding", "1"); err != nil {
		t.Fatal(err)
	}
	hosts := []*Host{}
	for i := range 2 {
		c, err := l.newHost(fmt.Sprintf("container%d", i))
		if err != nil {
			t.Fatal(err)
		}
		withLinkLocal(t, c)
		port := fmt.Sprintf("veth%d", i)
		if err := netns.Wire(l.Target.Host, port, c.Host, "eth0"); err != nil {
			t.Fatal(err)
		}
		if err := l.Target.IP("link set "+port+" master "+name, "link set "+port+" up"); err != nil {
			t.Fatal(err)
		}
		c.V4, c.V6 = addr(fmt.Sprintf("198.51.100.%d", 2+i)), addr(fmt.Sprintf("2001:db8:c::%d", 2+i))
		if err := c.IP("addr add "+c.V4.String()+"/24 dev eth0",
			"addr add "+c.V6.String()+"/64 dev eth0 nodad", "link set eth0 up",
			"route add default via 198.51.100.1", "route add default via 2001:db8:c::1"); err != nil {
			t.Fatal(err)
		}
		listen(t, c, "tcp", 80)
		hosts = append(hosts, c)
	}
	return hosts[0], hosts[1]
}

// withLinkLocal gives link-local addresses to the links that a host gets from now on. A bridge
// forwards multicasts, such as neighbour discovery, only to ports that joined the group from
// such an address.
func withLinkLocal(t *testing.T, h *Host) {
	t.Helper()
	if err := h.Sysctl("net/ipv6/conf/default/addr_gen_mode", "0"); err != nil {
		t.Fatal(err)
	}
}

// dockerIPTables are the rules of Debian's docker.io (20.10, iptables backend) for such a host,
// as iptables-save prints them.
func dockerIPTables(network, one, two string) string {
	published := ""
	for port, to := range map[string]string{"8080": one + "/80", "8081": two + "/80", "8082": one + "/81"} {
		a, p, _ := strings.Cut(to, "/")
		dest := a + ":" + p
		if strings.Contains(a, ":") {
			dest = "[" + a + "]:" + p
		}
		published += fmt.Sprintf("-A POSTROUTING -s %[1]s -d %[1]s -p tcp -m tcp --dport %[2]s "+
			"-j MASQUERADE\n"+
			"-A DOCKER ! -i docker0 -p tcp -m tcp --dport %[3]s -j DNAT --to-destination %[4]s\n", a, p,
			port, dest)
	}
	let := ""
	for _, x := range []string{one + " 80", two + " 80", one + " 81"} {
		a, p, _ := strings.Cut(x, " ")
		let += fmt.Sprintf("-A DOCKER -d %s ! -i docker0 -o docker0 -p tcp -m tcp --dport %s -j ACCEPT\n",
			a, p)
	}
	return `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s ` + network + ` ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
` + published + `COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
` + let + `-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
`
}

// dockerNFTables are the rules of Docker 29's nftables backend for IPv4 and IPv6.
func dockerNFTables(family, network, one, two string) string {
	at := func(a, port string) string {
		if family == "ip6" {
			return "[" + a + "]:" + port
		}
		return a + ":" + port
	}
	return `table ` + family + ` docker-bridges {
	chain filter-FORWARD {
		type filter hook forward priority filter; policy accept;
		oifname vmap { "docker0" : jump filter-forward-in__docker0 }
		iifname vmap { "docker0" : jump filter-forward-out__docker0 }
	}
	chain nat-POSTROUTING {
		type nat hook postrouting priority srcnat; policy accept;
		iifname vmap { "docker0" : jump nat-postrouting-out__docker0 }
	}
	chain nat-PREROUTING {
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local counter jump nat-prerouting-and-output
	}
	chain nat-prerouting-and-output {
		iifname != "docker0" tcp dport 8080 counter dnat to ` + at(one, "80") + `
		iifname != "docker0" tcp dport 8081 counter dnat to ` + at(two, "80") + `
		iifname != "docker0" tcp dport 8082 counter dnat to ` + at(one, "81") + `
	}
	chain raw-PREROUTING {
		type filter hook prerouting priority raw; policy accept;
		` + family + ` daddr ` + one + ` iifname != "docker0" counter drop
		` + family + ` daddr ` + two + ` iifname != "docker0" counter drop
	}
	chain filter-forward-in__docker0 {
		ct state established,related counter accept
		iifname "docker0" counter accept
		` + family + ` daddr ` + one + ` tcp dport { 80, 81 } counter accept
		` + family + ` daddr ` + two + ` tcp dport 80 counter accept
		counter drop
	}
	chain filter-forward-out__docker0 {
		ct state established,related counter accept
		counter accept
	}
	chain nat-postrouting-out__docker0 {
		oifname != "docker0" ` + family + ` saddr ` + network + ` counter masquerade
	}
}
`
}

// TestDocker: beside the rules of both backends of Docker, a client of a published port is no
// prober, a scan of the host is blocked for its containers too, and a request for a published
// port without a service is a probe.
func TestDocker(t *testing.T) {
	for name, rules := range map[string]func(l *Lab, one, two *Host) error{
		"iptables": func(l *Lab, one, two *Host) error {
			for tool, text := range map[string]string{
				"iptables-nft-restore":  dockerIPTables("198.51.100.0/24", one.V4.String(), two.V4.String()),
				"ip6tables-nft-restore": dockerIPTables("2001:db8:c::/64", one.V6.String(), two.V6.String()),
			} {
				ctx, cancel := context.WithTimeout(context.Background(), netns.CommandLimit)
				defer cancel()
				cmd := l.Target.Command(ctx, tool)
				cmd.Stdin = strings.NewReader(text)
				if _, err := netns.Output(cmd); err != nil {
					return err
				}
			}
			return nil
		},
		"nftables": func(l *Lab, one, two *Host) error {
			return l.Target.NFT(dockerNFTables("ip", "198.51.100.0/24", one.V4.String(), two.V4.String()) +
				dockerNFTables("ip6", "2001:db8:c::/64", one.V6.String(), two.V6.String()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			one, two := addBridge(t, l, "docker0")
			if err := rules(l, one, two); err != nil {
				t.Fatal(err)
			}
			containersAreCovered(t, l, "IPv4", "IPv6")
		})
	}
}

// TestPodman is the same with the real podman and netavark of Debian. Its version 1.4 sometimes
// leaves a published IPv6 port to the socket that only reserves it.
func TestPodman(t *testing.T) {
	l := newLab(t)
	startPodman(t, l)
	containersAreCovered(t, l, "IPv4")
}

// startPodman runs two containers on the target. Their files are those of this machine, read
// only. They get few rights: the test may itself run in a container.
func startPodman(t *testing.T, l *Lab) {
	t.Helper()
	withLinkLocal(t, l.Target)
	dir := t.TempDir() // not below /run: see below
	for _, d := range []string{"store", "run", "net", "root/proc", "root/sys", "root/dev", "root/etc",
		"root/tmp", "root/run"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	base := []string{"--root", dir + "/store", "--runroot", dir + "/run", "--network-config-dir",
		dir + "/net",
		"--cgroup-manager", "cgroupfs", "--storage-driver", "vfs", "--log-level", "error"}
	// A mount namespace with the unified hierarchy, which crun needs, and with separate
	// folders, so that podman leaves nothing on this machine.
	const script = `set -e
		mount -t tmpfs none /sys/fs/cgroup
		mount -t cgroup2 none /sys/fs/cgroup
		mount -t tmpfs none /run
		mkdir /run/netns
		echo ready
		exec sleep infinity`
	ctx, end := context.WithCancel(context.Background())
	keeper := l.Target.Command(ctx, "unshare", "-m", "sh", "-c", script)
	said, err := keeper.StdoutPipe()
	if err == nil {
		err = keeper.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(); keeper.Wait() }) // it was killed: the error is expected
	if line, err := bufio.NewReader(said).ReadString('\n'); line != "ready\n" {
		t.Fatalf("a place for podman: %q, %v", line, err)
	}
	in := []string{"-t", strconv.Itoa(keeper.Process.Pid), "-m", "podman"}
	podman := func(args ...string) error {
		_, err := l.Target.Run("nsenter", append(append(slices.Clip(in), base...), args...)...)
		return err
	}
	if err := podman("network", "create", "--subnet", "198.51.100.0/24", "--ipv6", "--subnet",
		"2001:db8:c::/64", "lab"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := podman("rm", "-f", "-a", "-t", "0"); err != nil {
			t.Error(err)
		}
	})
	run := []string{"run", "-d", "--rm", "--network", "lab", "--cgroups", "disabled", "--security-opt",
		"seccomp=unconfined",
		"--ulimit", "nofile=256:256", "--ulimit", "nproc=1024:1024"}
	for _, d := range []string{"/usr", "/bin", "/lib", "/lib64"} {
		run = append(run, "-v", d+":"+d+":ro")
	}
	for _, ports := range [][]string{{"8080:80", "8082:81"}, {"8081:80"}} {
		args := run
		for _, p := range ports {
			args = append(args, "-p", p, "-p", "[::]:"+p)
		}
		if err := podman(append(args, "--rootfs", dir+"/root", "/usr/bin/iperf3", "-s", "-p",
			"80")...); err != nil {
			t.Fatal(err)
		}
	}
}

// containersAreCovered tests a target with containers of any engine. The source that scans
// first asks for a published port, as anybody may.
func containersAreCovered(t *testing.T, l *Lab, families ...string) {
	t.Helper()
	d := start(t, l.Target, Options{Config: hotConfig + unconnected})
	for _, f := range []struct {
		name, family          string
		client, scanner, late netip.Addr
		dst                   netip.Addr
	}{
		{"IPv4", "4", Source4(1), Source4(2), Source4(3), l.Target.V4}, {"IPv6", "6", Source6(1),
			Source6(2), Source6(3), l.Target.V6},
	} {
		if !slices.Contains(families, f.name) {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			out, err := l.Target.Run("nft", "list", "set", "inet", "picket", "behind"+f.family)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out, map[string]string{"4": "198.51.100.0/24",
				"6": "2001:db8:c::/64"}[f.family]) {
				t.Errorf("the containers' network was not found:\n%s", out)
			}
			reached := func(src netip.Addr, port uint16) bool {
				return l.Attacker.Reaches(src, netip.AddrPortFrom(f.dst, port), 2*time.Second)
			}
			for _, src := range []netip.Addr{f.client, f.scanner} {
				for _, port := range []uint16{8080, 8081} {
					eventually(t, 5*time.Second, fmt.Sprintf("%s reaches published port %d", src, port),
						func() bool { return reached(src, port) })
				}
			}
			// A published port without a service.
			if reached(f.late, 8082) {
				t.Error("port 8082 is served")
			}
			if _, err := d.WaitBlock(f.late, 3*time.Second); err != nil {
				t.Error(err)
			}
			pour(t, l.Attacker, []packet{clientSYN(f.scanner, f.dst, 40000, 15)})
			if _, err := d.WaitBlock(f.scanner, 3*time.Second); err != nil {
				t.Fatal(err)
			}
			for _, port := range []uint16{8080, 8081} {
				if l.Attacker.Reaches(f.scanner, netip.AddrPortFrom(f.dst, port), 300*time.Millisecond) {
					t.Errorf("port %d answers who is blocked", port)
				}
				if !reached(f.client, port) {
					t.Errorf("port %d does not answer a client", port)
				}
			}
			untouched(t, d, f.client)
		})
	}
}
