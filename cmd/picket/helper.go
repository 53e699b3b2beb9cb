// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"picket/internal/config"
	"picket/internal/hook"
)

// helperCommand runs the operator's commands for a "picket run" that keeps itself from
// starting programs, and that calls it.
func helperCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "helper", Args: takes(), Hidden: true,
		Short: "Run commands for the daemon, which alone calls this"}
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		// It ends when picket does. Signals that it ignored, its commands would.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
		runtime.GOMAXPROCS(1)
		c, err := config.Load(path(cmd))
		if err != nil {
			return err
		}
		return hook.Serve(c.Run.Hooks(), func() [][]string {
			if now, err := config.Load(path(cmd)); err == nil {
				c = now
			}
			return [][]string{c.Run.Command, c.Run.End}
		})
	})
	return cmd
}
