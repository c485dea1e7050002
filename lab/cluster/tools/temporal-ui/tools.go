//go:build tools

// Package tools names what go.mod pins.
package tools

import (
	_ "github.com/temporalio/ui-server/v2/cmd/server"
)
