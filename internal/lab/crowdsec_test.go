// SPDX-License-Identifier: MIT

package lab

import (
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCrowdSec: Debian's CrowdSec, with its own parser and scenarios for Suricata, reads the
// EVE history of a running picket, and bans the source that picket has proven.
func TestCrowdSec(t *testing.T) {
	program, err := exec.LookPath("crowdsec")
	if err != nil {
		t.Fatal("crowdsec is missing: run \"make test\", which unpacks it")
	}
	l := newLab(t)
	dir := t.TempDir()
	history := filepath.Join(dir, "eve.json")
	d := start(t, l.Target, Options{Config: "[history]\nfile = \"" + history + "\"\nformat = \"eve\"\n"})
	for _, port := range []uint16{1, 11, 79, 109} {
		l.Attacker.Reaches(Source4(1), netip.AddrPortFrom(l.Target.V4, port), time.Second)
	}
	var scan []packet
	for port := range uint16(60) {
		scan = append(scan, knock(Source4(2), l.Target.V4, 100+port))
	}
	send(t, l.Attacker, scan...) // it is fenced: anybody could have sent these
	eventually(t, 5*time.Second, "a proven block", func() bool {
		_, err := d.WaitEvent(time.Second, "event=block source="+Source4(1).String()+" ", "proven=true")
		return err == nil && strings.Contains(read(t, history), `"severity":1`)
	})

	// CrowdSec in its own folders, with an interface on the host's loopback only.
	hub := filepath.Join(filepath.Dir(program), "../share/crowdsec/hub")
	config := filepath.Join(dir, "config.yaml")
	write(t, config, fmt.Sprintf(`
common: {daemonize: false, log_media: stdout, log_level: info, working_dir: .}
config_paths: {config_dir: %[1]s, data_dir: %[1]s, simulation_path: %[1]s/simulation.yaml, hub_dir: %[1]s/hub,
  index_path: %[2]s/.index.json, notification_dir: %[1]s, plugin_dir: %[1]s}
crowdsec_service: {acquisition_path: %[1]s/acquis.yaml, parser_routines: 1}
db_config: {type: sqlite, db_path: %[1]s/db}
api: {client: {credentials_path: %[1]s/credentials.yaml},
  server: {listen_uri: 127.0.0.1:8080, profiles_path: %[1]s/profiles.yaml, console_path: %[1]s/console.yaml}}
prometheus: {enabled: false}
`, dir, hub), 0o644)
	out, err := l.Target.Run("sh", "-ec", `cd "$1"; hub=$2 etc=$2/../../../../etc/crowdsec; PATH=${3%/*}:$PATH
		mkdir -p parsers/s00-raw parsers/s01-parse parsers/s02-enrich scenarios postoverflows hub
		cp -r "$etc/patterns" "$etc/simulation.yaml" "$etc/profiles.yaml" .
		cp "$hub/parsers/s00-raw/crowdsecurity/syslog-logs.yaml" parsers/s00-raw
		cp "$hub/parsers/s01-parse/crowdsecurity/suricata-logs.yaml" parsers/s01-parse
		cp "$hub/parsers/s02-enrich/crowdsecurity/dateparse-enrich.yaml" parsers/s02-enrich
		cp "$hub/scenarios/crowdsecurity/suricata-alerts.yaml" scenarios
		: >acquis.yaml; : >console.yaml; echo 'url: http://127.0.0.1:8080' >credentials.yaml
		cscli -c config.yaml machines add test --password test --file credentials.yaml --url `+
		`http://127.0.0.1:8080
		crowdsec -c config.yaml -no-cs >api.log 2>&1 & trap "kill $!" EXIT
		for i in $(seq 100); do cscli -c config.yaml lapi status >/dev/null 2>&1 && break; sleep .2; done
		crowdsec -c config.yaml -dsn "file://$1/eve.json" -type suricata-evelogs -no-api
		cscli -c config.yaml decisions list -o raw`, "sh", dir, hub, program)
	if err != nil || !strings.Contains(out,
		",crowdsec,Ip:192.0.2.11,crowdsecurity/suricata-major-severity,ban,") ||
		strings.Contains(out, "192.0.2.12") {
		t.Errorf("%v\n%s\nthe history:\n%s", err, out, read(t, history))
	}
}
