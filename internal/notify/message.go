// SPDX-License-Identifier: MIT

package notify

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Message is a text for people.
type Message struct {
	Title string // one line
	Text  string // lines, each ended
	At    time.Time
}

// A Sender sends a message. Send may be called again after an error.
type Sender interface {
	// Name says what it is and where it leads, for messages to the operator.
	Name() string
	// Send returns when the message is accepted, or an error.
	Send(ctx context.Context, m Message) error
}

// Config names the recipients. The zero Config has none.
type Config struct {
	Mail      string // an address
	Sendmail  string // the program; "" is /usr/sbin/sendmail
	Ntfy      string // the address of a topic
	NtfyToken string // a file with the topic's access token, "" for none
	Webhook   string // the address of an incoming webhook of Slack or Mattermost
}

// Senders returns a sender for each recipient.
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

// sendTime bounds one attempt: a mail server that greets slowly needs seconds (RFC
// 5321, 4.5.3.2, allows minutes; sendmail(8) waits for these by itself).
const sendTime = 30 * time.Second

// Send sends a message by every sender and returns the errors, each behind its
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
