// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"picket/internal/control"
	"picket/internal/metrics"
)

func metricsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "metrics",
		Short: "Print the daemon's Prometheus metrics, or serve them",
		Long: "Print the daemon's Prometheus metrics, for a file that node_exporter's textfile\n" +
			"collector reads. With --serve they are served at /metrics of the address that\n" +
			"[metrics] listen names, until picket is asked to end; picket-metrics.service does so.",
		Args: takes(),
	}
	serve := cmd.Flags().Bool("serve", false, "serve them over HTTP")
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		c, err := load(cmd)
		if err != nil {
			return err
		}
		collector := metrics.Collector{Status: func() (*control.Status, error) {
			s := new(control.Status)
			return s, call(control.Request{Command: "status"}, s)
		}}
		switch {
		case !*serve:
			return collector.Write(cmd.OutOrStdout())
		case !c.Metrics.Listen.IsValid():
			fmt.Fprintln(cmd.OutOrStdout(), "nothing is served: [metrics] listen is empty")
			return nil
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return collector.Serve(ctx, c.Metrics.Listen.String())
	})
	return cmd
}
