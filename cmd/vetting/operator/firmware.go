package operator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/url"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
	"vetting/core"
	"vetting/core/drift"
	"vetting/core/route"
)

// firmwareCommand tells of the firmware of many hosts, and of what it is held against.
func (e *Env) firmwareCommand() *cobra.Command {
	return e.groupOf("firmware", "The firmware of the hosts", []*cobra.Command{
		e.remote(&cobra.Command{
			Use: "list [HOST…]", Aliases: []string{"ls"}, Short: "List the firmware that the last runs of hosts found, of all hosts where none is named",
		}, (*session).firmware),
		e.remote(&cobra.Command{
			Use: "behind", Short: "List the firmware that the baseline or the catalogue speaks against, of all hosts",
			Long: "Each host is taken as its last run found and judged it.",
		}, (*session).behind),
		e.remote(&cobra.Command{
			Use: "drift", Short: "List the parts of one model that have more than one version, across all hosts",
		}, (*session).drift),
		e.remote(&cobra.Command{
			Use: "diff RUN [RUN]", Short: "Show how the firmware that two runs found differs, from the first to the second",
			Long:    "Of one run alone, how it differs from the run before it on the host. Settings of the BIOS and mitigations of the CPUs are compared too.",
			Example: "  vetting firmware diff 01KBAC30M8R2FJ3W9G5TQ4XNVD rack3-u17",
		}, (*session).firmwareDiff),
		e.remote(&cobra.Command{
			Use: "history HOST", Short: "Show how the firmware of a host changed from run to run, the newest first",
		}, (*session).firmwareHistory),
		e.baselineCommand(),
	})
}

// baselineCommand works on what firmware is held against, which is YAML whatever -o
// says.
func (e *Env) baselineCommand() *cobra.Command {
	set := sheet{columns: "digest set=set_at|time by=set_by"}

	baseline := e.groupOf("baseline", "The rules that firmware is held against", e.Baseline,
		verb{
			use: "set [FILE]", aliases: []string{"put"}, short: "Set the firmware baseline, from a file or standard input", route: "firmware.set-baseline", sheet: set,
			long:    "It counts for runs that are started from now on; a run keeps the rules that it began with.",
			example: "  vetting firmware baseline check baseline.yaml && vetting firmware baseline set baseline.yaml",
		},
		verb{
			use: "rm", short: "Take the firmware baseline away; the appliance's own catalogue goes on to count", route: "firmware.set-baseline",
			fixed: map[string]any{}, sheet: set,
		},
	)

	known := false
	show := e.remote(&cobra.Command{Use: "show", Aliases: []string{"get"}, Short: "Print the firmware baseline"}, func(s *session, _ []string) error {
		return s.showBaseline(known)
	})
	show.Flags().BoolVar(&known, "catalogue", false, "print the catalogue of bad firmware that comes with the appliance")
	baseline.AddCommand(show)

	return baseline
}

func (s *session) showBaseline(catalogue bool) error {
	var told route.FirmwareTexts
	if err := s.api.Call(s.cmd.Context(), client.Request{Route: "firmware.baseline"}, &told); err != nil {
		return err
	}

	text := told.Text

	switch {
	case catalogue:
		text = told.Catalogue
	case text == "":
		return fmt.Errorf("there is no firmware baseline; set one with: vetting firmware baseline set FILE")
	}

	_, err := io.WriteString(s.env.Out, text)

	return err
}

// installed is one piece of firmware and where it was found.
type installed struct {
	Host string     `json:"host"`
	Name string     `json:"host_name"`
	Run  core.RunID `json:"run"`

	core.FirmwareItem
}

func (s *session) firmware(args []string) error {
	ctx := s.cmd.Context()

	var hosts []core.Host

	for _, name := range args {
		host, err := s.host(ctx, "hosts.list", name)
		if err != nil {
			return err
		}

		hosts = append(hosts, host)
	}

	if len(args) == 0 {
		var err error
		if hosts, err = s.hosts(ctx, "hosts.list"); err != nil {
			return err
		}
	}

	all := []any{}

	for i := range hosts {
		id := cmp.Or(hosts[i].LastRun, hosts[i].CurrentRun)
		if id == "" {
			continue // it was never vetted
		}

		var found struct {
			Firmware []core.FirmwareItem `json:"firmware"`
		}

		if err := s.api.Call(ctx, client.Request{Route: "runs.firmware", Params: []string{string(id)}}, &found); err != nil {
			return err
		}

		for _, item := range found.Firmware {
			all = append(all, installed{Host: string(hosts[i].MAC), Name: hosts[i].Name, Run: id, FirmwareItem: item})
		}
	}

	return s.print(map[string]any{"firmware": all}, sheet{
		list: "firmware", columns: "host=host_name name version date kind=part.kind slot=part.slot model=part.model serial=part.serial", name: "version",
	})
}

