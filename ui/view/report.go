package view

import "github.com/a-h/templ"

// download is a form of the report that can be taken away.
type download struct {
	word, name string
	path       templ.SafeURL
}

// downloads lists the forms of a report, the signed ones first.
func downloads(r *Report) (list []download) {
	for _, f := range [][2]string{
		{"Download HTML", "report.html"},
		{"JSON", "report.json"},
		{"CSV", "report.csv"},
		{"OCP", "report.ocp.jsonl"},
		{"JUnit", "report.junit.xml"},
		{"RMA bundle", "rma.zip"},
	} {
		list = append(list, download{word: f[0], name: "vetting-" + string(r.Run) + "-" + f[1], path: templ.URL("/api/v1/runs/" + string(r.Run) + "/" + f[1])})
	}

	return list
}
