// SPDX-License-Identifier: MIT

// Package show makes text for people: it cleans text from outside, lays out
// tables, wraps lines, and writes numbers and times. It writes to its caller's
// writer and knows nothing of picket.
package show
