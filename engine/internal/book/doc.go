// SPDX-License-Identifier: MIT

// Package book remembers of the sources that the engine reacted to: the reactions
// in force ([Book]), how often and how lately there was one ([Offenders],
// [Lately]), in which networks ([Networks]), and how many more may be now ([Rates]).
//
// All of it is bounded, and what one network can take of it has a share. It is as
// pure as the engine, whose time all times are, and belongs to the same goroutine.
package book
