package route

import (
	"vetting/core"
	"vetting/core/report"
)

// ReportKeyList is the keys that reports are signed with.
type ReportKeyList struct {
	Keys []core.ReportKey `json:"keys"` // the newest first
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
