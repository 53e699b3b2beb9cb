// SPDX-License-Identifier: MIT

package examples

import _ "embed"

// Reference is picket.toml: every key with its default, argued.
//
//go:embed picket.toml
var Reference []byte
