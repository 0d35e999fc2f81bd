package operator

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
)

func (e *Env) reportCommand() *cobra.Command {
	report := e.getReportCommand("report RUN")
	report.AddCommand(e.getReportCommand("get RUN"), e.verifyCommand(), e.command(verb{
		use: "keys", short: "List the public keys that reports are signed with, those of earlier times too", route: "report-keys.list",
		long: "Keep what -o json says where people check reports: vetting report verify --key takes it.", sheet: reportKeySheet(),
	}), e.command(verb{
		use: "rotate-key", short: "Draw another key to sign reports with from now on; what was signed before stays good", route: "report-keys.rotate",
		sheet: sheet{columns: reportKeySheet().columns, name: "fingerprint"},
	}))

	return report
}

func reportKeySheet() sheet {
	return sheet{list: "keys", columns: "fingerprint since=since|time until=until|time by id", name: "fingerprint"}
}

func reportSheet() sheet {
	return sheet{
		columns: "verdict=verdict.words summary host=host.name mac=host.mac serial=host.serial run=run.id profile=run.profile state=run.state " +
			"started=run.started_at|time ended=run.ended_at|time took=run.duration_s|seconds",
		name: "run.id",
		more: []sheet{
			{list: "not_tested", columns: "what why"},
			{list: "stages", columns: "stage=name verdict attempt took=duration_s|seconds warnings criticals coverage reason"},
			{list: "findings", columns: "severity code stage title part=part.slot serial=part.serial evidence next"},
			{list: "components", columns: "kind slot model serial firmware detail worst"},
			{list: "firmware_checks", columns: "verdict severity firmware=name version want kind=part.kind slot=part.slot serial=part.serial rule from note"},
		},
	}
}

func (e *Env) getReportCommand(use string) *cobra.Command {
	var to, form string

	cmd := &cobra.Command{
		Use: use, Short: "Get the report of a run; preliminary while the run is not decided",
		Example: "  vetting report rack3-u17\n  vetting report rack3-u17 --format html --to rack3-u17.html\n  vetting report rack3-u17 --format junit --to vetting.xml",
	}
	e.remoteAlso(cmd, []string{"html"}, func(s *session, args []string) error {
		id, err := s.run(s.cmd.Context(), args[0])
		if err != nil {
			return err
		}

		if form == "" && slices.Contains([]string{"html", "json"}, s.out.format) {
			form = s.out.format
		}

		if form != "" {
			route, known := reportForms()[form]
			if !known {
				return usage("--format %s: choose %s", form, strings.Join(slices.Sorted(maps.Keys(reportForms())), ", "))
			}

			return s.save(client.Request{Route: route, Params: []string{id}}, to)
		}

		if to != "-" {
			return usage("--to goes with --format")
		}

		var answer []byte
		if err := s.api.Call(s.cmd.Context(), client.Request{Route: "runs.report-json", Params: []string{id}}, &answer); err != nil {
			return err
		}

		page := s.out.printer(s.env.Out, reportSheet())
		if err := page.show(answer); err != nil {
			return err
		}

		return page.close()
	})
	cmd.Flags().StringVar(&to, "to", "-", "file to write, - for standard output")
	cmd.Flags().StringVar(&form, "format", "", "the report as a file: html and json are signed; csv, junit, ocp (OCP diagnostic output 2.0, JSON lines); rma, an archive with the evidence; label, an SVG")

	return cmd
}

// reportForms are the routes of the forms of a report.
func reportForms() map[string]string {
	return map[string]string{
		"html": "runs.report-html", "json": "runs.report-json", "csv": "runs.report-csv", "ocp": "runs.report-ocp", "junit": "runs.report-junit",
		"rma": "runs.rma", "label": "runs.label",
	}
}

// fileCommand downloads what a run left.
func (e *Env) fileCommand() *cobra.Command {
	var to string

	cmd := e.remote(&cobra.Command{
		Use: "file RUN SHA256", Short: "Download a file a run left, see: vetting run files",
	}, func(s *session, args []string) error {
		id, err := s.run(s.cmd.Context(), args[0])
		if err != nil {
			return err
		}

		return s.save(client.Request{Route: "runs.artifact", Params: []string{id, args[1]}}, to)
	})
	cmd.Flags().StringVar(&to, "to", "-", "file to write, - for standard output")

	return cmd
}
