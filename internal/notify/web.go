// SPDX-License-Identifier: MIT

package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"

	"picket/internal/show"
)

// ntfy publishes to a topic (https://docs.ntfy.sh/publish/).
type ntfy struct{ topic, token string }

// Name implements [Sender].
func (n ntfy) Name() string { return "ntfy " + withoutSecret(n.topic) }

// Send implements [Sender].
func (n ntfy) Send(ctx context.Context, m Message) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, n.topic,
		strings.NewReader(head(m.Text, ntfyLimit)))
	if err != nil {
		return err
	}
	r.Header.Set("Title", mime.QEncoding.Encode("utf-8", m.Title))
	r.Header.Set("Tags", "shield")
	if n.token != "" {
		token, err := os.ReadFile(n.token)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	return post(r)
}

// ntfyLimit is the most bytes of a message; a longer one becomes an attachment
// (message-size-limit in ntfy's server.yml).
const ntfyLimit = 4096

// head returns the leading lines of a text that fit into so many bytes.
func head(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return text[:strings.LastIndexByte(text[:limit], '\n')+1]
}

// webhook posts the format of Slack's and Mattermost's incoming webhooks
// (https://api.slack.com/messaging/webhooks).
type webhook struct{ address string }

// Name implements [Sender].
func (w webhook) Name() string { return "webhook " + withoutSecret(w.address) }

// Send implements [Sender].
func (w webhook) Send(ctx context.Context, m Message) error {
	// In a block of code no text of a peer's is markup.
	text := "*" + m.Title + "*\n```\n" + strings.ReplaceAll(m.Text, "```", "'''") + "```"
	body, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	return post(r)
}

// post sends a request; any answer but 2xx is an error.
func post(r *http.Request) error {
	answer, err := http.DefaultClient.Do(r)
	if fault := new(url.Error); errors.As(err, &fault) {
		return fault.Err // without the address: it may be a secret
	}
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(answer.Body, 1024))
	if answer.StatusCode/100 != 2 {
		text := "it answered " + answer.Status + ": " + show.Cut(strings.TrimSpace(string(said)), 200)
		return errors.New(strings.TrimSuffix(text, ": "))
	}
	return nil
}

// withoutSecret returns scheme and host of an address: the path of a webhook is
// the right to post there.
func withoutSecret(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "?"
	}
	return u.Scheme + "://" + u.Host
}
