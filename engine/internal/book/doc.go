// SPDX-License-Identifier: MIT

// Package book remembers reactions: those in force ([Book]), how often a source had
// one ([Offenders]), its last fence ([Lately]), scanners by network ([Networks]), and
// how many more may follow ([Rates]).
//
// All of it is bounded, and no network takes more than its share. It is as pure as
// the engine and belongs to the same goroutine. Times are the engine's.
package book
