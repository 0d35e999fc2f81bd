package canned

// ManualText is a page of documentation.
const ManualText = "# Operations\n\nA backup is one file; <b>bold</b> words, and `vetting backup create FILE` makes it.\n"

// ManualHTML is it for a console.
func ManualHTML(base string) (string, error) {
	return "<h1>Operations</h1><p>A backup is one file; see <a href=\"" + base + "/api\">the API</a>.</p>", nil
}
