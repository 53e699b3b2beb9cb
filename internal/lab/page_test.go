// SPDX-License-Identifier: MIT

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// axe is the accessibility checker of "make test".
const axe = "../../bin/axe/package/axe.min.js"

// A verdict is axe's result for a page.
type verdict struct {
	Passes     int
	Violations []struct {
		ID    string
		Nodes []string
	}
}

// judge opens a page in a browser and runs axe on it.
func judge(t *testing.T, page string, flags ...string) (v verdict) {
	t.Helper()
	script, err := os.ReadFile(axe)
	if err != nil {
		t.Fatalf("%v: \"make test\" fetches it", err)
	}
	const run = `axe.run({resultTypes: ["violations"]}).then(r => { document.title = "axe" + JSON.stringify({
		Passes: r.passes.length,
		Violations: r.violations.map(v => ({ID: v.id, Nodes: v.nodes.map(n => n.html.slice(0, 200))}))}) })`
	// The page's own policy forbids axe.
	page = regexp.MustCompile(`<meta http-equiv[^>]*>`).ReplaceAllString(page, "")
	page = strings.Replace(page, "</body>",
		"<script>"+string(script)+"</script><script>"+run+"</script></body>", 1)
	dir := t.TempDir()
	file := filepath.Join(dir, "page.html")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	args := append([]string{"--no-sandbox", "--disable-gpu", "--user-data-dir=" + dir,
		"--virtual-time-budget=60000", "--dump-dom"}, flags...)
	out, err := exec.CommandContext(ctx, "chromium-headless-shell", append(args, "file://"+file)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(out), "<title>axe")
	text, _, _ = strings.Cut(text, "</title>")
	text = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&nbsp;", " ", "&amp;", "&").Replace(text)
	if err := json.Unmarshal([]byte(text), &v); !ok || err != nil {
		t.Fatalf("axe did not run: %v: %.300s", err, text)
	}
	return v
}

// TestPageIsAccessible: axe finds nothing in the page of a report, light and dark, on a screen
// and on a phone, with little and with much data. In a page with a fault, it finds the fault.
func TestPageIsAccessible(t *testing.T) {
	dir := t.TempDir()
	page := func(name string, sources int) string {
		var events strings.Builder
		for i := range sources {
			at := time.Date(2026, 11, 22, i%170, i%60, 0, 0, time.UTC).Format(time.RFC3339)
			fmt.Fprintf(&events, `{"event":"block","time":%q,"source":"2001:db8:%x::/64","protocol":"tcp",`+
				`"port":%d,"action":%q,"probes":%d,"pattern":"portscan",`+
				`"tool":"nmap","country":"NL","asn":64496,"network":"Example `+
				`Networks","known":"mine","reason":"above the trigger","drops":7}`+"\n",
				at, i%0x5000, 20+i%40, []string{"dark", "fence", "block"}[i%3], i)
		}
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(events.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(os.Getenv(binaryEnv), "report", "--file", file, "--html", "-").Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	small, large := page("small", 1), page("large", 3000)
	for _, x := range []struct {
		name, page string
		flags      []string
	}{
		{"nothing", page("nothing", 0), nil},
		{"small, light, phone", small, []string{"--window-size=390,844"}},
		{"large, light, screen", large, []string{"--window-size=1280,900"}},
		{"large, dark, phone", large, []string{"--window-size=390,844",
			"--blink-settings=preferredColorScheme=0"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			v := judge(t, x.page, x.flags...)
			if len(v.Violations) > 0 || v.Passes < 5 {
				t.Errorf("%+v", v)
			}
		})
	}
	v := judge(t, strings.Replace(small, "</main>", `<img src="x.png"></main>`, 1))
	if len(v.Violations) != 1 || v.Violations[0].ID != "image-alt" {
		t.Errorf("a picture without words is %+v", v)
	}
}
