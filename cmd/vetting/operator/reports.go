package operator

import (
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
	"vetting/core/route"
)

func (e *Env) reportCommand() *cobra.Command {
	report := e.getReportCommand("report RUN")
	report.AddCommand(e.getReportCommand("get RUN"), e.batchCommand(), e.labelCommand(), e.verifyCommand(), e.command(verb{
		use: "link RUN", short: "Make a link by which somebody without an account reads this one report", route: "runs.report-link",
		long: "The link is shown once, and whoever has it can read the report. It ends at its time; vetting report rotate-key ends all\n" +
			"links that were made before. Who made one is in the audit trail.",
		example: "  vetting report link rack3-u17\n  vetting report link rack3-u17 --for 30d",
		flags:   []field{{"for", "until", text, "how long it is good, 90d at most: 7d (default), 12h; or a day (2026-12-31, to its end in UTC) or time"}},
		sheet:   sheet{columns: "url until=until|time run", name: "url"},
	}), e.command(verb{
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
			name, known := reportForms()[form]
			if !known {
				return usage("--format %s: choose %s", form, strings.Join(slices.Sorted(maps.Keys(reportForms())), ", "))
			}

			return s.save(client.Request{Route: name, Params: []string{id}}, to)
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

// labelCommand gets asset labels, of one run to where a file is wanted or of several into
// a folder.
func (e *Env) labelCommand() *cobra.Command {
	var to, size string

	cmd := &cobra.Command{
		Use: "label RUN…", Short: "Get the asset labels of runs: verdict, QR code of the run's page, serial as Code 128",
		Long:    "Several labels are files in the folder --to, each named after its run. The console prints sheets of them.",
		Example: "  vetting report label rack3-u17 --to label.svg\n  vetting report label rack3-u17 rack3-u18 --size 100x50 --to labels",
	}
	e.remote(cmd, func(s *session, args []string) error {
		if len(args) > 1 && to == "-" {
			return usage("several labels need a folder to go to: --to FOLDER")
		}

		var query url.Values
		if size != "" {
			query = url.Values{"size": {size}}
		}

		for _, arg := range args {
			id, err := s.run(s.cmd.Context(), arg)
			if err != nil {
				return err
			}

			file := to
			if len(args) > 1 {
				if err := os.MkdirAll(to, 0o750); err != nil {
					return usage("making the folder: %w", err)
				}

				file = filepath.Join(to, id+".svg") // no name of a host becomes one of a file
			}

			if err := s.save(client.Request{Route: "runs.label", Params: []string{id}, Query: query}, file); err != nil {
				return err
			}
		}

		return nil
	})
	cmd.Flags().StringVar(&to, "to", "-", "file to write, - for standard output; of several labels the folder")
	cmd.Flags().StringVar(&size, "size", "", "in millimetres: 62x29 (default), 57x32, 89x36 or 100x50")

	return cmd
}

// batchCommand gets the reports of many hosts in one.
func (e *Env) batchCommand() *cobra.Command {
	var (
		to, form string
		asked    asks
	)

	v := verb{route: "reports.batch-json", sheet: sheet{
		list: "rows", name: "run",
		columns: "host mac serial verdict=verdict.words not_tested profile ended=ended_at|time run summary",
	}}
	cmd := &cobra.Command{
		Use: "batch", Short: "Get the last report of many hosts in one table: of a day, a tag, a rack, a batch",
		Example: "  vetting report batch --day 2026-11-23 --rack B07\n  vetting report batch --tag delivery-7 --format html --to delivery-7.html",
	}

	found, _ := route.Find(v.route)
	asked = queryFlags(cmd, &v, &found)

	e.remote(cmd, func(s *session, _ []string) error {
		query, err := asked.values(s)
		if err != nil {
			return err
		}

		switch form {
		case "html":
			return s.save(client.Request{Route: "reports.batch-html", Query: query}, to)
		case "json":
			return s.save(client.Request{Route: v.route, Query: query}, to)
		case "csv":
			return s.save(client.Request{Route: "reports.batch-csv", Query: query}, to)
		case "zip":
			return s.save(client.Request{Route: "reports.batch-zip", Query: query}, to)
		case "":
		default:
			return usage("--format %s: choose html, json, csv or zip", form)
		}

		var answer []byte
		if err := s.api.Call(s.cmd.Context(), client.Request{Route: v.route, Query: query}, &answer); err != nil {
			return err
		}

		page := s.out.printer(s.env.Out, v.sheet)
		if err := page.show(answer); err != nil {
			return err
		}

		return page.close()
	})
	cmd.Flags().StringVar(&to, "to", "-", "file to write, - for standard output")
	cmd.Flags().StringVar(&form, "format", "", "the table as a file: html or json, signed; csv; zip, with each report")

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
