// SPDX-License-Identifier: MIT

package notify

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"mime"
	"os/exec"
	"strings"
	"time"

	"picket/internal/show"
)

// mail sends by sendmail(8), of postfix, exim, msmtp and others.
type mail struct{ to, program string }

const sendmail = "/usr/sbin/sendmail"

// Name implements [Sender].
func (m mail) Name() string { return "mail to " + m.to }

// Send implements [Sender].
func (m mail) Send(ctx context.Context, msg Message) error {
	program := cmp.Or(m.program, sendmail)
	cmd := exec.CommandContext(ctx, program, "-i", "--", m.to)
	cmd.WaitDelay = time.Second
	cmd.Stdin = strings.NewReader(m.text(msg))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	switch err := cmd.Run(); {
	case cmd.Process == nil:
		return fmt.Errorf("%w: install a mailer that brings %s (postfix, msmtp-mta)", err, sendmail)
	case err != nil:
		return fmt.Errorf("%s: %w: %s", program, err, show.Cut(strings.TrimSpace(said.String()), 200))
	}
	return nil
}

// text is the message in the form of RFC 5322; by RFC 3834 nobody answers it.
func (m mail) text(msg Message) string {
	head := []string{
		"To: " + m.to,
		"Subject: " + mime.QEncoding.Encode("utf-8", msg.Title),
		"Date: " + msg.At.Format(time.RFC1123Z),
		"Auto-Submitted: auto-generated",
		"MIME-Version: 1.0",
		"Content-Type: text/plain; charset=utf-8",
		"Content-Transfer-Encoding: 8bit",
	}
	return strings.Join(head, "\n") + "\n\n" + msg.Text
}
