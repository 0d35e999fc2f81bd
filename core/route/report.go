package route

import (
	"time"

	"vetting/core"
	"vetting/core/report"
)

// ReportKeyList is the keys that reports are signed with.
type ReportKeyList struct {
	Keys []core.ReportKey `json:"keys"` // the newest first
}

// ReportLinkCreate says how long a link to a report is good.
type ReportLinkCreate struct {
	// Until is a time, a day ("2026-12-31", to its end in UTC), or how long from now ("30d", "12h"),
	// within 90 days; absent: a week.
	Until string `json:"until,omitempty"`
}

// ReportLink lets whoever has it read one report, without an account.
type ReportLink struct {
	Run   core.RunID `json:"run"`
	URL   string     `json:"url"`
	Until time.Time  `json:"until"`
}

func reportRoutes() []Route {
	const run = "/api/v1/runs/{id}"

	return []Route{
		{
			Name: "runs.report-json", Tag: "reports", Method: "GET", Path: run + "/report.json", Scope: Read,
			Summary: "Get the report as JSON, signed; preliminary while the run is not decided", OK: ok(report.Report{}, "the report"), Errors: []int{404},
		},
		{
			Name: "runs.report-html", Tag: "reports", Method: "GET", Path: run + "/report.html", Scope: Read,
			Summary: "Get the report as one HTML page that needs nothing else, signed",
			OK:      Answer{Status: 200, Type: HTML, Summary: "the report"}, Errors: []int{404},
		},
		{
			Name: "runs.report-csv", Tag: "reports", Method: "GET", Path: run + "/report.csv", Scope: Read,
			Summary: "Get the report as one table for spreadsheets", OK: Answer{Status: 200, Type: CSV, Summary: "the report"}, Errors: []int{404},
		},
		{
			Name: "runs.report-ocp", Tag: "reports", Method: "GET", Path: run + "/report.ocp.jsonl", Scope: Read,
			Summary: "Get the report as JSON lines of the OCP diagnostic output specification 2.0",
			OK:      Answer{Status: 200, Type: JSONL, Summary: "the report"}, Errors: []int{404},
		},
		{
			Name: "runs.report-junit", Tag: "reports", Method: "GET", Path: run + "/report.junit.xml", Scope: Read,
			Summary: "Get the report as JUnit XML", OK: Answer{Status: 200, Type: XML, Summary: "the report"}, Errors: []int{404},
		},
		{
			Name: "runs.report-link", Tag: "reports", Method: "POST", Path: run + "/report-link", Scope: Operate, Secret: true,
			Summary: "Make a link by which somebody without an account reads this one report until a day; another key for reports ends all links",
			ReqType: JSON, Req: ReportLinkCreate{}, OK: Answer{Status: 201, Type: JSON, Value: ReportLink{}, Summary: "the link"}, Errors: []int{400, 404, 409, 422, 507},
		},
		{
			Name: "runs.rma", Tag: "reports", Method: "GET", Path: run + "/rma.zip", Scope: Read,
			Summary: "Get what goes to a vendor with a part that is sent back: the report, the files that the run left, the log, parts and serials",
			OK:      Answer{Status: 200, Type: ZIP, Summary: "the archive"}, Errors: []int{404},
		},
		{
			Name: "runs.label", Tag: "reports", Method: "GET", Path: run + "/label.svg", Scope: Read,
			Summary: "Get an asset label with a QR code of the run's page and the serial as Code 128",
			Query:   []Param{{Name: "size", Kind: "string", Summary: "in millimetres: 62x29 (default), 57x32, 89x36 or 100x50"}},
			OK:      Answer{Status: 200, Type: SVG, Summary: "the label"}, Errors: []int{404, 422},
		},
		{
			Name: "report-keys.list", Tag: "reports", Method: "GET", Path: "/api/v1/report-keys", Scope: Read,
			Summary: "List the public keys that reports are signed with, those of earlier times too", OK: ok(ReportKeyList{}, "the keys, the newest first"),
		},
		{
			Name: "report-keys.rotate", Tag: "reports", Method: "POST", Path: "/api/v1/report-keys", Scope: Admin,
			Summary: "Draw another key to sign reports with from now on; what was signed before stays good",
			OK:      Answer{Status: 201, Type: JSON, Value: core.ReportKey{}, Summary: "the new key"}, Errors: []int{409, 507},
		},
	}
}

// batchRoutes are the reports of many hosts at once.
func batchRoutes() []Route {
	return []Route{
		{
			Name: "reports.batch-html", Tag: "reports", Method: "GET", Path: "/api/v1/batch.html", Scope: Read,
			Summary: "Get the last report of many hosts as one page, signed", Query: batchQuery(),
			OK: Answer{Status: 200, Type: HTML, Summary: "the page"}, Errors: []int{422},
		},
		{
			Name: "reports.batch-json", Tag: "reports", Method: "GET", Path: "/api/v1/batch.json", Scope: Read,
			Summary: "Get the last report of many hosts in one table, signed", Query: batchQuery(), OK: ok(report.Batch{}, "the table"), Errors: []int{422},
		},
		{
			Name: "reports.batch-csv", Tag: "reports", Method: "GET", Path: "/api/v1/batch.csv", Scope: Read,
			Summary: "Get the last report of many hosts in one table for spreadsheets, a row for each host", Query: batchQuery(),
			OK: Answer{Status: 200, Type: CSV, Summary: "the table"}, Errors: []int{422},
		},
		{
			Name: "reports.batch-zip", Tag: "reports", Method: "GET", Path: "/api/v1/batch.zip", Scope: Read,
			Summary: "Get the last report of many hosts in one archive: the tables, and each report as HTML and JSON, signed", Query: batchQuery(),
			OK: Answer{Status: 200, Type: ZIP, Summary: "the archive"}, Errors: []int{422},
		},
	}
}

func batchQuery() []Param {
	return []Param{
		{Name: "day", Kind: "string", Summary: "only runs that ended on this day in UTC, or began while they have not, such as 2026-01-31"},
		{Name: "tag", Kind: "string", Summary: "only hosts with this tag"},
		{Name: "rack", Kind: "string", Summary: "only hosts of this rack"},
		{Name: "profile", Kind: "string", Summary: "only runs of this profile"},
		{Name: "batch", Kind: "string", Summary: "only runs of the batch with this name"},
	}
}
