package ui

import (
	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/text"
)

// jump is one thing that the command palette leads to.
type jump struct {
	Word string `json:"word"`
	Kind string `json:"kind"` // "page", "host", "run"
	Path string `json:"path"`
	Find string `json:"find,omitempty"` // further words by which it is found
}

// mostJumps bounds the palette: it is read whole by a browser.
const mostJumps = 2000

// palette lists what a person can go to.
func (u *UI) palette(c *fiber.Ctx) error {
	list := pagesFor(caller(c).Scope)

	err := u.look(c, func(r core.Reader) error {
		hosts, err := u.rows(r)
		if err != nil {
			return err
		}

		for i := range hosts {
			h := &hosts[i]
			list = append(list, jump{
				Word: text.Line(h.Host.Name), Kind: "host", Path: "/hosts/" + string(h.Host.MAC),
				Find: string(h.Host.MAC) + " " + text.Line(h.Model) + " " + text.Line(h.Host.Identity.BoardSerial) + " " + text.Line(h.Host.AssetTag) + " " + h.Mark().Word,
			})

			if h.Run != nil && h.Host.CurrentRun == h.Run.ID {
				list = append(list, jump{Word: text.Line(h.Host.Name) + ": " + h.Mark().Word, Kind: "run", Path: "/runs/" + string(h.Run.ID), Find: string(h.Run.ID)})
			}

			if len(list) >= mostJumps {
				break
			}
		}

		return nil
	})
	if err != nil {
		return err
	}

	return c.JSON(list)
}

// pagesFor are the pages that somebody may open.
func pagesFor(scope route.Scope) []jump {
	list := []jump{
		{Word: "Rack", Kind: "page", Path: "/"},
		{Word: "First steps", Kind: "page", Path: "/welcome", Find: "wizard help start"},
		{Word: "Hosts", Kind: "page", Path: "/hosts"},
		{Word: "Runs", Kind: "page", Path: "/runs"},
		{Word: "Batches", Kind: "page", Path: "/batches"},
		{Word: "Runs that hold", Kind: "page", Path: "/runs?state=FailedHolding"},
		{Word: "Inbox", Kind: "page", Path: "/inbox"},
		{Word: "Netboot", Kind: "page", Path: "/netboot", Find: "dhcp leases boot"},
		{Word: "Profiles", Kind: "page", Path: "/profiles", Find: "dry run"},
		{Word: "Firmware", Kind: "page", Path: "/firmware"},
		{Word: "Hosts of one model", Kind: "page", Path: "/models"},
		{Word: "Model classes", Kind: "page", Path: "/classes"},
		{Word: "Activity", Kind: "page", Path: "/activity", Find: "audit trail tasks who did what stop"},
		{Word: "Notifications", Kind: "page", Path: "/notifications"},
		{Word: "Retention", Kind: "page", Path: "/retention"},
		{Word: "Parts by serial number", Kind: "page", Path: "/parts", Find: "component history memory disk"},
		{Word: "Settings", Kind: "page", Path: "/settings", Find: "password tokens dark light"},
		{Word: "API", Kind: "page", Path: "/api/docs"},
		{Word: "Documentation", Kind: "page", Path: "/docs", Find: "help manual handbook"},
	}

	if scope.Allows(route.Operate) {
		list = append(list, jump{Word: "Add a host", Kind: "page", Path: "/hosts/new"}, jump{Word: "Import hosts", Kind: "page", Path: "/hosts/import"})
	}

	if scope.Allows(route.Admin) {
		list = append(list, jump{Word: "People", Kind: "page", Path: "/people"},
			jump{Word: "Configuration", Kind: "page", Path: "/config"})
	}

	return list
}
