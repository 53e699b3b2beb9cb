// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
	"time"

	"picket/internal/allowed"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/journal"
	"picket/internal/systemd"
	"picket/internal/task"
)

// reload reads the configuration again. Sources and blocks stay; an invalid file changes nothing.
func (d *daemon) reload(ctx context.Context) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	_ = systemd.Reloading() // a no-op away from systemd
	d.actions.Reopen()
	c, err := d.load()
	if err == nil {
		d.fix(c)
		err = d.apply(ctx, c)
	}
	if err != nil {
		d.journal.Notice(journal.ReloadRefused, "the configuration was not changed: %v", err)
	} else {
		d.journal.Notice(journal.Reload, "the configuration was read again: %s", d.options.Path)
	}
	_ = systemd.Ready("running")
	if errors.As(err, new(config.Faults)) {
		return control.Invalid{Err: err}
	}
	return err
}

// fix undoes in c what a run cannot change, and says so in the journal.
func (d *daemon) fix(c *config.Config) {
	was := d.current()
	if c.NFLOG != was.NFLOG || c.Memory != was.Memory || c.Detect.Sources != was.Detect.Sources ||
		c.Evidence != was.Evidence {
		d.journal.Notice("", "nflog.group, nflog.snaplen, memory, detect.sources and evidence.memory "+
			"change only with a restart: the old ones stay")
		c.NFLOG, c.Memory = was.NFLOG, was.Memory
		c.Detect.Sources, c.Evidence = was.Detect.Sources, was.Evidence
	}
	if c.Traps() && !was.Traps() && d.trap == nil {
		d.journal.Notice("", "the trap opens its listener at the start: restart picket, "+
			"and classic mode and trap.invite have it")
	}
	if keys := d.actions.Fixed(c); keys != "" {
		d.journal.Notice("", "%s change only with a restart: the old ones stay", keys)
	}
}

// current returns the configuration in force.
func (d *daemon) current() *config.Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.config
}

// apply puts a configuration, nil for the one in force, and the state of the host into force.
func (d *daemon) apply(ctx context.Context, c *config.Config) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.put(ctx, c)
}

// allow puts friends by command into force, and frees the blocked ones among them.
func (d *daemon) allow(ctx context.Context, list allowed.List) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.allowed
	d.allowed = list
	err := d.put(ctx, nil)
	if err != nil {
		d.allowed = was
	}
	return err
}

// put is apply for a caller that has the mutex.
func (d *daemon) put(ctx context.Context, c *config.Config) error {
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
		return errors.Join(err, d.push(ctx)) // an owner may have the new ones already
	}
	return nil
}

// push hands configuration and friends to the owners and the actions.
func (d *daemon) push(ctx context.Context) error {
	d.bindInline()
	rules, els, c := d.engineConfig(), d.elements(), d.config
	if err := d.docket.reconfigure(ctx, c, rules); err != nil {
		return err
	}
	if err := d.orders.reconfigure(ctx, c, els, &rules); err != nil {
		return err
	}
	d.actions.Configure(c)
	return d.pushInline(ctx)
}

// watchHost follows the host's addresses, gateways and resolvers.
func (d *daemon) watchHost(ctx context.Context) error {
	t := journal.NewTrouble(d.journal, "the host's addresses and routes")
	for {
		err := d.machine.Host.Watch(ctx, func() {
			if err := d.apply(ctx, nil); !errors.Is(err, task.ErrStopping) {
				t.Tell(err)
			}
		})
		if ctx.Err() != nil {
			return nil
		}
		t.Tell(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(rewatch):
		}
	}
}

// rewatch is the pause before the watch begins again, after a burst of changes that the kernel
// could not report in full.
const rewatch = time.Second
