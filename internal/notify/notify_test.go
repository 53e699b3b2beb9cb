// SPDX-License-Identifier: MIT

package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"picket/internal/event"
)

var start = time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC)

func block(source string) event.Event {
	return event.Event{
		Event: "block", Time: start, Source: source, Action: "block", For: event.Seconds(10 * time.Minute),
		Pattern: "portscan", Tool: "nmap",
		Evidence: "26 different ports inside the window, 25 let pass", Country: "NL",
	}
}

// TestDigestIsBounded: however many events come, messages are no closer than asked
// for, and a digest's memory is bounded.
func TestDigestIsBounded(t *testing.T) {
	d := Digest{Every: time.Hour}
	if _, ok := d.Due(); ok {
		t.Fatal("an empty digest is due")
	}
	var sent []time.Time
	for now := start; now.Before(start.Add(5 * time.Hour)); now = now.Add(time.Second) {
		d.Add(block(fmt.Sprintf("192.0.2.%d", now.Unix()%250)), now)
		if at, ok := d.Due(); ok && !now.Before(at) {
			m := d.Take("host", now)
			if n := strings.Count(m.Text, "\n"); n > mostLines+1 {
				t.Errorf("%d lines", n)
			}
			sent = append(sent, now)
		}
	}
	if len(sent) != 5 || sent[0] != start.Add(Gather) {
		t.Errorf("messages at %v", sent)
	}
	for i := 1; i < len(sent); i++ {
		if sent[i].Sub(sent[i-1]) < time.Hour {
			t.Errorf("%v after the one before", sent[i].Sub(sent[i-1]))
		}
	}
}

func TestMessage(t *testing.T) {
	var d Digest
	for range 21 {
		d.Add(block("192.0.2.9"), start)
	}
	d.Add(event.Event{Event: "pattern", Time: start, Source: "192.0.2.9\x1b[31m", Pattern: "slowscan\u202e"},
		start)
	m := d.Take("host", start)
	if want := "picket on host: 21 blocks, 1 scan named"; m.Title != want {
		t.Errorf("%q, want %q", m.Title, want)
	}
	first, _, _ := strings.Cut(m.Text, "\n")
	if want := "192.0.2.9 blocked for 10m0s: portscan (nmap) 26 different ports inside the window, 25 let " +
		"pass NL"; !strings.HasSuffix(first, want) {
		t.Errorf("%q, want %q", first, want)
	}
	if !strings.HasSuffix(m.Text, "... and 2 more events; \"journalctl -t picket\" has them all\n") {
		t.Errorf("%q", m.Text)
	}
}

func TestHostileTextIsCleaned(t *testing.T) {
	var d Digest
	d.Add(event.Event{Event: "pattern", Time: start, Source: "192.0.2.9\x1b[31m\r\nBcc: x",
		Pattern: "slowscan\u202e```"}, start)
	m := d.Take("ho\nst", start)
	if strings.ContainsAny(m.Title+m.Text, "\x1b\r\u202e") || strings.Count(m.Text, "\n") != 1 ||
		strings.Contains(m.Title, "\n") {
		t.Errorf("%q %q", m.Title, m.Text)
	}
}

// sender makes a program in the place of sendmail(8).
func sender(t *testing.T, script string) (program, got string) {
	t.Helper()
	dir := t.TempDir()
	program, got = filepath.Join(dir, "sendmail"), filepath.Join(dir, "got")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"+strings.ReplaceAll(script, "GOT", got)),
		0o700); err != nil {
		t.Fatal(err)
	}
	return program, got
}

func TestMail(t *testing.T) {
	program, got := sender(t, `{ echo "$@"; cat; } >GOT`)
	c := Config{Mail: "root", Sendmail: program}
	m := Message{Title: "picket on h\u00f6st: 1 block", Text: "a line\n", At: start}
	if err := Send(context.Background(), c.Senders(), m); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(got)
	if err != nil {
		t.Fatal(err)
	}
	want := "-i -- root\nTo: root\nSubject: =?utf-8?q?picket_on_h=C3=B6st:_1_block?=\n" +
		"Date: Sun, 29 Nov 2026 03:00:00 +0000\nAuto-Submitted: auto-generated\n" +
		"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" +
		"a line\n"
	if string(text) != want {
		t.Errorf("%q, want %q", text, want)
	}
}

func TestMailFails(t *testing.T) {
	program, _ := sender(t, `echo "no such user" >&2; exit 67`)
	for c, want := range map[Config]string{
		{Mail: "root", Sendmail: program}: "mail to root: " + program +
			": exit status 67: no such user",
		{Mail: "root", Sendmail: "/nonexistent/program"}: "install a mailer",
	} {
		if err := Send(context.Background(), c.Senders(), Message{}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestWeb(t *testing.T) {
	type request struct {
		path, title, token string
		body               string
	}
	got := make(chan request, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- request{r.URL.Path, r.Header.Get("Title"), r.Header.Get("Authorization"), string(body)}
		if r.URL.Path == "/bad" {
			http.Error(w, "no \x1bsuch topic", http.StatusForbidden)
		}
	}))
	defer server.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("tk_4711\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := Message{Title: "picket on host: 1 block", Text: "a ``` line\n"}
	c := Config{Ntfy: server.URL + "/picket", NtfyToken: token, Webhook: server.URL + "/hook/secret"}
	if err := Send(context.Background(), c.Senders(), m); err != nil {
		t.Fatal(err)
	}
	if r := <-got; r != (request{"/picket", m.Title, "Bearer tk_4711", m.Text}) {
		t.Errorf("ntfy got %+v", r)
	}
	var hook struct{ Text string }
	if r := <-got; r.path != "/hook/secret" || json.Unmarshal([]byte(r.body), &hook) != nil ||
		hook.Text != "*picket on host: 1 block*\n```\na ''' line\n```" {
		t.Errorf("the webhook got %+v", r)
	}
	err := Send(context.Background(), Config{Webhook: server.URL + "/bad"}.Senders(), m)
	if want := "webhook " + server.URL + ": it answered 403 Forbidden: no ?such topic"; err == nil ||
		err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
	server.Close()
	if err := Send(context.Background(), Config{Webhook: server.URL + "/secret"}.Senders(), m); err == nil ||
		strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

// TestHead: a long text loses whole lines at its end, never part of one.
func TestHead(t *testing.T) {
	if got := head("one\ntwo\nthree\n", 9); got != "one\ntwo\n" {
		t.Errorf("%q", got)
	}
}
