package operator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
)

// inventoryCommand is an inventory script of Ansible where it is called with --list
// or --host, and else tells what a host is made of.
func (e *Env) inventoryCommand() *cobra.Command {
	var (
		all bool
		one string
	)

	cmd := e.remote(&cobra.Command{
		Use: "inventory [HOST]", Short: "Show the parts a host was last found to have; with --list or --host be an inventory script for Ansible",
		Long: "With --list it prints the hosts in the groups verdict_…, model_…, class_…, rack_… and tag_…, with --host the variables\n" +
			"of one, as the inventory scripts of Ansible do. A host with a run that is not over is in the group busy too, one that\n" +
			"is held in held, and one in quarantine in quarantined instead of a verdict_…",
		Example: "  vetting inventory rack3-u17\n  printf '#!/bin/sh\\nexec vetting inventory \"$@\"\\n' > hosts.sh && chmod +x hosts.sh && ansible -i hosts.sh verdict_pass -m ping",
	}, func(s *session, args []string) error {
		switch {
		case all && one == "" && len(args) == 0:
			return s.ansible("")
		case one != "" && !all && len(args) == 0:
			return s.ansible(one)
		case len(args) == 1 && !all && one == "":
			return s.parts(args[0])
		default:
			return usage("name one host, or give --list or --host; see: %s --help", s.cmd.CommandPath())
		}
	})
	cmd.Flags().BoolVar(&all, "list", false, "all hosts in groups, for Ansible")
	cmd.Flags().StringVar(&one, "host", "", "the variables of one host, for Ansible")

	return cmd
}

// parts shows the parts of a host, as the report of its run lists them.
func (s *session) parts(name string) error {
	id, err := s.run(s.cmd.Context(), name)
	if err != nil {
		return err
	}

	var answer []byte
	if err := s.api.Call(s.cmd.Context(), client.Request{Route: "runs.report-json", Params: []string{id}}, &answer); err != nil {
		return err
	}

	var told struct {
		Components json.RawMessage `json:"components"`
	}

	if err := json.Unmarshal(answer, &told); err != nil {
		return fmt.Errorf("reading the report: %w", err)
	}

	page := s.out.printer(s.env.Out, sheet{list: "components", columns: "kind slot vendor model serial firmware detail address worst", name: "serial"})
	if err := page.show(slices.Concat([]byte(`{"components":`), told.Components, []byte("}"))); err != nil {
		return err
	}

	return page.close()
}

// ansible answers as an inventory script: the variables of one host, or all hosts
// in their groups, with the variables of each.
func (s *session) ansible(one string) error {
	var all []byte
	if err := s.api.Call(s.cmd.Context(), client.Request{Route: "inventory.ansible"}, &all); err != nil {
		return err
	}

	var told struct {
		Meta struct {
			Vars map[string]json.RawMessage `json:"hostvars"`
		} `json:"_meta"`
	}

	if err := json.Unmarshal(all, &told); err != nil {
		return fmt.Errorf("reading the inventory: %w", err)
	}

	if one != "" {
		if all = told.Meta.Vars[one]; all == nil {
			all = []byte("{}") // as the protocol wants it
		}
	}

	var text bytes.Buffer
	if err := json.Indent(&text, all, "", "  "); err != nil {
		return fmt.Errorf("writing the inventory: %w", err)
	}

	text.WriteByte('\n')

	_, err := text.WriteTo(s.env.Out)

	return err
}
