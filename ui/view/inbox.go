package view

import (
	"vetting/core"
	"vetting/ui/oui"
	"vetting/ui/text"
)

// Inbox is the list of machines that were heard and are not registered.
type Inbox struct {
	Frame   Frame
	Rows    []core.Sighting
	Ignored []core.Sighting // that people want to see no more of
	Next    string
	Keys    []core.HostKey // of installed hosts, that wait for approval
	Names   map[core.MAC]string
	Quick   []QuickLine
}

// maker says who made the network port of an address.
func maker(mac core.MAC) string {
	switch name := text.Line(oui.Maker(mac)); {
	case name != "":
		return name
	case oui.MadeUp(mac):
		return "made up, as of a virtual machine"
	default:
		return "not known"
	}
}

func pathInbox(mac core.MAC, order string) string { return "/inbox/" + string(mac) + "/" + order }
