// SPDX-License-Identifier: MIT

// Package lipgloss stands in for the module of that name, by a replace in go.mod. bubbletea
// calls one function of it, before main: it asks the terminal for its colours and waits up to
// five seconds for an answer, in every command of picket's (tea_init.go, "will be removed in
// v2"). A terminal that does not answer gets the question on its screen.
package lipgloss

// HasDarkBackground asks nobody.
func HasDarkBackground() bool { return true }
