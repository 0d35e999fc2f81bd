package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vetting/cmd/vetting/operator"
	"vetting/core/route"
)

// commandPage is docs/cli.md: every command with its flags, from the tree itself.
func commandPage(t *testing.T) string {
	t.Helper()

	for _, name := range []string{"VETTING_SERVER", "VETTING_CERT", "VETTING_CONFIG"} {
		t.Setenv(name, "") // they are the defaults of flags
	}

	page := &strings.Builder{}

	page.WriteString("# Command line\n\nMade from the commands of `cmd/vetting`; do not edit. `vetting COMMAND --help` says the same, and\n" +
		"`vetting completion bash|zsh|fish|powershell` has the shell complete commands, hosts, runs and profiles.\n\n" +
		"Commands that talk to an appliance find it by `--server` or `VETTING_SERVER` (on the appliance itself by the configuration), show the token in `VETTING_TOKEN`, and trust the certificate\n" +
		"in `--cert` or `VETTING_CERT`; on the appliance itself that is found, too. `vetting token create` makes a token.\n" +
		"A HOST is named by its MAC or another one it has, its name, or its asset tag; a RUN by its id, or by its host: then the one under way,\n" +
		"else the last. Lists are complete unless `--limit` says otherwise; CSV has the fields of the API as its head.\n" +
		"On a terminal verdicts, states and severities are coloured besides; `--no-color` or `NO_COLOR` in the environment keeps colours out.\n\n" +
		"## Exit codes\n\n| Code | Meaning |\n|---|---|\n")

	for code, meaning := range operator.Codes() {
		fmt.Fprintf(page, "| %d | %s |\n", code, meaning)
	}

	page.WriteString("\nOf several runs the gravest counts: 6, then 3, 7, 4.\n\n## Flags of all commands that talk to an appliance\n\n| Flag | Meaning |\n|---|---|\n")

	root := newRoot(io.Discard, io.Discard)

	common := commonFlags(root)
	common.VisitAll(func(f *pflag.Flag) { flagRow(page, f) })

	page.WriteString("\n## Commands\n")
	commandsBelow(page, root, common)

	return page.String()
}

// commandsBelow writes the commands below cmd, without the flags that common has too.
func commandsBelow(page *strings.Builder, cmd *cobra.Command, common *pflag.FlagSet) {
	for _, c := range shownCommands(cmd) {
		if !c.HasSubCommands() || c.Runnable() && strings.Contains(c.Use, " ") {
			command(page, c, common)
		}

		commandsBelow(page, c, common)
	}
}

func command(page *strings.Builder, c *cobra.Command, common *pflag.FlagSet) {
	fmt.Fprintf(page, "\n### %s\n\n`%s`\n\n%s.\n", c.CommandPath(), strings.TrimSuffix(c.UseLine(), " [flags]"), c.Short)

	if len(c.Aliases) > 0 {
		fmt.Fprintf(page, "Also called `%s`.\n", strings.Join(c.Aliases, "`, `"))
	}

	if c.Long != "" && c.Name() != "completion" && c.Parent().Name() != "completion" {
		page.WriteString(c.Long + "\n")
	}

	if c.Example != "" {
		page.WriteString("\n```sh\n" + strings.ReplaceAll("\n"+c.Example, "\n  ", "\n")[1:] + "\n```\n")
	}

	head := "\n| Flag | Meaning |\n|---|---|\n"

	ownFlags(c, common, func(f *pflag.Flag) {
		page.WriteString(head)

		head = ""

		flagRow(page, f)
	})
}

func flagRow(page *strings.Builder, f *pflag.Flag) {
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}

	meaning, otherwise := meaningOf(f)
	if otherwise != "" {
		meaning += " (default `" + otherwise + "`)"
	}

	if f.Name != "help" {
		fmt.Fprintf(page, "| `%s` | %s |\n", name, cell(meaning))
	}
}

// Every call of the API that people need has a command.
func TestEveryCallHasACommand(t *testing.T) {
	var source strings.Builder

	for _, pattern := range []string{"*.go", "operator/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}

		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}

			if !strings.HasSuffix(name, "_test.go") {
				source.Write(text)
			}
		}
	}

	for _, r := range route.Table() {
		switch r.Name {
		case "metrics", "sd.prometheus", "openapi.yaml", "openapi.json", "docs": // for Prometheus, programs and browsers
			continue
		case "events", "runs.hold-tunnel", "hosts.console", "tokens.create": // of package client; by the control socket
			continue
		case "backups.list", "backups.create", "backups.get", "backups.verify", "backup.stream": // for the console; vetting backup goes by the control socket
			continue
		case "firmware.check-baseline": // vetting firmware baseline check asks no appliance
			continue
		}

		if !strings.Contains(source.String(), strconv.Quote(r.Name)) {
			t.Errorf("%s has no command; give it a row in package operator", r.Name)
		}
	}
}

// Every command says what it does.
func TestEveryCommandIsDescribed(t *testing.T) {
	var walk func(cmd *cobra.Command)

	walk = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			if c.Short == "" {
				t.Errorf("%s says nothing of itself", c.CommandPath())
			}

			walk(c)
		}
	}
	walk(newRoot(io.Discard, io.Discard))
}
