// SPDX-License-Identifier: MIT

package top

import (
	"fmt"
	"strings"
	"unicode"

	tea "github.com/charmbracelet/bubbletea"

	"picket/internal/show"
)

const help = `keys

  tab, 1 2 3      sources, blocks, events
  arrows, j k     choose a source; page up and down, g and G for the ends
  s, r            order by the next column; reversed
  /               only what has this text; enter keeps it, escape drops it
  enter           explain the source: why it is blocked or not
  b               block it for an hour
  u               end its blocks
  a               allow it for two hours
  ?               this page
  q, Ctrl-C       quit

The rates are those of the last two seconds. Events are what has changed from
one look to the next.`

// key handles a key.
func (s *screen) key(k tea.KeyMsg) tea.Cmd {
	name := k.String()
	switch {
	case name == "ctrl+c":
		return tea.Quit
	case s.typing:
		s.typed(k)
		return nil
	case s.question != nil:
		order := s.question
		s.question = nil
		if name == "y" || name == "Y" {
			s.said = order.command + " " + order.source + " ..."
			return s.do(*order)
		}
		s.said = "nothing changed"
		return nil
	case s.text != nil:
		return s.readKey(name)
	}
	s.said = ""
	switch name {
	case "q", "Q":
		return tea.Quit
	case "tab", "right", "l":
		s.turn((s.pane + 1) % panes)
	case "shift+tab", "left", "h":
		s.turn((s.pane + panes - 1) % panes)
	case "1", "2", "3":
		s.turn(int(name[0] - '1'))
	case "s":
		s.order[s.pane]++
		s.arrange()
	case "r":
		s.reverse[s.pane] = !s.reverse[s.pane]
		s.arrange()
	case "/":
		s.typing = true
	case "esc":
		s.filter = ""
		s.arrange()
	case "?":
		s.over("", help)
	case "enter":
		return s.explain()
	case "b", "u", "a":
		s.want(name)
	default:
		s.choose(move(name, s.chosen(), s.rows(), s.page()))
	}
	return nil
}

// move returns the line after a key, in a list of n lines.
func move(key string, at, n, page int) int {
	switch key {
	case "up", "k":
		at--
	case "down", "j":
		at++
	case "pgup", "ctrl+b":
		at -= page
	case "pgdown", "ctrl+f", " ":
		at += page
	case "home", "g":
		at = 0
	case "end", "G":
		at = n - 1
	}
	return max(0, min(at, n-1))
}

// typed adds to the filter.
func (s *screen) typed(k tea.KeyMsg) {
	const most = 60
	switch k.Type {
	case tea.KeyEnter:
		s.typing = false
	case tea.KeyEsc:
		s.typing, s.filter = false, ""
	case tea.KeyBackspace:
		if r := []rune(s.filter); len(r) > 0 {
			s.filter = string(r[:len(r)-1])
		}
	case tea.KeyRunes, tea.KeySpace:
		for _, r := range k.Runes {
			if unicode.IsPrint(r) && len(s.filter) < most {
				s.filter += string(r)
			}
		}
	}
	s.arrange()
}

// readKey handles a key while a text is shown.
func (s *screen) readKey(name string) tea.Cmd {
	switch name {
	case "q", "esc", "enter", "?":
		s.text = nil
	case "b", "u", "a":
		if s.title != "" {
			s.want(name)
		}
	default:
		s.textAt = min(move(name, s.textAt, len(s.text), s.page()), max(0, len(s.text)-s.page()))
	}
	return nil
}

// over shows a text over the tables; title is its source.
func (s *screen) over(title, text string) {
	s.title, s.textAt, s.text = title, 0, strings.Split(strings.TrimRight(text, "\n"), "\n")
}

// explain asks for the words about the chosen source.
func (s *screen) explain() tea.Cmd {
	name := s.source()
	if name == "" {
		return nil
	}
	width := s.width
	return func() tea.Msg {
		text, err := s.actions.Explain(name, width)
		if err != nil {
			text = err.Error()
		}
		return explained{name, show.CleanLines(text)}
	}
}

// An order is a command about a source; a person has to confirm it.
type order struct{ command, source, words string }

// want asks for the confirmation of an order.
func (s *screen) want(key string) {
	name := s.source()
	if s.text != nil {
		name = s.title
	}
	if name == "" {
		return
	}
	switch key {
	case "b":
		s.question = &order{"block", name, fmt.Sprintf("block %s for an hour? y, or any other key", name)}
	case "u":
		s.question = &order{"unblock", name, fmt.Sprintf("end the blocks of %s? y, or any other key", name)}
	case "a":
		s.question = &order{"allow", name, fmt.Sprintf("allow %s for two hours? y, or any other key", name)}
	}
}

func (s *screen) do(o order) tea.Cmd {
	return func() tea.Msg {
		said, err := s.actions.Do(o.command, o.source)
		if err != nil {
			said = err.Error()
		}
		return done{show.Clean(strings.ReplaceAll(strings.TrimSpace(said), "\n", "; "))}
	}
}
