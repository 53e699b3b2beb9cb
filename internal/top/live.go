// SPDX-License-Identifier: MIT

package top

import (
	"context"
	"errors"
	"os/signal"
	"syscall"
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

// refresh is the interval of looks at the daemon.
const refresh = 2 * time.Second

// framesASecond bounds the drawing on slow lines.
const framesASecond = 15

// Live shows the view on the terminal until q, Ctrl-C or a signal, and leaves the
// terminal as it was, after a panic too.
func (v *View) Live(a Actions) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGHUP)
	defer stop()
	// A stop would leave the terminal in its changed state.
	signal.Ignore(syscall.SIGTSTP)
	defer signal.Reset(syscall.SIGTSTP)
	_, err := tea.NewProgram(newScreen(v, a), tea.WithAltScreen(), tea.WithFPS(framesASecond),
		tea.WithContext(ctx)).Run()
	if ctx.Err() != nil || errors.Is(err, tea.ErrInterrupted) {
		return nil
	}
	return err
}

// Actions are what a person can do about a source. They are called from
// goroutines of their own.
type Actions struct {
	// Explain writes about a source, in so many columns.
	Explain func(source string, width int) (string, error)
	// Do blocks, unblocks or allows a source, by the name of the command, and
	// returns the result in words.
	Do func(command, source string) (string, error)
}

// asked is a new look.
type asked struct{ view *View }

// explained is the text about a source.
type explained struct {
	title, text string
}

// done is the result of an order.
type done struct{ said string }

type ticked time.Time

func tick() tea.Cmd { return tea.Tick(refresh, func(t time.Time) tea.Msg { return ticked(t) }) }

// ask looks again. The current view stays meanwhile.
func (s *screen) ask() tea.Cmd {
	if s.asking {
		return nil
	}
	s.asking = true
	next := *s.view
	if s.changed {
		next.pause, s.changed = 0, false
	}
	return func() tea.Msg {
		_ = next.Ask(time.Now()) // the screen shows it
		return asked{&next}
	}
}

// Init implements tea.Model.
func (s *screen) Init() tea.Cmd { return tick() }

// Update implements tea.Model.
func (s *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = msg.Width, msg.Height
	case ticked:
		return s, tea.Batch(tick(), s.ask())
	case asked:
		s.asking = false
		s.feed.add(s.view, msg.view)
		s.view = msg.view
		s.arrange()
		if s.changed {
			return s, s.ask()
		}
	case explained:
		s.over(msg.title, msg.text)
	case done:
		s.said, s.changed = msg.said, true
		return s, s.ask()
	case tea.KeyMsg:
		return s, s.key(msg)
	}
	return s, nil
}
