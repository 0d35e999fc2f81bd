package view

import (
	"net/url"

	"github.com/a-h/templ"

	"vetting/core"
	"vetting/ui/text"
)

func pathUser(name, order string) templ.SafeURL {
	return templ.URL("/people/" + url.PathEscape(name) + "/" + order)
}

// objectHref leads to what an entry is about; empty when it has no page.
func objectHref(e *core.Audit) string {
	switch {
	case e.Run != "":
		return "/runs/" + string(e.Run)
	case e.Host != "" && e.After != "":
		return "/hosts/" + string(e.Host)
	default:
		return ""
	}
}

func pathClass(name, order string) templ.SafeURL {
	return templ.URL("/classes/" + url.PathEscape(text.Line(name)) + "/" + order)
}

func pathRunOrder(id core.RunID, order string) templ.SafeURL {
	return templ.URL("/runs/" + string(id) + "/" + order)
}
