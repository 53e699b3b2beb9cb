// SPDX-License-Identifier: MIT

// Package task runs the long-lived goroutines of a program: a list of tasks, started
// together and waited for together.
//
// It knows no order: tasks that must end first are a group of their own.
package task

import (
	"context"
	"sync"
)

// A Task is a long-lived goroutine.
type Task interface {
	// Run works until ctx ends, and returns nil then. An error goes to the group's
	// fail.
	Run(ctx context.Context) error
	// Ready is closed once the task works.
	Ready() <-chan struct{}
	// String says what the task does, in a few words.
	String() string
}

// New returns a task that is ready once run is called.
func New(name string, run func(ctx context.Context) error) Task {
	return Later(name, func(ctx context.Context, ready func()) error {
		ready()
		return run(ctx)
	})
}

// Later returns a task that is ready when run calls ready. It may do so once.
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

// A Group is a set of running tasks. The zero value is empty.
type Group struct {
	cancel  context.CancelFunc
	running sync.WaitGroup
	tasks   []Task
}

// Start runs the tasks, each in a goroutine of its own, until ctx ends or
// [Group.Stop] is called. A task that fails calls fail, in its own goroutine.
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
