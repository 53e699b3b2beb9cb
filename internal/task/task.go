// SPDX-License-Identifier: MIT

// Package task runs the goroutines of a program that live long: a list of
// tasks, started together and waited for together.
//
// It refuses nothing and knows no order: what must end first is a group of its own.
package task

import (
	"context"
	"sync"
)

// A Task is a goroutine that lives long.
type Task interface {
	// Run works until ctx ends, and returns nil then. An error is told to who
	// started the group.
	Run(ctx context.Context) error
	// Ready is closed once the task works.
	Ready() <-chan struct{}
	// String says what the task does, in a few words.
	String() string
}

// New returns a task that is ready when run has been called.
func New(name string, run func(ctx context.Context) error) Task {
	return Later(name, func(ctx context.Context, ready func()) error {
		ready()
		return run(ctx)
	})
}

// Later returns a task that is ready when run says so, which it may do once.
func Later(name string, run func(ctx context.Context, ready func()) error) Task {
	return &plain{name, run, make(chan struct{})}
}

type plain struct {
	name  string
	run   func(ctx context.Context, ready func()) error
	ready chan struct{}
}

// Run implements [Task].
func (p *plain) Run(ctx context.Context) error {
	return p.run(ctx, func() { close(p.ready) })
}

// Ready implements [Task].
func (p *plain) Ready() <-chan struct{} { return p.ready }

// String implements [Task].
func (p *plain) String() string { return p.name }

// A Group is tasks that run. The zero value is an empty one.
type Group struct {
	cancel  context.CancelFunc
	running sync.WaitGroup
	tasks   []Task
}

// Start runs the tasks, each in a goroutine of its own, until ctx ends or
// [Group.Stop] is called. An error of one goes to fail, which any of them may call.
func (g *Group) Start(ctx context.Context, fail func(error), tasks ...Task) {
	ctx, g.cancel = context.WithCancel(ctx)
	g.tasks = tasks
	for _, t := range tasks {
		g.running.Go(func() {
			if err := t.Run(ctx); err != nil {
				fail(err)
			}
		})
	}
}

// Wait waits until every task is ready, or ctx ends.
func (g *Group) Wait(ctx context.Context) {
	for _, t := range g.tasks {
		select {
		case <-t.Ready():
		case <-ctx.Done():
			return
		}
	}
}

// Stop ends the tasks and returns when all have ended.
func (g *Group) Stop() {
	if g.cancel != nil {
		g.cancel()
		g.running.Wait()
	}
}
