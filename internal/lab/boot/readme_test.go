// SPDX-License-Identifier: MIT

package boot

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"picket/internal/lab"
)

// neighbours are packages of Debian beside picket.
var neighbours = []string{"postfix", "ufw", "firewalld", "fail2ban"}

// TestReadme follows the README, command by command, on a Debian without picket: installation,
// a scan that is seen and blocked, the end of a trial, settings, mail, other firewalls, and a
// purge after which the firewall still loads.
func TestReadme(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	b, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(b)
	s := newReader(t)
	begun := time.Now()
	s.follow(readme, "Install")
	s.t.Logf("installed after %v", time.Since(begun).Round(time.Millisecond))
	s.scanned("198.51.100.9")
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("from apt to the first scan blocked: %v, to be within a minute", took)
	} else {
		t.Logf("from apt to the first scan blocked: %v", took.Round(time.Millisecond))
	}
	s.files(readme)
	s.follow(readme, "Look")
	s.examples()
	s.tried(readme)
	s.configured(readme)
	s.besides(readme)
	s.follow(readme, "Remove")
	s.run("systemctl", "restart", "nftables.service")
	if out := s.run("nft", "list", "ruleset"); !strings.Contains(out, "table inet filter") ||
		strings.Contains(out, "picket") {
		t.Errorf("after the purge:\n%s", out)
	}
	if out, err := s.Run(s.ctx, "ls", "-d", "/etc/picket", "/var/lib/picket", "/usr/bin/picket"); err == nil {
		t.Errorf("left: %s", out)
	}
	out := s.run("env", "PICKET_TRIAL=1", "apt-get", "install", "-y", "picket")
	for _, want := range []string{"a trial, which \"picket arm\" ends", "picket top",
		"systemctl reload picket"} {
		if !strings.Contains(out, want) {
			t.Errorf("installed with a trial, it does not say %q:\n%s", want, out)
		}
	}
	if out := s.run("picket", "status"); !strings.Contains(out, "dry run") {
		t.Errorf("installed with a trial:\n%s", out)
	}
}

// newReader boots a Debian whose apt has one repository, that of "make repo", as if on a web
// server.
func newReader(t *testing.T) *story {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
	t.Cleanup(cancel)
	s := &story{t: t, ctx: ctx}
	directory := t.TempDir()
	t.Setenv("GNUPGHOME", filepath.Join(directory, "gpg"))
	dist := filepath.Join(directory, "dist")
	for _, d := range []string{"gpg", "dist/partial"} {
		if err := os.MkdirAll(filepath.Join(directory, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.local("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "picket@example.org",
		"ed25519", "sign", "never")
	t.Cleanup(func() { _ = exec.Command("gpgconf", "--kill", "all").Run() })
	s.local("make", "-C", "../../..", "packages", "DIST="+dist)
	s.local("sh", append([]string{"-ec", `
		ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || apt-get update -qq
		d=$1; shift
		exec apt-get -qq -y --no-install-recommends -o Dir::Cache::archives="$d" \
			--download-only install "$@"`,
		"sh", dist}, neighbours...)...)
	s.local("make", "-C", "../../..", "repo", "DIST="+dist, "REPO_KEY=picket@example.org")
	s.prepare()
	s.local("cp", "-r", filepath.Join(dist, "repo"), s.Path("/srv/picket"))
	s.local("cp", filepath.Join(dist, "repo/picket.gpg"), s.Path("/root/"))
	s.local("chmod", "-R", "a+rX", s.Path("/srv/picket"))
	apt := s.Path("/etc/apt/")
	s.local("sh", "-c", "rm -rf "+apt+"sources.list "+apt+"sources.list.d/* "+
		s.Path("/var/lib/apt/lists")+"/*")
	if err := s.Boot(ctx); err != nil {
		t.Fatal(err)
	}
	return s
}

// script returns the shell blocks of a section.
func script(readme, section string) string {
	_, text, found := strings.Cut(readme, "\n## "+section+"\n")
	if !found {
		return ""
	}
	text, _, _ = strings.Cut(text, "\n## ")
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, m[1])
	}
	return strings.Join(blocks, "\n")
}

// follow runs the commands of a section, on a system with a folder for a web server and with
// root as administrator.
func (s *story) follow(readme, section string) string {
	s.t.Helper()
	commands := strings.ReplaceAll(script(readme, section), "https://packages.example.org/", "file:/srv/")
	if commands == "" {
		s.t.Fatalf("the README has no commands in %q", section)
	}
	cmd := s.Command(s.ctx, "bash", "-e", "-o", "pipefail", "-s")
	cmd.Stdin = strings.NewReader("cd /root; sudo() { env \"$@\"; }\n" + commands)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", section, err, out)
	}
	return string(out)
}