// offBaseline is a check that a host did not pass.
type offBaseline struct {
	Host string     `json:"host"`
	Name string     `json:"host_name"`
	Run  core.RunID `json:"run"`

	core.FirmwareCheck
}

func (s *session) behind([]string) error {
	answer, err := s.gather(s.cmd.Context(), client.Request{Route: "firmware.list", Query: url.Values{"off": {"true"}}}, 0)
	if err != nil {
		return err
	}

	var fleet route.FirmwareFleet
	if err := json.Unmarshal(answer, &fleet); err != nil {
		return fmt.Errorf("reading the firmware of the hosts: %w", err)
	}

	all := []any{}

	for i := range fleet.Hosts {
		h := &fleet.Hosts[i]
		for _, check := range h.Checks {
			if check.Verdict == core.Fail || check.Verdict == core.Error {
				all = append(all, offBaseline{Host: string(h.Host), Name: h.HostName, Run: h.Run, FirmwareCheck: check})
			}
		}
	}

	return s.print(map[string]any{"checks": all}, sheet{
		list: "checks", name: "rule",
		columns: "host=host_name severity kind=part.kind slot=part.slot model=part.model serial=part.serial name version want rule from",
	})
}

// versionOf is one version of the parts of a model.
type versionOf struct {
	Kind  string `json:"kind"`
	Model string `json:"model"`
	Name  string `json:"name"`

	drift.Version
}

func (s *session) drift([]string) error {
	var told route.FirmwareVersions
	if err := s.api.Call(s.cmd.Context(), client.Request{Route: "firmware.versions"}, &told); err != nil {
		return err
	}

	all := []any{}

	for i := range told.Groups {
		g := &told.Groups[i]
		for _, v := range g.Versions {
			if g.Drifts() {
				all = append(all, versionOf{Kind: g.Kind, Model: g.Model, Name: g.Name, Version: v})
			}
		}
	}

	return s.print(map[string]any{"versions": all}, sheet{list: "versions", columns: "kind model name version parts hosts", name: "version"})
}

const changeColumns = "what kind=part.kind slot=part.slot model=part.model serial=part.serial name old new other_part"

func (s *session) firmwareDiff(args []string) error {
	ids := make([]string, len(args))

	for i, arg := range args {
		id, err := s.run(s.cmd.Context(), arg)
		if err != nil {
			return err
		}

		ids[i] = id
	}

	ask := client.Request{Route: "runs.firmware-diff", Params: ids[len(ids)-1:]}
	if len(ids) > 1 {
		ask.Query = url.Values{"from": {ids[0]}}
	}

	var diff route.FirmwareDiff
	if err := s.api.Call(s.cmd.Context(), ask, &diff); err != nil {
		return err
	}

	return s.print(diff, sheet{list: "changes", columns: changeColumns, name: "name"})
}

// changeIn is a change and the run that found it.
type changeIn struct {
	Run core.RunID `json:"run"`

	drift.Change
}

func (s *session) firmwareHistory(args []string) error {
	host, err := s.host(s.cmd.Context(), "hosts.list", args[0])
	if err != nil {
		return err
	}

	answer, err := s.gather(s.cmd.Context(), client.Request{Route: "hosts.firmware", Params: []string{string(host.MAC)}}, 0)
	if err != nil {
		return err
	}

	var history route.FirmwareHistory
	if err := json.Unmarshal(answer, &history); err != nil {
		return fmt.Errorf("reading the history: %w", err)
	}

	all := []any{}

	for i := range history.Runs {
		for _, change := range history.Runs[i].Changes {
			all = append(all, changeIn{Run: history.Runs[i].Run, Change: change})
		}
	}

	return s.print(map[string]any{"changes": all}, sheet{list: "changes", columns: "run " + changeColumns, name: "name"})
}
