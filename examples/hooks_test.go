// SPDX-License-Identifier: MIT

package examples

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"picket/internal/event"
	"picket/internal/hook"
)

var sample = event.Event{
	Event: "block", Time: time.Unix(1795391544, 0).UTC(), Source: "192.0.2.7", Protocol: "tcp", Port: 11,
	Mode: "stealth", Technique: "syn", Pattern: "portscan", Action: "block", Reason: `"quoted" & 'single'`,
}

// run runs one of the hooks as picket does, and needs the named programs.
func run(t *testing.T, programs string, argv ...string) hook.Result {
	t.Helper()
	for p := range strings.FieldsSeq(programs) {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatalf("%s is missing: apt-get install curl msmtp alsa-utils", p)
		}
	}
	dir, err := filepath.Abs("hooks")
	if err != nil {
		t.Fatal(err)
	}
	argv[0] = filepath.Join(dir, argv[0])
	command, err := hook.Parse(argv)
	if err != nil {
		t.Fatal(err)
	}
	r := hook.New(hook.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	results := make(chan hook.Result, 1)
	r.Submit(command, sample, func(res hook.Result) { results <- res })
	res := <-results
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return res
}

func TestWebHooks(t *testing.T) {
	type request struct {
		header http.Header
		body   string
	}
	got := make(chan request, 1)
	status := http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.WriteHeader(status)
		got <- request{r.Header, string(b)}
	}))
	defer srv.Close()

	if res := run(t, "curl", "webhook", srv.URL); res.Err != nil {
		t.Fatalf("webhook: %v\n%s", res.Err, res.Output)
	}
	var e event.Event
	if r := <-got; json.Unmarshal([]byte(r.body), &e) != nil || e.Source != sample.Source ||
		e.Reason != sample.Reason {
		t.Errorf("webhook posted %q", r.body)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("tk_secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if res := run(t, "curl", "ntfy", srv.URL+"/picket", "$TARGET$", "$PORT$", "$PATTERN$",
		token); res.Err != nil {
		t.Fatalf("ntfy: %v\n%s", res.Err, res.Output)
	}
	r := <-got
	if r.body != "192.0.2.7, port 11, pattern portscan, technique syn" ||
		r.header.Get("Authorization") != "Bearer tk_secret" ||
		!strings.HasPrefix(r.header.Get("Title"), "picket: block on ") {
		t.Errorf("ntfy posted %q, %v", r.body, r.header)
	}
	if res := run(t, "curl", "ntfy", srv.URL, "$TARGET$", "$PORT$", "$PATTERN$"); res.Err != nil {
		t.Errorf("ntfy without a token: %v\n%s", res.Err, res.Output)
	}
	if r := <-got; r.header.Get("Authorization") != "" {
		t.Errorf("a token out of nothing: %v", r.header)
	}
	status = http.StatusForbidden
	if res := run(t, "curl", "webhook", srv.URL); res.Err == nil || !strings.Contains(res.Output, "403") {
		t.Errorf("a refusal is no failure: %v, %q", res.Err, res.Output)
	}
	<-got
}

// serveMail takes one message by SMTP on loopback.
func serveMail(t *testing.T) (port string, message <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	out := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewScanner(conn)
		fmt.Fprint(conn, "220 lab\r\n")
		var text strings.Builder
		data := false
		for in.Scan() {
			switch line := in.Text(); {
			case data && line == ".":
				data = false
				out <- text.String()
				fmt.Fprint(conn, "250 taken\r\n")
			case data:
				text.WriteString(line + "\n")
			case line == "DATA":
				data = true
				fmt.Fprint(conn, "354 go on\r\n")
			case line == "QUIT":
				fmt.Fprint(conn, "221 bye\r\n")
				return
			default:
				fmt.Fprint(conn, "250 well\r\n")
			}
		}
	}()
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, out
}

func TestMailHook(t *testing.T) {
	port, message := serveMail(t)
	res := run(t, "msmtp", "mail", "root@lab.example", "$TARGET$", "msmtp", "--host=127.0.0.1",
		"--port="+port, "--from=picket@lab.example")
	if res.Err != nil {
		t.Fatalf("%v\n%s", res.Err, res.Output)
	}
	got := <-message
	for _, want := range []string{"To: root@lab.example\n", "Subject: [picket] block 192.0.2.7 on ",
		"PICKET_TECHNIQUE=syn\n", `"source":"192.0.2.7"`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in the mail:\n%s", want, got)
		}
	}
}

// TestSoundHook plays to ALSA's device "null", a silent one.
func TestSoundHook(t *testing.T) {
	wav := filepath.Join(t.TempDir(), "beep.wav")
	header := []byte("RIFF\x2c\x03\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00" +
		"\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data\x08\x03\x00\x00")
	if err := os.WriteFile(wav, append(header, bytes.Repeat([]byte{0x40, 0xc0}, 0x184)...),
		0o600); err != nil {
		t.Fatal(err)
	}
	if res := run(t, "aplay", "sound", wav, "null"); res.Err != nil {
		t.Errorf("%v\n%s", res.Err, res.Output)
	}
	if res := run(t, "aplay", "sound", "/nonexistent.wav", "null"); res.Err == nil ||
		!strings.Contains(res.Output, "/nonexistent.wav") {
		t.Errorf("a sound that is not there: %v, %q", res.Err, res.Output)
	}
}

// TestFail2banHook bans and unbans in a fail2ban of the test's own, without a firewall.
func TestFail2banHook(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"fail2ban.conf": "[Definition]\nloglevel = INFO\nlogtarget = " + dir +
			"/log\nsyslogsocket = auto\nsocket = " + dir + "/sock\npidfile = " + dir +
			"/pid\ndbfile = None\n",
		"jail.conf": "[picket]\nenabled = true\nfilter =\nbackend = polling\nlogpath = " + dir +
			"/empty\nbantime = 1h\nmaxretry = 1\nusedns = no\n",
		"empty": "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The client wants a folder of configuration, though it only talks to the socket.
	client, err := exec.LookPath("fail2ban-client")
	if err != nil {
		t.Fatalf("%v: apt-get install fail2ban", err)
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "fail2ban-client"),
		[]byte("#!/bin/sh\nexec "+client+" -c "+dir+" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	srv := exec.Command("fail2ban-server", "-f", "-x", "-c", dir, "-s", dir+"/sock", "-p", dir+"/pid",
		"start")
	srv.Env = append(os.Environ(), "PYTHONWARNINGS=ignore")
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- srv.Wait() }()
	t.Cleanup(func() { srv.Process.Kill(); <-exited })
	banned := func() string {
		out, _ := exec.Command("fail2ban-client", "-s", dir+"/sock", "status", "picket").Output()
		return string(out)
	}
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(banned(),
		"Banned IP list"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(dir + "/log")
			t.Fatalf("fail2ban does not start:\n%s", log)
		}
	}
	// Not by run: its PATH is the system's, and there fail2ban need not be.
	hook := func(jail, verb string) ([]byte, error) {
		return exec.Command("hooks/fail2ban", jail, verb, "192.0.2.7", dir+"/sock").CombinedOutput()
	}
	if out, err := hook("picket", "banip"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(banned(),
		"192.0.2.7"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not banned: %s", banned())
		}
	}
	if out, err := hook("picket", "unbanip"); err != nil || strings.Contains(banned(), "192.0.2.7") {
		t.Errorf("still banned: %v\n%s\n%s", err, out, banned())
	}
	var exit *exec.ExitError
	if _, err := hook("nojail", "banip"); !errors.As(err, &exit) {
		t.Errorf("a jail that is not there: %v", err)
	}
}
