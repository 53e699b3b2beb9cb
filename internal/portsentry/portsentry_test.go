// SPDX-License-Identifier: MIT

package portsentry

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
)

var update = flag.Bool("update", false, "write testdata/*.toml anew")

// A config has the keys that TOML writes; any other key is an error.
type config struct {
	DryRun   bool `toml:"dry_run"`
	TCP, UDP protocol
	IP       struct{ Modes []string }
	Ignore   struct{ Files []string }
	Trap     struct{ Banner string }
	Run      struct {
		Command  []string
		When     string
		Unproven bool
	}
	Route struct {
		Type     string
		Unproven bool
	}
	HostsDeny struct{ Line string } `toml:"hosts_deny"`
	History   struct{ File, Format, Blocked string }
	Resolve   struct{ Enable bool }
}

type protocol struct {
	Modes             []string
	Action            string
	Trigger           *int
	Classic, Stealth  string
	Advanced, Exclude string
}

func decode(t *testing.T, text string) config {
	t.Helper()
	var c config
	d := toml.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) {
			t.Fatalf("%s\n%s", strict.String(), text)
		}
		t.Fatalf("%v\n%s", err, text)
	}
	return c
}

// convert parses a file without faults.
func convert(t *testing.T, text string, modes ...Mode) config {
	t.Helper()
	f, faults := Parse(strings.NewReader(text))
	if len(faults) > 0 {
		t.Errorf("faults: %v", faults)
	}
	return decode(t, f.TOML(modes...))
}

