package operator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
	"vetting/core"
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
		Long: "With --list it prints the hosts in the groups verdict_…, class_…, rack_… and tag_…, with --host the variables of one,\n" +
			"as the inventory scripts of Ansible do.",
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

// groupOfHosts is a group of an inventory of Ansible.
type groupOfHosts struct {
	Hosts []string `json:"hosts"`
}

// ansible answers as an inventory script: the variables of one host, or all hosts
// in their groups, with the variables of each.
func (s *session) ansible(one string) error {
	hosts, err := s.hosts(s.cmd.Context(), "hosts.list")
	if err != nil {
		return err
	}

	vars, answer := map[string]any{}, map[string]any{}

	for i := range hosts {
		h := &hosts[i]
		name := cmp.Or(h.Name, string(h.MAC))
		vars[name] = variables(h)

		for _, group := range groupsOf(h) {
			g, _ := answer[group].(groupOfHosts)
			g.Hosts = append(g.Hosts, name)
			answer[group] = g
		}
	}

	answer["_meta"] = map[string]any{"hostvars": vars}

	if one != "" {
		own, ok := vars[one].(map[string]any)
		if !ok {
			own = map[string]any{} // as the protocol wants it
		}

		answer = own
	}

	text, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the inventory: %w", err)
	}

	_, err = io.WriteString(s.env.Out, string(text)+"\n")

	return err
}

func variables(h *core.Host) map[string]any {
	return map[string]any{
		"vetting_mac": h.MAC, "vetting_asset_tag": h.AssetTag, "vetting_rack": h.Rack, "vetting_class": h.Class,
		"vetting_tags": append([]string{}, h.Tags...), "vetting_verdict": h.LastVerdict, "vetting_run": h.LastRun,
		"vetting_quarantine": h.Quarantine,
	}
}

func groupsOf(h *core.Host) []string {
	groups := []string{"all_vetting", groupName("verdict", cmp.Or(string(h.LastVerdict), "none"))}

	for kind, value := range map[string]string{"class": h.Class, "rack": h.Rack} {
		if value != "" {
			groups = append(groups, groupName(kind, value))
		}
	}

	for _, tag := range h.Tags {
		groups = append(groups, groupName("tag", tag))
	}

	return groups
}

// groupName writes a name as Ansible takes it.
func groupName(kind, value string) string {
	return kind + "_" + strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return unicode.ToLower(r)
		}

		return '_'
	}, value)
}
