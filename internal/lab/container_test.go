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

// TestDocker: beside the rules of both backends of Docker, a client of a published port is no
// prober, a scan of the host is blocked for its containers too, and a request for a published
// port without a service is a probe.
func TestDocker(t *testing.T) {
	for _, backend := range []string{"iptables", "nftables"} {
		t.Run(backend, func(t *testing.T) {
			l := newLab(t)
			one, two := addBridge(t, l, "docker0")
			publish(t, l, backend, one, two)
			containersAreCovered(t, l, "IPv4", "IPv6")
		})
	}
}

// publish publishes the ports of addBridge as Docker does.
func publish(t *testing.T, l *Lab, backend string, one, two *Host) {
	t.Helper()
	published := func(one, two netip.Addr) []Published {
		return []Published{{8080, netip.AddrPortFrom(one, 80)}, {8081, netip.AddrPortFrom(two, 80)},
			{8082, netip.AddrPortFrom(one, 81)}}
	}
	for _, f := range []struct {
		network string
		ports   []Published
		restore string
	}{
		{"198.51.100.0/24", published(one.V4, two.V4), "iptables-nft-restore"},
		{"2001:db8:c::/64", published(one.V6, two.V6), "ip6tables-nft-restore"},
	} {
		network := netip.MustParsePrefix(f.network)
		command, rules := []string{f.restore}, DockerIPTables(network, f.ports...)
		if backend == "nftables" {
			command, rules = []string{"nft", "-f", "-"}, DockerNFTables(network, f.ports...)
		}
		ctx, cancel := context.WithTimeout(t.Context(), netns.CommandLimit)
		defer cancel()
		cmd := l.Target.Command(ctx, command[0], command[1:]...)
		cmd.Stdin = strings.NewReader(rules)
		if _, err := netns.Output(cmd); err != nil {
			t.Fatal(err)
		}
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