func TestGolden(t *testing.T) {
	for _, c := range []struct {
		conf, golden string
		version      int
		modes        []Mode
	}{
		{"v1.conf", "v1.toml", 1, nil},
		{"v1.conf", "v1-advanced.toml", 1, []Mode{"atcp", "sudp"}},
		{"v2.conf", "v2.toml", 2, nil},
		{"v2.conf", "v2-connect.toml", 2, []Mode{"connect"}},
	} {
		t.Run(c.golden, func(t *testing.T) {
			in, err := os.ReadFile(filepath.Join("testdata", c.conf))
			if err != nil {
				t.Fatal(err)
			}
			f, faults := Parse(bytes.NewReader(in))
			if len(faults) > 0 || f.version != c.version {
				t.Errorf("version %d, faults %v", f.version, faults)
			}
			got := f.TOML(c.modes...)
			decode(t, got)
			golden := filepath.Join("testdata", c.golden)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestDebiansFile fetches Debian's package, whose file is not ours to commit, and
// converts its configuration.
func TestDebiansFile(t *testing.T) {
	dir := t.TempDir()
	for _, arg := range [][]string{{"apt-get", "download", "-qq", "portsentry"},
		{"sh", "-c", "dpkg -x portsentry_*.deb x"}} {
		cmd := exec.Command(arg[0], arg[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s(this test needs a Debian mirror)", arg, err, out)
		}
	}
	in, err := os.ReadFile(filepath.Join(dir, "x/etc/portsentry/portsentry.conf"))
	if err != nil {
		t.Fatal(err)
	}
	f, faults := Parse(bytes.NewReader(in))
	if len(faults) > 0 || f.version != 1 {
		t.Errorf("version %d, faults %v", f.version, faults)
	}
	c := decode(t, f.TOML())
	if c.TCP.Action != "log" || !strings.HasSuffix(c.TCP.Classic, ",49724,54320") ||
		c.Route.Type != "unreachable" || c.HostsDeny.Line != "ALL: $TARGET$ : DENY" {
		t.Errorf("%+v", c)
	}
	// Every commented line of the file converts too, one at a time.
	offered := 0
	for line := range strings.Lines(string(in)) {
		key, _, ok := strings.Cut(strings.TrimLeft(line, "# "), "=")
		if _, known := options()[strings.TrimSpace(key)]; !ok || !known || line[0] != '#' {
			continue
		}
		offered++
		if _, faults := Parse(strings.NewReader(strings.TrimLeft(line, "# "))); len(faults) > 0 {
			t.Errorf("%v", faults)
		}
	}
	if offered < 20 {
		t.Errorf("%d lines in comments; is this the file?", offered)
	}
}

func TestModes(t *testing.T) {
	const conf = "TCP_PORTS=\"1,11\"\nUDP_PORTS=\"7\"\nADVANCED_PORTS_TCP=\"1024\"\n" +
		"ADVANCED_PORTS_UDP=\"2\"\nADVANCED_EXCLUDE_TCP=\"113,139\"\n"
	list := func(p protocol) string {
		return fmt.Sprint(p.Modes, p.Classic, "|", p.Stealth, "|", p.Advanced, "|", p.Exclude)
	}
	for _, c := range []struct{ modes, tcp, udp string }{
		{"", "[classic]1,11|||", "[classic]7|||"},
		{"tcp", "[classic]1,11|||", "[]|||"},
		{"stcp", "[stealth]|1,11||", "[]|||"},
		{"atcp", "[advanced]||1-1023|113,139", "[]|||"},
		{"--udp", "[]|||", "[classic]7|||"},
		{"-sudp", "[]|||", "[stealth]|7||"},
		{"audp", "[]|||", "[advanced]||1|"},
		{"stcp audp atcp", "[stealth advanced]|1,11|1-1023|113,139", "[advanced]||1|"},
		{"stealth", "[stealth]|1,11||", "[stealth]|7||"},
		{"connect", "[classic]1,11|||", "[classic]7|||"},
	} {
		var modes []Mode
		for s := range strings.FieldsSeq(c.modes) {
			m, err := ParseMode(s)
			if err != nil {
				t.Fatal(err)
			}
			modes = append(modes, m)
		}
		got := convert(t, conf, modes...)
		if list(got.TCP) != c.tcp || list(got.UDP) != c.udp {
			t.Errorf("%q: tcp %s, udp %s; want %s and %s", c.modes, list(got.TCP), list(got.UDP), c.tcp,
				c.udp)
		}
	}
	if _, err := ParseMode("icmp"); err == nil {
		t.Error("icmp is no mode")
	}
}

func TestValues(t *testing.T) {
	for n, want := range map[string]int{"0": 0, "1": 0, "2": 1, "5": 4} {
		if got := convert(t, `SCAN_TRIGGER="`+n+`"`); *got.TCP.Trigger != want || *got.UDP.Trigger != want {
			t.Errorf("SCAN_TRIGGER %s: %d, want %d", n, *got.TCP.Trigger, want)
		}
	}
	for n, want := range map[string]string{"0": "log", "1": "block", "2": "run"} {
		got := convert(t, `TCP_PORTS="1"`+"\nKILL_RUN_CMD=\"/bin/x\"\nBLOCK_TCP=\""+n+`"`)
		if got.TCP.Action != want || got.UDP.Action != "log" {
			t.Errorf("BLOCK_TCP %s: %s, %s; want %s and log", n, got.TCP.Action, got.UDP.Action, want)
		}
	}
	if got := convert(t, "# PortSentry 1.2\nTCP_PORTS=\"1\""); got.TCP.Action != "block" ||
		got.UDP.Action != "log" {
		t.Errorf("1.2 without BLOCK_TCP: %s, and %s for what it does not watch", got.TCP.Action,
			got.UDP.Action)
	}
	for spelling, want := range map[string]string{
		`PORT_BANNER="hi"`: "hi", `PORT_BANNER = "hi"`: "hi", `PORT_BANNER "hi"`: "hi",
		"PORT_BANNER\t=\t\"hi\"  \r": "hi",
		`PORT_BANNER="a \ b" # why`:  `a \ b`, `PORT_BANNER="# '$TARGET$'"`: "# '$TARGET$'",
		`PORT_BANNER=""`: "", "   # PORT_BANNER=\"x\"": "",
	} {
		if got := convert(t, spelling).Trap.Banner; got != want {
			t.Errorf("%s: %q, want %q", spelling, got, want)
		}
	}
}

func TestKillRoute(t *testing.T) {
	for command, want := range map[string]string{
		"/sbin/route add -host $TARGET$ reject":                                      "unreachable",
		"/sbin/route add $TARGET$ 333.444.555.666":                                   "blackhole",
		"/sbin/route add -host $TARGET$ gw 192.0.2.9":                                "blackhole",
		"route add -net $TARGET$ -netmask 255.255.255.255 127.0.0.1 -blackhole":      "blackhole",
		"ip route add blackhole $TARGET$/32":                                         "blackhole",
		"/usr/sbin/ip route add unreachable $TARGET$":                                "unreachable",
		"sudo ip r a prohibit $TARGET$":                                              "prohibit",
		"ip route add $TARGET$ via 127.0.0.1 dev lo":                                 "blackhole",
		"/sbin/iptables -I INPUT -s $TARGET$ -j DROP":                                "set",
		"/sbin/ipfwadm -I -i deny -S $TARGET$ -o":                                    "set",
		"/sbin/ipchains -I input -s $TARGET$ -j DENY -l":                             "set",
		"nftables add rule ip filter input ip saddr $TARGET$ drop":                   "set",
		"nft add element inet ps b4 { $TARGET$ timeout 600s }":                       "set",
		"/sbin/ipfw add 1 deny all from $TARGET$:255.255.255.255 to any":             "set",
		"/bin/echo 'block in log on em0 from $TARGET$/32 to any' | /sbin/pfctl -f -": "set",
		"/sbin/iptables -I INPUT -s $TARGET$ -j DROP && /sbin/iptables -I INPUT -s $TARGET$ -m limit " +
			"--limit 3/minute -j LOG --log-prefix 'Portsentry: dropping: '": "set",
		"/usr/sbin/ipset add bad $TARGET$": "set", "ufw insert 1 deny from $TARGET$": "set",
		"/bin/true $TARGET$": "set",
		// These are left to a person.
		"/usr/local/bin/punish $TARGET$": "?", "iptables -I INPUT -s $TARGET$ -j ACCEPT": "?",
		"iptables -j DROP":   "?",
		"route del $TARGET$": "?", "ip route add $TARGET$": "?",
		"iptables -I INPUT -s $TARGET$ -j DROP; rm -rf /tmp/x": "?",
		"nft flush ruleset # $TARGET$":                         "?", "": "?", "|": "?", "'": "?",
		"iptables -I INPUT -s $TARGET$ -j LOG":                               "?",
		"ip route add blackhole $TARGET$ && route add -host $TARGET$ reject": "?",
	} {
		b, why := killRoute(command)
		got := b.route
		switch {
		case why != "":
			got = "?"
		case got == "":
			got = "set"
		}
		if got != want {
			t.Errorf("%s: %s (%s), want %s", command, got, why, want)
		}
	}
}

func TestRunCommand(t *testing.T) {
	for line, want := range map[string][]string{
		"/some/path/here/script $TARGET$ $PORT$ $MODE$": {"/some/path/here/script", "$TARGET$", "$PORT$",
			"$MODE$"},
		"/bin/x  'two words' a\\ b --at=$TARGET$:$PORT$ ''": {"/bin/x", "two words", "a b",
			"--at=$TARGET$:$PORT$", ""},
		"mail-root $TARGET$":   {"/usr/bin/env", "mail-root", "$TARGET$"},
		"/bin/echo '$TARGET$'": {"/bin/echo", "$TARGET$"},
		"/bin/echo $TARGET$ $PORT$ | mail -s scan root": {"/bin/sh", "-c",
			"/bin/echo ${1} ${2} | mail -s scan root", "sh", "$TARGET$", "$PORT$", "$MODE$"},
		"LANG=C /bin/x $MODE$": {"/bin/sh", "-c", "LANG=C /bin/x ${3}", "sh",
			"$TARGET$", "$PORT$", "$MODE$"},
		"/bin/x '$TARGET$' | cat": nil,
		"/bin/x $TARGT$":          nil,
		"   ":                     nil,
	} {
		got, why := runCommand(line)
		if d := cmp.Diff(want, got); d != "" || (why == "") != (want != nil) {
			t.Errorf("%s (%s) (-want +got):\n%s", line, why, d)
		}
	}
	// The shell gets what PortSentry's would get, and nothing else.
	argv, _ := runCommand("/bin/echo at $TARGET$:$PORT$x;/bin/echo $MODE$")
	copy(argv[len(argv)-3:], []string{"$(reboot)", "11", "stealth"})
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if want := "at $(reboot):11x\nstealth\n"; err != nil || string(out) != want {
		t.Errorf("%q, %v; want %q", out, err, want)
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct{ name, conf, want string }{
		{"unknown option", "TCP_PORTZ=\"1\"", "line 1: \"TCP_PORTZ=\\\"1\\\"\": unknown option"},
		{"beginning of an option", "\nTCP=\"5\"",
			"line 2: \"TCP=\\\"5\\\"\": unknown option; PortSentry 2 takes the beginning"},
		{"lower case", "tcp_ports=\"1\"", "upper case"},
		{"indented", "  TCP_PORTS=\"1\"", "begins in the first column"},
		{"no sense", "=== x", "neither an option nor a comment"},
		{"no quotes", "TCP_PORTS=1,2", "must stand in double quotes"},
		{"single quotes", "TCP_PORTS='1,2'", "must stand in double quotes"},
		{"no closing quote", "TCP_PORTS=\"1,2", "closing quote is missing"},
		{"quotes in the value", `KILL_ROUTE="echo "$TARGET$""`, "behind the closing quote"},
		{"text before the quotes", `TCP_PORTS=1 "2"`, "stands before the quotes"},
		{"control bytes", "PORT_BANNER=\"\x1b[2J\"", `ends at "\x1b[2J"`},
		{"a hole", "TCP_PORTS=\"1,,2\"", "item 2 of the list is empty"},
		{"port 0", "TCP_PORTS=\"0,2\"", "ports are 1 to 65535"},
		{"port 65536", "TCP_PORTS=\"1,65536\"", `item 2, "65536": ports are 1 to 65535; the others`},
		{"a word", "TCP_PORTS=\"1,http\"", `"http": not a port number; the others`},
		{"half a range", "TCP_PORTS=\"1-\"", "not a port number"},
		{"a range backwards", "TCP_PORTS=\"20-10\"", "ends before it begins"},
		{"a range in 1.2", "# PortSentry 1.2\nTCP_PORTS=\"5-9\"",
			"line 2: \"TCP_PORTS\": item 1, \"5-9\": PortSentry 1.2 knows no ranges and watched 5 only"},
		{"BLOCK_TCP 3", "BLOCK_TCP=\"3\"", "there are 0, 1 and 2"},
		{"BLOCK_TCP 2 alone", "BLOCK_TCP=\"2\"", "no KILL_RUN_CMD"},
		{"SCAN_TRIGGER many", "SCAN_TRIGGER=\"many\"", "not a number of probes"},
		{"ADVANCED_PORTS_TCP all", "ADVANCED_PORTS_TCP=\"all\"", "not a number from 2"},
		{"RESOLVE_HOST yes", "RESOLVE_HOST=\"yes\"", "there are 0 and 1"},
		{"hosts.deny without target", "KILL_HOSTS_DENY=\"ALL: ALL\"", "there must be a $TARGET$"},
		{"hosts.deny with a port", "KILL_HOSTS_DENY=\"ALL: $TARGET$ : spawn (echo $PORT$)\"", "leave $PORT$"},
		{"an unknown KILL_ROUTE", "KILL_ROUTE=\"/opt/punish $TARGET$\"", "not a command that picket knows"},
		{"KILL_ROUTE without target", "KILL_ROUTE=\"reboot\"", "there is no $TARGET$"},
		{"twice in 1.2", "# PortSentry 1.2\nBLOCK_TCP=\"0\"\nBLOCK_TCP=\"1\"",
			"line 3: \"BLOCK_TCP=\\\"1\\\"\": given on line 2 already"},
		{"twice in 2", "BLOCK_TCP=\"0\"\nBLOCK_TCP=\"1\"",
			"line 1: \"BLOCK_TCP=\\\"0\\\"\": given again on line 2"},
		{"a long line", "TCP_PORTS=\"" + strings.Repeat("1,", maxLine) + "\"",
			"line 1: \"\": longer than 65536 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, faults := Parse(strings.NewReader(c.conf))
			if len(faults) != 1 || !strings.Contains(faults[0].String(), c.want) {
				t.Errorf("faults %v, want %q", faults, c.want)
			}
			text := f.TOML()
			decode(t, text)
			if len(faults) == 1 && !strings.Contains(strings.Join(strings.Fields(strings.ReplaceAll(text, "#",
				"")), " "), strings.Join(strings.Fields(strings.ReplaceAll(faults[0].Why, "#", "")), " ")) {
				t.Errorf("the fault is no comment in:\n%s", text)
			}
		})
	}
}

func TestTheRestStillApplies(t *testing.T) {
	f, faults := Parse(strings.NewReader("TCP_PORTS=\"1,,11,http,0,65536,15-17\"\nUDP_PORTS=\"7\n" +
		"NONSENSE=\"x\"\nBLOCK_TCP=\"1\"\n"))
	if len(faults) != 6 {
		t.Errorf("%d faults: %v", len(faults), faults)
	}
	c := decode(t, f.TOML())
	if c.TCP.Stealth != "1,11,15-17" || c.TCP.Action != "block" || c.UDP.Stealth != "" ||
		len(c.UDP.Modes) != 0 || c.DryRun {
		t.Errorf("%+v", c)
	}
}

// TestALostIgnoreFileBlocksNobody: without its ignore file a configuration might block a friend.
func TestALostIgnoreFileBlocksNobody(t *testing.T) {
	for _, conf := range []string{"IGNORE_FILE=\"/etc/x\n", " IGNORE_FILE=\"/etc/x\"",
		"ignore_file=\"/etc/x\"", "IGNORE_FILE=/etc/x", strings.Repeat("x", maxLine+1)} {
		f, faults := Parse(strings.NewReader("TCP_PORTS=\"1\"\nBLOCK_TCP=\"1\"\n" + conf))
		if c := decode(t, f.TOML()); !c.DryRun || len(faults) != 1 {
			t.Errorf("%.40q: dry_run %v, faults %v", conf, c.DryRun, faults)
		}
	}
	f, faults := Parse(iotest.ErrReader(errors.New("disk")))
	if c := decode(t, f.TOML()); !c.DryRun || len(faults) != 1 {
		t.Errorf("a file that cannot be read: dry_run %v, faults %v", c.DryRun, faults)
	}
	// Nor without the file itself.
	f, _ = Parse(strings.NewReader("TCP_PORTS=\"1\"\nBLOCK_TCP=\"1\"\nIGNORE_FILE=\"/etc/x\"\n"))
	x, missing := f.MissIgnoreFile(func(path string) bool { return path != "/etc/x" })
	if c := decode(t, f.TOML()); !c.DryRun || len(c.Ignore.Files) != 0 || !missing || x.Line != 3 {
		t.Errorf("dry_run %v, files %v, fault %v", c.DryRun, c.Ignore.Files, x)
	}
	// Nor does an unreadable BLOCK_TCP block.
	f, _ = Parse(strings.NewReader("# PortSentry 1.2\nTCP_PORTS=\"1\"\nBLOCK_TCP=\"0\n"))
	if c := decode(t, f.TOML()); c.TCP.Action != "log" {
		t.Errorf("action %q", c.TCP.Action)
	}
}

// FuzzParse: the output for any input is valid TOML of known keys, without control
// characters.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"v1.conf", "v2.conf"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Add("KILL_RUN_CMD=\"/x '\\\"'\"\nKILL_ROUTE=\"\\\\ $TARGET$\"\n\x00=\xff\"\n")
	f.Fuzz(func(t *testing.T, s string) {
		file, faults := Parse(strings.NewReader(s))
		for _, modes := range [][]Mode{nil, Modes()} {
			text := file.TOML(modes...)
			decode(t, text)
			for _, x := range faults {
				text += x.String()
			}
			if i := strings.IndexFunc(text,
				func(c rune) bool { return c < ' ' && c != '\n' || c == 0x7f }); i >= 0 {
				t.Fatalf("control character in %q", text)
			}
		}
	})
}
