// SPDX-License-Identifier: MIT

// Package internal holds nothing but the test that keeps imports running one
// way; see docs/architecture.md.
package internal
