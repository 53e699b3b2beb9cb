// SPDX-License-Identifier: MIT

// Package show makes text for people: it cleans what comes from outside, lays
// out tables, wraps lines, and spells numbers and times. It writes to what it is
// given and knows nothing of picket.
package show
