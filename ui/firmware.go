package ui

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/drift"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/view"
)

func (u *UI) getFirmware(c *fiber.Ctx) error {
	list := route.FirmwareList{Firmware: []core.FirmwareItem{}}

	_, err := u.findRun(c, func(r core.Reader, run *core.Run) error {
		inventory, err := lookup.Inventory(r, run.ID)
		if err != nil {
			return err
		}

		list.Firmware = append(list.Firmware, inventory.Firmware...)

		s, _, err := lookup.FirmwareOf(r, run.ID)
		list.Settings, list.Checks, list.Rules = s.Settings, s.Checks, s.Rules

		return err
	})

	return shown(c, http.StatusOK, list, err)
}

func (u *UI) listFirmware(c *fiber.Ctx) error {
	page, err := paging(c)
	if err != nil {
		return err
	}

	off, err := yes(c, "off")
	if err != nil {
		return err
	}

	var fleet route.FirmwareFleet

	err = u.look(c, func(r core.Reader) (err error) {
		fleet.Hosts, fleet.NextPageToken, err = lookup.Fleet(r, off, page)

		return err
	})

	return shown(c, http.StatusOK, fleet, err)
}

func (u *UI) listVersions(c *fiber.Ctx) error {
	var versions route.FirmwareVersions

	err := u.look(c, func(r core.Reader) error {
		hosts, err := lookup.WholeFleet(r)
		versions.Groups = drift.Across(snapshots(hosts))

		return err
	})

	return shown(c, http.StatusOK, versions, err)
}

func snapshots(hosts []route.FirmwareHost) []core.FirmwareSnapshot {
	list := make([]core.FirmwareSnapshot, len(hosts))
	for i := range hosts {
		list[i] = hosts[i].FirmwareSnapshot
	}

	return list
}

func (u *UI) getBaseline(c *fiber.Ctx) error {
	answer := route.FirmwareTexts{Catalogue: u.cfg.Commands.FirmwareCatalogue()}

	err := u.look(c, func(r core.Reader) (err error) {
		answer.FirmwareBaseline, err = lookup.Baseline(r)

		return err
	})

	return tagged(c, &answer, func(a *route.FirmwareTexts) string { return baselineTag(&a.FirmwareBaseline) }, err)
}

func (u *UI) putBaseline(c *fiber.Ctx) error {
	set, err := u.cfg.Commands.SetFirmwareBaseline(c.UserContext(), caller(c).Name, string(c.Body()), asRead(c, baselineTag))

	return tagged(c, &set, baselineTag, err)
}

func (u *UI) checkBaseline(c *fiber.Ctx) error {
	err := u.cfg.Commands.CheckFirmwareBaseline(string(c.Body()))

	return shown(c, http.StatusOK, route.FirmwareVerdict{OK: true}, err)
}

func (u *UI) diffFirmware(c *fiber.Ctx) error {
	var diff route.FirmwareDiff

	_, err := u.findRun(c, func(r core.Reader, run *core.Run) (err error) {
		from := core.RunID("")
		if text := c.Query("from"); text != "" {
			if from, err = lookup.ParseRunID(text); err != nil {
				return err
			}
		}

		diff, err = lookup.FirmwareDiff(r, run, from)

		return err
	})

	return shown(c, http.StatusOK, diff, err)
}

func (u *UI) firmwareHistory(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	page, err := paging(c)
	if err != nil {
		return err
	}

	var history route.FirmwareHistory

	err = u.look(c, func(r core.Reader) error {
		host, err := lookup.Host(r, mac)
		if err != nil {
			return err
		}

		history, err = lookup.FirmwareHistory(r, host.MAC, page)

		return err
	})

	return shown(c, http.StatusOK, history, err)
}

func (u *UI) firmwarePage(c *fiber.Ctx) error { return u.showFirmware(c, nil, nil) }

// showFirmware shows the firmware of all hosts, with what went wrong with an order and
// the text that was typed.
func (u *UI) showFirmware(c *fiber.Ctx, typed *string, why error) (err error) {
	page := &view.Firmware{Catalogue: u.cfg.Commands.FirmwareCatalogue(), Typed: typed, Stale: stale(why)}

	if page.Frame, err = u.frame(c, "Firmware", ""); err != nil {
		return err
	}

	if err := explain(c, &page.Frame, why); err != nil {
		return err
	}

	err = u.look(c, func(r core.Reader) (err error) {
		if page.Hosts, err = lookup.WholeFleet(r); err != nil {
			return err
		}

		page.Groups = drift.Across(snapshots(page.Hosts))
		page.Baseline, err = lookup.Baseline(r)
		page.Seen = stillSeen(c, why, view.SeenBaseline(&page.Baseline))

		return err
	})
	if err != nil {
		return err
	}

	return draw(c, view.ShowFirmware(page))
}

// saveBaseline records the rules of the form; what was typed stays in it when it
// cannot be.
func (u *UI) saveBaseline(c *fiber.Ctx) error {
	typed := plainLines(c.FormValue("baseline"))

	if _, err := u.cfg.Commands.SetFirmwareBaseline(c.UserContext(), caller(c).Name, typed, baselineAsSeen(c)); err != nil {
		return u.showFirmware(c, &typed, err)
	}

	return c.Redirect("/firmware?done=baseline", http.StatusSeeOther)
}

// hostFirmwarePage shows the firmware of one host and how it changed.
func (u *UI) hostFirmwarePage(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	page := &view.HostFirmware{}

	err = u.look(c, func(r core.Reader) error {
		if page.Host, err = lookup.Host(r, mac); err != nil {
			return err
		}

		if page.Last, page.Known, err = lookup.LastFirmware(r, page.Host.MAC); err != nil {
			return err
		}

		page.History, err = lookup.FirmwareHistory(r, page.Host.MAC, lookup.Page{Limit: lookup.MaxLimit})

		return err
	})
	if err != nil {
		return err
	}

	if page.Frame, err = u.frame(c, "Firmware of "+page.Host.Name, ""); err != nil {
		return err
	}

	return draw(c, view.ShowHostFirmware(page))
}
