// SPDX-License-Identifier: MIT

package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"picket/internal/event"
	"picket/internal/show"
)

// Journal reads the events of the journal from one time to another; the zero to is the
// end of the journal. A few later ones may be among them. Anybody may write an entry that
// looks like picket's, so it trusts only journald's fields, those with an underscore.
//
// It reads journald's files and, where it cannot, asks journalctl. An administrator's
// own journalctl, first on the PATH, is asked in any case.
func Journal(ctx context.Context, from, to time.Time, each func(event.Event)) error {
	if own, err := exec.LookPath("journalctl"); err == nil &&
		(own == "/usr/bin/journalctl" || own == "/bin/journalctl") {
		if err := journalFiles(ctx, "/", from, to, each); !errors.Is(err, errNoFiles) {
			return err
		}
	}
	period := []string{fmt.Sprintf("--since=@%d", from.Unix())}
	if !to.IsZero() {
		period = append(period, fmt.Sprintf("--until=@%d", to.Add(late).Unix()))
	}
	return journalctl(ctx, each, period...)
}

// late is the longest delay from an event to its entry.
const late = time.Minute

// Follow reads new events of the journal until ctx is done.
func Follow(ctx context.Context, each func(event.Event)) error {
	return journalctl(ctx, each, "--follow", "--lines=0")
}

func journalctl(ctx context.Context, each func(event.Event), period ...string) error {
	const fields = "PICKET_EVENT,PICKET_TIME,PICKET_SOURCE,PICKET_PROTOCOL,PICKET_PORT," +
		"PICKET_TECHNIQUE,PICKET_PATTERN,PICKET_TOOL,PICKET_PROVEN,PICKET_PROBES,PICKET_PORTS_SEEN," +
		"PICKET_PORTS,PICKET_ACTION,PICKET_WOULD,PICKET_REASON,PICKET_COUNTRY,PICKET_ASN,PICKET_NETWORK," +
		"PICKET_KNOWN,PICKET_EVIDENCE,PICKET_FOR_S,PICKET_DROPS,PICKET_RESPONSE"
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	args := append([]string{"--no-pager", "--quiet", "--output=json", "--output-fields=" + fields}, period...)
	cmd := exec.CommandContext(ctx, "journalctl", append(args,
		"SYSLOG_IDENTIFIER=picket", "_SYSTEMD_UNIT=picket.service", "+", "SYSLOG_IDENTIFIER=picket",
		"_UID=0")...)
	said := head{most: 1024}
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("ask the journal: %w: use --file with a history file", err)
	}
	bad := Read(out, true, each)
	if bad != nil && !errors.As(bad, new(*Fault)) {
		cancel() // it waits for its reader
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("ask the journal: %w: %s", err, show.Clean(strings.TrimSpace(said.String())))
	}
	if bad != nil {
		return fmt.Errorf("read %q: %w", "the journal", bad)
	}
	return nil
}

// A head keeps the first bytes written to it.
type head struct {
	bytes.Buffer
	most int
}

// Write implements io.Writer.
func (h *head) Write(b []byte) (int, error) {
	h.Buffer.Write(b[:min(len(b), max(0, h.most-h.Len()))])
	return len(b), nil
}
