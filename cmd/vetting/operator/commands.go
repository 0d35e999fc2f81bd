package operator

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Commands returns all commands that work over the operator API.
func Commands(e Env) []*cobra.Command {
	return []*cobra.Command{
		e.hostCommand(), e.classCommand(), e.inboxCommand(), e.runCommand(), e.batchesCommand(), e.profileCommand(), e.reportCommand(), e.notifyCommand(),
		e.inventoryCommand(), e.firmwareCommand(), e.retentionCommand(), e.statusCommand(), e.healthCommand(), e.userCommand(), e.auditCommand(), e.taskCommand(), e.eventsCommand(),
		e.versionCommand(),
	}
}

// Tokens returns the commands on API tokens that need an appliance that runs.
func Tokens(e Env) []*cobra.Command {
	return e.commands(
		verb{use: "list", aliases: []string{"ls"}, short: "List API tokens, without their secrets", route: "tokens.list", sheet: sheet{
			list: "tokens", columns: "id name scope by=created_by created=created_at|time used=last_used|time expires=expires_at|time", name: "id",
		}},
		verb{use: "revoke TOKEN…", aliases: []string{"rm"}, short: "Revoke API tokens", route: "tokens.delete", done: "revoked"},
	)
}

// Settings returns the command that shows the configuration of an appliance that runs.
func Settings(e Env) *cobra.Command {
	return e.command(verb{use: "running", short: "Show the settings in force in the appliance that runs, without secrets", route: "config.get", sheet: sheet{
		list: "settings", columns: "key value origin pending", name: "key",
	}})
}

func (e *Env) commands(verbs ...verb) []*cobra.Command {
	list := make([]*cobra.Command, 0, len(verbs))
	for _, v := range verbs {
		list = append(list, e.command(v))
	}

	return list
}

func (e *Env) group(use, short string, verbs ...verb) *cobra.Command {
	return e.groupOf(use, short, nil, verbs...)
}

// groupOf is a command that only holds others.
func (e *Env) groupOf(use, short string, parts []*cobra.Command, verbs ...verb) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short}
	g.AddCommand(e.commands(verbs...)...)
	g.AddCommand(parts...)
	OnlyParts(g)

	return g
}

// OnlyParts has a command refuse what is none of its parts, with those that were
// perhaps meant, and print its help when it stands alone.
func OnlyParts(cmd *cobra.Command) {
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}

		like := ""
		if meant := cmd.SuggestionsFor(args[0]); len(meant) > 0 {
			like = ", did you mean " + strings.Join(meant, " or ") + "?"
		}

		return &Exit{Code: Usage, Err: fmt.Errorf("unknown command %q%s; see: %s --help", args[0], like, cmd.CommandPath())}
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}
