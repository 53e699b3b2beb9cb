// SPDX-License-Identifier: MIT

package engine

// Recent describes the sources that were seen last, the latest first, at most
// n of them.
func (e *Engine) Recent(n int) (out []Source) {
	for _, s := range e.sources.latest(n) {
		if src, ok := e.Describe(s.Addr()); ok {
			out = append(out, src)
		}
	}
	return out
}
