// SPDX-License-Identifier: MIT

package beside

import (
	"cmp"
	"context"
	"io"
	"net/netip"
	"time"

	"picket/internal/config"
	"picket/internal/event"
	"picket/internal/hostsdeny"
	"picket/internal/journal"
	"picket/internal/task"
)

// deny writes the lines of hosts.deny, [hosts_deny].
type deny struct {
	idle
	journal *journal.Writer
	syncer  *syncer
}

func newDeny(book Book, j *journal.Writer) *deny {
	// Each update rewrites the file.
	d := &deny{journal: j, syncer: newSyncer("hosts.deny", j, 100*time.Millisecond)}
	d.syncer.all = func(ctx context.Context) ([]netip.Prefix, error) {
		return book.Sources(ctx, func(*Block) bool { return true })
	}
	return d
}

func openDeny(c *config.Config) (*hostsdeny.File, error) {
	return hostsdeny.New(c.HostsDeny.File, cmp.Or(c.HostsDeny.Line, hostsdeny.FormatPlain))
}

func (d *deny) tasks() []task.Task { return []task.Task{task.New("hosts.deny", d.syncer.run)} }

func (d *deny) settle(_ context.Context, c *config.Config) { d.sync(c) }

func (d *deny) sync(c *config.Config) {
	f, err := openDeny(c)
	if err != nil {
		d.journal.Notice("", "hosts.deny: %v", err)
		return
	}
	d.syncer.set(denyFile{f}, c.HostsDeny.Line != "")
}

func (d *deny) configure(c, before *config.Config) {
	if !c.DryRun && (before.DryRun || c.HostsDeny != before.HostsDeny) {
		d.sync(c)
	}
}

func (d *deny) reopen(*config.Config) { d.syncer.renew() }

func (d *deny) blocked(_ *config.Config, b *Block) { d.syncer.add(b.Source) }

func (d *deny) ended(_ *config.Config, b *Block, _ event.Event) { d.syncer.remove(b.Source) }

// remove removes picket's section from the file.
func (d *deny) remove(_ io.Writer, c *config.Config, _ []netip.Prefix) error {
	f, err := openDeny(c)
	if err != nil {
		return err
	}
	return f.Clear()
}

// denyFile is a hosts.deny as a holder.
type denyFile struct{ *hostsdeny.File }

// Close implements holder.
func (denyFile) Close() {}
