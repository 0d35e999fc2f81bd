package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"vetting/cmd/vetting/install"
	"vetting/ui/integration"
)

// printed is a file that goes with this program.
type printed struct {
	name, also, short string // also: what it was called before, or empty
	text              func(program string) (string, error)
}

func printables() []printed {
	return []printed{
		{"ansible-example", "", "a playbook of Ansible that vets hosts", func(string) (string, error) { return integration.Playbook, nil }},
		{"caddy", "", "what Caddy is told where it stands in front of the console", func(string) (string, error) { return integration.Caddy, nil }},
		{"compose", "", "how a container of this program is run, for docker compose and podman compose", func(string) (string, error) { return install.Compose(), nil }},
		{"config", "", "the commented configuration with its defaults, as vetting config init", func(string) (string, error) { return example() }},
		{"containerfile", "", "how a container image is built of this program", func(string) (string, error) { return install.Containerfile(), nil }},
		{"grafana-dashboard", "", "a dashboard for Grafana over the figures of /metrics", func(string) (string, error) { return integration.Dashboard, nil }},
		{"nginx", "", "what nginx is told there", func(string) (string, error) { return integration.Nginx, nil }},
		{"prometheus-rules", "", "alerting rules for Prometheus over them", func(string) (string, error) { return integration.Rules, nil }},
		{"sysusers", "", "what systemd-sysusers makes the account from", func(string) (string, error) { return install.Sysusers(), nil }},
		{"systemd-unit", "unit", "the unit of systemd, with its sandbox, as vetting install writes it", func(program string) (string, error) { return install.Unit(program), nil }},
	}
}

func (c *cli) printCommand() *cobra.Command {
	var (
		program string
		names   []string
	)

	long := &strings.Builder{}

	long.WriteString("THING is one of:")

	for _, p := range printables() {
		names = append(names, p.name)
		fmt.Fprintf(long, "\n  %s: %s", p.name, p.short)
	}

	cmd := &cobra.Command{
		Use: "print THING", Short: "Print a file that goes with this program, for those who install it their own way", Args: exactly("THING"),
		Long: long.String(), ValidArgs: names, Example: "  vetting print systemd-unit > vetting.service",
		RunE: func(_ *cobra.Command, args []string) error {
			for _, p := range printables() {
				if p.name != args[0] && (p.also == "" || p.also != args[0]) {
					continue
				}

				text, err := p.text(program)
				if err == nil {
					_, err = fmt.Fprint(c.out, text)
				}

				return err
			}

			return &usageError{fmt.Errorf("there is no %q; there are %s", args[0], strings.Join(names, ", "))}
		},
	}
	cmd.Flags().StringVar(&program, "program", install.PackageProgram, "where the unit finds this program")

	return cmd
}