// scanned makes a source of the peer's network scan, and waits until it is kept off.
func (s *story) scanned(source string) {
	s.t.Helper()
	s.fromPeer("ip", "address", "replace", source+"/32", "dev", "eth0")
	s.fromPeer("nmap", "-n", "-Pn", "-sS", "-T4", "-S", source, "-e", "eth0", "--max-retries", "0", "-p1-200",
		hostAddress)
	s.within(5*time.Second, source+" is kept off", func() bool {
		var list []struct{ Source string }
		err := json.Unmarshal([]byte(s.try("picket", "blocks", "--json")), &list)
		for _, b := range list {
			if err == nil && b.Source == source {
				return strings.Contains(s.try("nft", "list", "table", "inet", "picket"), source)
			}
		}
		return false
	})
}

// files compares the links of the installed README with the files of the package.
func (s *story) files(readme string) {
	links := regexp.MustCompile(`\]\(([A-Za-z][^):]*)\)`).FindAllStringSubmatch(readme, -1)
	if len(links) < 8 {
		s.t.Errorf("%d links", len(links))
	}
	for _, l := range links {
		s.run("ls", "-d", "/usr/share/doc/picket/"+l[1])
	}
	if out := s.try("systemctl", "is-enabled", "picket-notify.service",
		"picket-report.timer"); out != "enabled\nenabled\n" {
		s.t.Errorf("messages: %q", out)
	}
}

// tried goes through the trial: before "picket arm", everything is reported and nobody is
// blocked.
func (s *story) tried(readme string) {
	s.run("picket", "unblock", "--all")
	begin, arm, found := strings.Cut(script(readme, "A trial first"), "sudo picket arm --rollback")
	if !found {
		s.t.Fatal("the README arms nothing")
	}
	s.follow("\n## x\n```sh\n"+begin+"```\n", "x")
	s.fromPeer("ip", "address", "replace", "198.51.100.10/32", "dev", "eth0")
	s.fromPeer("nmap", "-n", "-Pn", "-sS", "-T4", "-S", "198.51.100.10", "-e", "eth0", "--max-retries", "0",
		"-p1-200", hostAddress)
	s.within(5*time.Second, "word of a trial", func() bool {
		return strings.Contains(s.try("picket", "blocks", "--trial"), "198.51.100.10")
	})
	if out := s.run("picket", "blocks"); out != "nobody is blocked\n" {
		s.t.Errorf("in a trial: %s", out)
	}
	s.t.Logf("the trial: %s", s.run("picket", "blocks", "--trial"))
	if out := s.run("picket", "status"); !strings.Contains(out, "unwanted probes") {
		s.t.Errorf("status of a trial:\n%s", out)
	}
	s.run("picket", "arm", "--rollback", "1s")
	s.within(5*time.Second, "the trial goes on", func() bool {
		return strings.Contains(s.try("picket", "status"), "dry run")
	})
	s.follow("\n## x\n```sh\nsudo picket arm --rollback"+arm+"```\n", "x")
	if out := s.run("picket", "report", "--since", "1h"); !strings.Contains(out, "would have been kept off") {
		s.t.Errorf("report of a trial:\n%s", out)
	}
	s.scanned("198.51.100.11")
	s.run("systemctl", "restart", "picket.service")
	if out := s.run("picket", "status"); strings.Contains(out, "dry run") {
		s.t.Errorf("armed for good:\n%s", out)
	}
}

