// SPDX-License-Identifier: MIT

package boot

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// followed are the sections of the README whose shell TestReadme runs, line by line. TestTryIt
// runs the last one.
var followed = []string{"Install", "Look", "A trial first", "Configure", "Be told", "Remove",
	"Try it without installing"}

// here marks a command that TestReadme runs by [story.examples].
const here = ""

// commands lists every other command of README, docs and man pages, with the test that runs it,
// or the reason why none does. The table and the pages must agree.
var commands = map[string]string{
	"picket status":                         here,
	"sudo picket top":                       here,
	"picket explain":                        "TestExplain", // of a source
	"picket blocks":                         here,
	"picket blocks --trial":                 "TestReadme", // in a trial
	"picket check":                          here,
	"picket replay":                         "TestScripts", // of captures
	"picket replay scan.pcap":               here,
	"picket report":                         here,
	"picket unblock":                        "TestElementsByHand", // of a source
	"picket remove":                         here,
	"picket import":                         "TestImportCommand", // of a file
	"picket arm":                            here,
	"picket run --dry-run":                  "TestDryRunBlocksNobody",
	"sudo picket arm":                       here,
	"sudo picket remove":                    here,
	"systemctl enable --now picket-metrics": here,
	"systemctl enable --now picket.service": here,
	"systemctl reload picket":               here,
	"picket import /etc/portsentry/portsentry.conf":                     here,
	"picket import /etc/portsentry/portsentry.conf > picket.toml":       here,
	"picket check --config picket.toml":                                 here,
	"journalctl -u picket":                                              here,
	"journalctl -k":                                                     here,
	"journalctl -o json":                                                here,
	"journalctl -x -t picket":                                           here,
	"journalctl -x PICKET_SOURCE=192.0.2.9":                             here,
	"journalctl --since today -o cat PICKET_EVENT=block":                here,
	"picket explain 192.0.2.9 --pcap scan.pcapng":                       here,
	"tshark -r scan.pcapng -T fields -e frame.number -e frame.comment":  here,
	"picket block --file bad.txt --for forever":                         here,
	"picket allow 198.51.100.7 --for 2h --reason audit":                 here,
	`picket block 203.0.113.0/24 --for 1w --reason "abuse report 4711"`: here,
	"picket replay --against stricter.toml week.pcap":                   here,
	"sudo apt install ./dist/picket_*.deb":                              here,
	// with -y
	"sudo PICKET_TRIAL=1 apt install picket": "TestReadme",
	// with a key of its own
	"make packages repo REPO_KEY=you@example.org": "TestReadme",
	"make packages":       "TestStory",
	"sudo make demo":      "TestDemo",
	"sudo make install":   "TestInstall",
	"sudo make uninstall": "TestInstall",
	"sudo make run": "not here: it watches the machine of the test; TestTryIt runs the same " +
		"in a namespace",
	"sudo bin/picket run --dry-run": "not here: it watches the machine of the test; TestTryIt runs it in a " +
		"namespace",
	"sudo make test":     "not here: this is a part of it",
	"make bench":         "not here: it takes 20 minutes, and writes docs/performance.md",
	"make evaluate":      "not here: it takes 15 minutes, and writes its table into the README",
	"sudo make evaluate": "not here: it takes 15 minutes, and writes its table into the README",
	"make compare": "not here: it takes 10 minutes, and prints the tables of " +
		"docs/portsentry.md",
	"sudo rm -rf /etc/picket /var/lib/picket": "not here: the tests after it need both; a purge does it in " +
		"TestReadme",
}

// An example is a command on a page.
type example struct{ page, command string }

