// SPDX-License-Identifier: MIT

package config

import (
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"

	"picket/internal/notify"
)

// Notify is section [notify]: messages to people.
type Notify struct {
	Mail      string   `json:"mail"`
	Ntfy      string   `json:"ntfy"`
	NtfyToken string   `json:"ntfy_token"` // a file
	Webhook   string   `json:"webhook"`
	Events    []string `json:"events"` // kinds of events
	Every     Duration `json:"every"`  // between messages; 0 is no pause
}

func (n *Notify) read(s *section) {
	s.text("mail", &n.Mail, 254) // RFC 5321, 4.5.3.1.3
	if n.Mail != "" && !isMailbox(n.Mail) {
		s.fault("mail", fmt.Sprintf("is %q: want an address, root or admin@example.org", n.Mail))
	}
	s.address("ntfy", &n.Ntfy)
	s.path1("ntfy_token", &n.NtfyToken, "/etc/picket/ntfy.token")
	s.address("webhook", &n.Webhook)
	if s.strings("events", &n.Events) {
		for _, e := range n.Events {
			if !slices.Contains(notify.Kinds(), e) {
				s.fault("events", fmt.Sprintf("holds %q: want some of %s", e, quoted(notify.Kinds())))
			}
		}
	}
	s.duration("every", &n.Every, "0s", "7d")
	s.end()
}

// Config returns the configuration of package notify.
func (n *Notify) Config() notify.Config {
	return notify.Config{Mail: n.Mail, Ntfy: n.Ntfy, NtfyToken: n.NtfyToken, Webhook: n.Webhook}
}

// isMailbox reports whether s is one address, or the name of a local user.
// sendmail(8) gets it as an argument of its own, behind "--".
func isMailbox(s string) bool {
	a, err := mail.ParseAddress(s)
	if err != nil {
		a, err = mail.ParseAddress(s + "@localhost")
		return err == nil && a.Address == s+"@localhost"
	}
	return a.Address == s
}

// address reads the address of a web server.
func (s *section) address(key string, to *string) {
	s.text(key, to, 2048)
	if *to == "" {
		return
	}
	u, err := url.Parse(*to)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		s.fault(key, "is no address of the web: want https://...")
	}
}

// Metrics is section [metrics].
type Metrics struct {
	Listen netip.AddrPort `json:"listen"` // invalid for nowhere
}

func (m *Metrics) read(s *section) {
	text := ""
	s.text("listen", &text, 64)
	if text != "" {
		var err error
		if m.Listen, err = netip.ParseAddrPort(text); err != nil {
			s.fault("listen", fmt.Sprintf("is %q: want an address with a port, 127.0.0.1:9743 or [::1]:9743",
				text))
		}
	}
	s.end()
}