// configured changes the settings, includes the rules and receives mail and webhooks.
func (s *story) configured(readme string) {
	s.run("systemctl", "enable", "--now", "nftables.service")
	readme = strings.ReplaceAll(readme, "198.51.100.0/24", "203.0.113.0/24") // the scanners' here
	s.follow(readme, "Configure")
	if out := s.run("picket", "explain", "203.0.113.5"); !strings.Contains(out,
		"ignored by the configuration") {
		s.t.Errorf("a friend: %s", out)
	}
	s.run("sh", "-ec", `debconf-set-selections <<-END
		postfix postfix/main_mailer_type select Local only
		postfix postfix/mailname string host.example
		END
		apt-get install -y postfix`)
	s.within(5*time.Second, "postfix",
		func() bool { return strings.Contains(s.try("ss", "-tln"), "127.0.0.1:25") })
	hooks := filepath.Join("/root", "hooks")
	s.run("systemd-run", "--unit=hooks", "python3", "-c", `
import http.server
class H(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        open("`+hooks+`", "ab").write(self.rfile.read(int(self.headers["Content-Length"])) + b"\n")
        self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", 8099), H).serve_forever()`)
	s.within(5*time.Second, "a web server",
		func() bool { return strings.Contains(s.try("ss", "-tln"), "127.0.0.1:8099") })
	readme = strings.ReplaceAll(readme, "mail = \"root\"\n",
		"mail = \"root\"\nwebhook = \"http://127.0.0.1:8099/hook\"\nevery = \"0s\"\n")
	s.follow(readme, "Be told")
	s.within(5*time.Second, "mail",
		func() bool { return strings.Contains(s.try("sh", "-c", "cat /var/mail/*"), "a test") })
	if out := s.try("cat", hooks); !strings.Contains(out, "a test") {
		s.t.Errorf("the webhook was sent %q", out)
	}
	s.scanned("198.51.100.12")
	for end := time.Now().Add(time.Minute); !strings.Contains(s.try("sh", "-c", "cat /var/mail/*"),
		"198.51.100.12"); time.Sleep(time.Second) {
		if time.Now().After(end) { // a digest waits for 20 seconds
			s.t.Fatalf("no mail of a block: %s\n%s", s.try("sh", "-c", "cat /var/mail/*"),
				s.try("journalctl", "-u", "picket-notify", "--no-pager"))
		}
	}
	s.run("systemctl", "start", "picket-report.service")
	s.within(5*time.Second, "mail of the week",
		func() bool { return strings.Contains(s.try("sh", "-c", "cat /var/mail/*"), "report of 1w") })
}

// besides installs other firewalls: blocks stay, and new ones are made.
func (s *story) besides(readme string) {
	for i, c := range []struct{ name, start string }{
		{"ufw", "apt-get install -y ufw; ufw --force enable; ufw status | grep -q 'Status: active'"},
		{"fail2ban", "apt-get install -y fail2ban; systemctl restart fail2ban"},
		{"firewalld", "ufw --force disable; apt-get install -y firewalld; systemctl restart firewalld; " +
			"firewall-cmd --state"},
	} {
		out, err := s.Run(s.ctx, "sh", "-ec", c.start)
		if err != nil {
			s.t.Errorf("%s: %v\n%s", c.name, err, out)
			continue
		}
		source := fmt.Sprintf("198.51.100.%d", 20+i)
		s.scanned(source)
		if i > 0 && !strings.Contains(s.run("picket", "blocks"), fmt.Sprintf("198.51.100.%d", 19+i)) {
			s.t.Errorf("%s ended a block", c.name)
		}
	}
	s.try("sh", "-c", "systemctl disable --now firewalld fail2ban ufw")
	s.docker()
}

// containers makes what Docker makes for a container: a bridge and a namespace.
const containers = `
	ip link add docker0 type bridge; ip address add 172.17.0.1/16 dev docker0; ip link set docker0 up
	ip netns add box; ip link add vbox type veth peer name eth0 netns box; ip link set vbox master docker0 up
	ip -n box address add 172.17.0.2/16 dev eth0; ip -n box link set eth0 up
	ip -n box route add default via 172.17.0.1
	systemd-run --quiet --unit=box ip netns exec box python3 -m http.server 80`

// docker publishes a port of a container, in the range that picket watches, by each of Docker's
// backends. Its clients are served and are no scanners; a scan is kept off; a blocked source
// does not reach the container; and docker's rules do not change.
func (s *story) docker() {
	// Inside the container of the test /proc/sys is read-only.
	s.local("nsenter", "--target", strconv.Itoa(s.NetworkPID()), "--net", "sysctl", "-qw",
		"net.ipv4.ip_forward=1")
	s.run("sh", "-ec", containers)
	s.within(10*time.Second, "a server in the container", func() bool {
		return strings.Contains(s.try("ip", "netns", "exec", "box", "ss", "-tln"), ":80 ")
	})
	network := netip.MustParsePrefix("172.17.0.0/16")
	port := lab.Published{Port: 777, To: netip.MustParseAddrPort("172.17.0.2:80")}
	for i, backend := range []struct{ name, load, rules, save, end string }{
		{"nftables", "nft -f -", lab.DockerNFTables(network, port) +
			lab.DockerNFTables(netip.MustParsePrefix("fd00:17::/64")),
			"nft list table ip docker-bridges; nft list table ip6 docker-bridges",
			"nft delete table ip docker-bridges; nft delete table ip6 docker-bridges"},
		{"iptables", "touch /run/docker.sock; iptables-restore --noflush", lab.DockerIPTables(network, port),
			`iptables-save | sed '/^#/d; s/\[[0-9:]*\]//'`, "rm /run/docker.sock"},
	} {
		load := s.Command(s.ctx, "sh", "-ec", backend.load)
		load.Stdin = strings.NewReader(backend.rules)
		if out, err := load.CombinedOutput(); err != nil {
			s.t.Fatalf("docker by %s: %v\n%s", backend.name, err, out)
		}
		s.published(3*i, backend.save)
		if out := s.try("picket", "check", "--host"); !strings.Contains(out, "on, by "+backend.name+":") {
			s.t.Errorf("beside docker by %s, the host is\n%s", backend.name, out)
		}
		s.run("sh", "-ec", backend.end)
	}
}