// examplesOf returns the commands of a page: in Markdown, code in a line, indented lines, and
// lines of blocks outside of followed sections; in a man page, displays and literals.
func examplesOf(page, text string) (out []example) {
	const begins = `(?:sudo |bin/|PICKET_\w+=\S+ ` +
		`)*(?:picket|make|apt|apt-get|systemctl|journalctl|tshark|rm) `
	add := func(command string) {
		out = append(out, example{page, strings.TrimSuffix(strings.TrimSpace(command), " ,")})
	}
	if !strings.HasSuffix(page, ".md") {
		quotes := strings.NewReplacer(`\(dq`, `"`, `\&`, "", `\-`, "-")
		displays := regexp.MustCompile(`(?m)^\.(?:Dl (.*)|Ql (` + begins + `.*))$`)
		for _, m := range displays.FindAllStringSubmatch(text, -1) {
			add(quotes.Replace(m[1] + m[2]))
		}
		return out
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.+?)```")
	for _, section := range strings.Split(text, "\n## ") {
		title, _, _ := strings.Cut(section, "\n")
		if page == "README.md" && slices.Contains(followed, title) {
			continue
		}
		for _, m := range blocks.FindAllStringSubmatch(section, -1) {
			for line := range strings.Lines(m[1]) {
				add(line)
			}
		}
	}
	text = regexp.MustCompile("(?s)```.*?```").ReplaceAllString(text, "")
	code := regexp.MustCompile("(?m)^    (" + begins + ".*)$|`(" + begins + "[^`\n]+)`")
	for _, m := range code.FindAllStringSubmatch(text, -1) {
		add(m[1] + m[2])
	}
	return out
}

// TestEveryCommandIsRun: every command of a page is run by a test, or the table gives the
// reason.
func TestEveryCommandIsRun(t *testing.T) {
	const root = "../../../"
	pages := []string{"README.md"}
	for _, pattern := range []string{"docs/*.md", "docs/*.[1-9]"} {
		found, err := filepath.Glob(root + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			pages = append(pages, strings.TrimPrefix(f, root))
		}
	}
	on := map[string]bool{}
	for _, page := range pages {
		b, err := os.ReadFile(root + page)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range examplesOf(page, string(b)) {
			on[x.command] = true
			if _, ok := commands[x.command]; !ok {
				t.Errorf("%s has %q, which no test runs: give it a place in commands_test.go", x.page,
					x.command)
			}
		}
	}
	tests := testNames(t, root)
	for command, how := range commands {
		switch {
		case !on[command]:
			t.Errorf("%q is on no page any more", command)
		case how != here && !strings.HasPrefix(how, "not here: ") && !slices.Contains(tests, how):
			t.Errorf("%q: there is no test %s", command, how)
		}
	}
	readme, err := os.ReadFile(root + "README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range followed {
		if script(string(readme), section) == "" {
			t.Errorf("the README has no commands under %q", section)
		}
	}
	if len(on) < 30 {
		t.Errorf("%d commands were found", len(on))
	}
}

// testNames returns the names of all tests below a folder.
func testNames(t *testing.T, root string) (names []string) {
	t.Helper()
	for _, pattern := range []string{"*/*_test.go", "*/*/*_test.go", "*/*/*/*_test.go"} {
		files, err := filepath.Glob(root + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(b),
				-1) {
				names = append(names, m[1])
			}
		}
	}
	return names
}

// examples runs the commands of the pages that have no test of their own, as printed, in an
// order in which each of them finds something. At the end picket runs, and blocks.
func (s *story) examples() {
	s.run("sh", "-ec", `mkdir -p /root/dist /etc/portsentry; cd /root
		cp /srv/picket/pool/*.deb dist
		echo 203.0.113.77 >bad.txt
		printf '[tcp]\ntrigger = 1\n' >stricter.toml
		printf 'TCP_PORTS="1,11"\nUDP_PORTS="7"\nBLOCK_TCP="1"\n' >/etc/portsentry/portsentry.conf`)
	for _, name := range []string{"scan.pcap", "week.pcap"} {
		s.local("cp", "../../replay/testdata/null4.pcap", s.Path("/root/"+name))
	}
	s.scanned("198.51.100.13")
	late := []string{"sudo picket arm", "picket arm", "picket remove", "sudo picket remove",
		"systemctl enable --now picket.service", "systemctl reload picket"}
	ran := 0
	run := func(command string) {
		cmd := s.Command(s.ctx, "bash", "-e", "-o", "pipefail", "-c", "cd /root; sudo() { env \"$@\"; }\n"+
			strings.ReplaceAll(command, "192.0.2.9", "198.51.100.13"))
		out, err := cmd.CombinedOutput()
		quiet := strings.Contains(command, " > ") || strings.HasPrefix(command, "systemctl") ||
			command == "journalctl -k" // a container has no kernel of its own
		if err != nil || !quiet && (len(out) == 0 || strings.Contains(string(out), "-- No entries --")) {
			s.t.Errorf("%s: %v\n%s", command, err, out)
		}
		ran++
	}
	for _, first := range []string{"picket import /etc/portsentry/portsentry.conf > picket.toml",
		"picket explain 192.0.2.9 --pcap scan.pcapng"} {
		run(first)
	}
	for command, how := range commands {
		if how == here && !slices.Contains(late, command) {
			run(command)
		}
	}
	s.run("sh", "-c", "echo 'dry_run = true' >/etc/picket/picket.d/50-trial.toml; systemctl reload picket")
	for _, command := range late {
		run(command)
		if strings.HasSuffix(command, "remove") {
			s.run("systemctl", "start", "picket.service")
		}
		if command == "sudo picket arm" {
			s.run("sh", "-c", "rm /etc/picket/picket.d/90-armed.toml; systemctl reload picket")
		}
	}
	s.t.Logf("%d commands of the pages were run", ran)
	s.run("sh", "-c", "rm -f /etc/picket/picket.d/*; systemctl disable --now picket-metrics; systemctl "+
		"restart picket")
	s.run("picket", "unblock", "--all")
}

// TestInstall: "make uninstall" takes out of a folder what "make install" has put into it,
// except the configuration.
func TestInstall(t *testing.T) {
	s := &story{t: t, ctx: t.Context()}
	root := t.TempDir()
	s.local("make", "-C", "../../..", "install", "DESTDIR="+root, "PREFIX=/usr/local")
	if out := s.local(filepath.Join(root, "usr/local/bin/picket"), "version"); !strings.HasPrefix(out,
		"picket ") {
		t.Errorf("installed: %s", out)
	}
	s.local("make", "-C", "../../..", "uninstall", "DESTDIR="+root, "PREFIX=/usr/local")
	if out := s.local("find", root, "-type", "f"); out != "" {
		t.Errorf("left:\n%s", out)
	}
}
