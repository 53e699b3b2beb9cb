// SPDX-License-Identifier: MIT

// Package config reads picket.toml and makes of it the configurations of
// engine, nft and nflog.
//
// A file changes what examples/picket.toml says, key by key; without a file
// that one holds alone. Every fault of a file is reported at once, with its
// line, its key and what would be right ([Faults]). It refuses unknown keys.
//
// It reads the file it is given and the lists that one names, and needs no privilege.
package config