// published tries port 777 of a container from three sources of its own; save prints the
// rules that publish it.
func (s *story) published(first int, save string) {
	source := func(n int) string { return fmt.Sprintf("198.51.100.%d", 30+first+n) }
	client, scanner := source(0), source(1)
	saved := func() string {
		return regexp.MustCompile(`packets \d+ bytes \d+`).ReplaceAllString(s.run("sh", "-c", save), "")
	}
	before := saved()
	fetches := func() bool {
		s.fromPeer("ip", "address", "replace", client+"/32", "dev", "eth0")
		out, err := exec.CommandContext(s.ctx, "nsenter", "--target", strconv.Itoa(s.peer.pid()), "--net",
			"curl",
			"-s", "--max-time", "2", "--interface", client, "http://"+hostAddress+":777/").CombinedOutput()
		return err == nil && strings.Contains(string(out), "Directory listing")
	}
	s.within(10*time.Second, "the container's page", fetches)
	for range 20 {
		if !fetches() {
			s.t.Fatalf("a client of a published port is not served:\n%s", s.run("picket", "explain", client))
		}
	}
	if out := s.run("picket", "explain", "--json", client); !strings.Contains(out, `"known": null`) {
		s.t.Errorf("a client of a published port:\n%s", out)
	}
	s.scanned(scanner)
	s.run("picket", "block", client, "--for", "1h")
	if fetches() {
		s.t.Error("a blocked source reaches the container")
	}
	s.run("picket", "unblock", client)
	if !fetches() {
		s.t.Error("a source that was freed does not reach the container")
	}
	s.run("systemctl", "restart", "picket.service")
	if !fetches() || saved() != before {
		s.t.Errorf("docker's rules were\n%s\nand are\n%s", before, saved())
	}
}

// TestTryIt pastes the README's five minutes into a shell, as a person does.
func TestTryIt(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	b, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	paste := regexp.MustCompile(`(?m)^apt-get .*\n`).ReplaceAllString(script(string(b),
		"Try it without installing"), "")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "--net", "--mount", "bash", "-c",
		"mount -t tmpfs tmpfs /run && exec bash -s")
	cmd.Dir, cmd.Stdin = "../../..",
		strings.NewReader(paste+"\necho \"left: $RUNTIME_DIRECTORY\" $(ls /run/netns)\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	said := string(out)
	for what, times := range map[string]int{"100% packet loss": 1, " 0% packet loss": 1, "left: \n": 1,
		"192.0.2.1": 3} {
		if n := strings.Count(said, what); n < times {
			t.Errorf("%q came %d times:\n%s", what, n, said)
		}
	}
}

// TestOlderGo: with a Go that cannot read go.mod, make names the version it needs and where to
// get it. A Go that can download that version does so.
func TestOlderGo(t *testing.T) {
	program := filepath.Join(t.TempDir(), "go")
	const text = "#!/bin/sh\n[ \"$1\" = version ] && { echo \"go version go$FAKE linux/amd64\"; exit; }\n" +
		"echo \"toolchain $GOTOOLCHAIN\"\n"
	if err := os.WriteFile(program, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string]string{
		"1.19.8": "this needs Go 1.26 or newer, and " + program + " is 1.19. Debian has one",
		"1.24.4": "toolchain auto\n", "1.26.0": "toolchain local\n", "1.30": "toolchain local\n",
	} {
		cmd := exec.CommandContext(t.Context(), "make", "-C", "../../..", "build", "GO="+program)
		cmd.Env = append(os.Environ(), "FAKE="+version, "GOTOOLCHAIN=local")
		out, err := cmd.CombinedOutput()
		if !strings.Contains(string(out), want) || (err != nil) != (version == "1.19.8") {
			t.Errorf("Go %s: %v\n%s", version, err, out)
		}
	}
}
