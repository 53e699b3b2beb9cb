// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
	"time"

	"picket/internal/config"
	"picket/internal/journal"
	"picket/internal/systemd"
)

// reload reads the configuration again. What is known and blocked stays; an
// invalid file changes nothing.
func (d *daemon) reload(ctx context.Context) {
	_ = systemd.Reloading() // a no-op away from systemd
	d.actions.reload()
	c, err := d.load()
	was := d.current()
	if err == nil && (c.NFLOG != was.NFLOG || c.Detect.Sources != was.Detect.Sources || c.Evidence != was.Evidence) {
		d.journal.Notice("", "nflog.group, nflog.snaplen, detect.sources and evidence.memory change only with a restart: the old ones stay")
		c.NFLOG, c.Detect.Sources, c.Evidence = was.NFLOG, was.Detect.Sources, was.Evidence
	}
	if err == nil && keepBounds(c, was) {
		d.journal.Notice("", "run.timeout, run.parallel, run.queue and the bounds of [resolve] change only with a restart: the old ones stay")
	}
	if err == nil {
		err = d.apply(ctx, c)
	}
	if err != nil {
		d.journal.Notice(journal.ReloadRefused, "the configuration was not changed: %v", err)
	} else {
		d.journal.Notice(journal.Reload, "the configuration was read again: %s", d.path)
	}
	_ = systemd.Ready("running")
}

// current returns the configuration in force.
func (d *daemon) current() *config.Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.config
}

// apply puts a configuration, nil for the one in force, and what is found of the
// host now, into force.
func (d *daemon) apply(ctx context.Context, c *config.Config) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c == nil {
		c = d.config
	}
	friends, err := d.findFriends(c)
	if err != nil {
		return err
	}
	before, was := d.config, d.friends
	d.config, d.friends = c, friends
	if err := d.push(ctx); err != nil {
		d.config, d.friends = before, was
		return err
	}
	return nil
}

// push hands configuration and friends to the owners. A friend that is blocked
// is freed.
func (d *daemon) push(ctx context.Context) error {
	cfg, els, c := d.engineConfig(), d.elements(), d.config
	var refused error
	if err := d.judge.call(ctx, func() {
		if refused = d.judge.engine.Reconfigure(cfg); refused == nil {
			d.judge.config = c
		}
	}); err != nil {
		return err
	}
	if refused != nil {
		return refused
	}
	err := d.blocker.call(ctx, func() error {
		d.blocker.wanted = els
		if err := d.blocker.table.Fill(els); err != nil {
			return err
		}
		d.blocker.callOff(cfg.Spared)
		for p, e := range d.blocker.book {
			if cfg.Protected.Overlaps(p) || cfg.Spared(p) && !byHand(&e.event) {
				if _, err := d.blocker.unblock(p, "the address is protected now, or of a list that is not blocked"); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil {
		d.actions.configure(c)
	}
	return err
}

// watchHost follows the host's addresses, gateways and resolvers.
func (d *daemon) watchHost(ctx context.Context) {
	t := trouble{journal: d.journal, what: "the host's addresses and routes"}
	for {
		err := d.host.Watch(ctx, func() {
			if err := d.apply(ctx, nil); !errors.Is(err, errStopping) {
				t.tell(err)
			}
		})
		if ctx.Err() != nil {
			return
		}
		t.tell(err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(rewatch):
		}
	}
}

// rewatch is how long a burst of changes that the kernel could not tell in full
// may go on before they are listened to again.
const rewatch = time.Second
