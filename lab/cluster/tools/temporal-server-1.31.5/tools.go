//go:build tools

// Package tools names what go.mod pins.
package tools

import _ "go.temporal.io/server/cmd/server"
