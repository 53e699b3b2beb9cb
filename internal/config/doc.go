// SPDX-License-Identifier: MIT

// Package config reads picket.toml and makes the configurations of engine, nft
// and nflog from it.
//
// The defaults are examples/picket.toml, and a file changes them key by key.
// Every fault is reported at once, with its line, its key and the remedy
// ([Faults]). An unknown key is a fault.
//
// It reads the file and the lists of that file, and needs no privilege.
package config
