// SPDX-License-Identifier: MIT

package notify

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Message is what people are told.
type Message struct {
	Title string // one line
	Text  string // lines, each ended
	At    time.Time
}

// A Sender hands a message over. Send may be called again after an error.
type Sender interface {
	// Name says what it is and where it leads, for messages to the operator.
	Name() string
	// Send returns when the message was accepted, or why not.
	Send(ctx context.Context, m Message) error
}

// Config says whom to tell. The zero Config tells nobody.
type Config struct {
	Mail      string // an address
	Sendmail  string // the program; "" is /usr/sbin/sendmail
	Ntfy      string // the address of a topic
	NtfyToken string // a file with the topic's access token, "" for none
	Webhook   string // the address of an incoming webhook of Slack or Mattermost
}

// Senders returns a sender for each that is configured.
func (c Config) Senders() (out []Sender) {
	if c.Mail != "" {
		out = append(out, mail{c.Mail, c.Sendmail})
	}
	if c.Ntfy != "" {
		out = append(out, ntfy{c.Ntfy, c.NtfyToken})
	}
	if c.Webhook != "" {
		out = append(out, webhook{c.Webhook})
	}
	return out
}

// sendTime bounds one handing over: a mail server that greets slowly needs
// seconds (RFC 5321, 4.5.3.2, allows minutes, which sendmail(8) waits for by itself).
const sendTime = 30 * time.Second

// Send hands a message to every sender and returns the errors, each behind its
// sender's name.
func Send(ctx context.Context, senders []Sender, m Message) error {
	var faults []error
	for _, s := range senders {
		one, cancel := context.WithTimeout(ctx, sendTime)
		if err := s.Send(one, m); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", s.Name(), err))
		}
		cancel()
	}
	return errors.Join(faults...)
}
