// SPDX-License-Identifier: MIT

// Command picket watches for probes of this host's ports and blocks their sources. See
// docs/architecture.md for the way of one probe.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"picket/internal/answers"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/show"
)

// version is set by make build.
var version = "devel"

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2 // wrong usage, or an invalid configuration
)

func main() {
	// Programs that picket runs are in sbin, which is not in PATH after "su".
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
	os.Exit(run(os.Args[1:]))
}

// run executes a command line and returns the exit code. Errors go to standard
// error, each line behind "picket: ".
func run(args []string) int {
	root := rootCommand()
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	if err == nil {
		return 0
	}
	complain("", answers.Misuse(err))
	switch {
	case errors.As(err, new(config.Faults)), errors.As(err, new(control.Invalid)),
		errors.As(err, new(usageError)):
		return exitUsage
	case !errors.As(err, new(failure)): // cobra's own
		complain("", fmt.Sprintf("\"%s --help\" says how it is used", cmd.CommandPath()))
		return exitUsage
	}
	return exitFailed
}

// A failure is the error of a command that was called correctly and could not do its work.
// Errors of cobra are no failures.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// action makes a command's function return failures.
func action(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := f(cmd, args); err != nil {
			return failure{err}
		}
		return nil
	}
}

// usage returns an error in how a command was called.
func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

type usageError struct{ error }

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "picket",
		Short: "Watch for probes of this host's ports, and block who sends them",
		Long: "picket watches for probes of this host's ports, and blocks who sends them.\n\n" +
			"nftables mirrors packets to monitored ports that nothing listens on; picket\n" +
			"judges them, and the kernel drops the source for a while.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Version:       version,
	}
	root.SetVersionTemplate(versionText())
	root.Flags().Bool("version", false, "print the version") // otherwise cobra takes -v for it
	root.PersistentFlags().String("config", config.DefaultPath,
		"configuration `file`; without the default one, the embedded default holds")
	root.CompletionOptions.HiddenDefaultCmd = false
	if width := show.Width(os.Stdout); width > 0 {
		root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages ",
			fmt.Sprintf(".FlagUsagesWrapped %d ", width)))
		cobra.AddTemplateFunc("reflow", func(text string) string { return show.Reflow(text, width) })
		root.SetHelpTemplate(strings.ReplaceAll(root.HelpTemplate(), "trimTrailingWhitespaces", "reflow"))
	}
	for _, command := range []func() *cobra.Command{
		allowCommand, allowedCommand, armCommand, blockCommand, blocksCommand, checkCommand, demoCommand,
		explainCommand, helperCommand, importCommand, metricsCommand, notifyCommand, pinCommand,
		reloadCommand, removeCommand, replayCommand, reportCommand, rulesetCommand, runCommand, statusCommand,
		topCommand, unallowCommand, unblockCommand, versionCommand,
	} {
		root.AddCommand(command())
	}
	return root
}

// path returns the path of the configuration.
func path(cmd *cobra.Command) string { return cmd.Flag("config").Value.String() }

// load reads the configuration that the command line names.
func load(cmd *cobra.Command) (*config.Config, error) {
	c, err := config.Load(path(cmd))
	if err == nil {
		for _, w := range c.Warnings {
			warn("%s", w)
		}
	}
	return c, err
}

// call sends the daemon a request, by [control.Call].
func call(r control.Request, answer any) error { return control.Call(control.Path(), r, answer) }

// jsonFlag adds --json to a command.
func jsonFlag(cmd *cobra.Command) *bool { return cmd.Flags().Bool("json", false, "print JSON") }
