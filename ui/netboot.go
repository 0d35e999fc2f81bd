package ui

import (
	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/bootdoctor"
	"vetting/ui/lookup"
	"vetting/ui/view"
)

// Netboot is what the boot services are about.
type Netboot = view.NetbootFacts

// BootFile is one file that they serve.
type BootFile = view.BootFile

// Bounds of the page of the boot services.
const (
	bootsShown = 24
	stepsShown = 200
)

// netbootPage shows what the boot services do, and how far each machine got.
func (u *UI) netbootPage(c *fiber.Ctx) error {
	frame, err := u.frame(c, "Netboot", "rack")
	if err != nil {
		return err
	}

	page := view.Netboot{Frame: frame, Checks: u.asked(c)}

	if u.cfg.Netboot != nil {
		facts := u.cfg.Netboot()
		page.Facts = &facts
	}

	if err := u.look(c, func(r core.Reader) error { return u.readNetboot(r, &page) }); err != nil {
		return err
	}

	return draw(c, view.ShowNetboot(&page))
}

func (u *UI) readNetboot(r core.Reader, page *view.Netboot) error {
	names, err := hostNames(r)
	if err != nil {
		return err
	}

	page.Names = names

	if page.Leases, err = lookup.Leases(r); err != nil {
		return err
	}

	traces, err := lookup.Traces(r)
	if err != nil {
		return err
	}

	for i := range traces {
		page.Take(traces[i].Steps, stepsShown)

		if i >= bootsShown {
			continue
		}

		diagnosis, err := lookup.Diagnosis(r, traces[i].MAC, u.cfg.Now())
		if err != nil {
			return err
		}

		page.Boots = append(page.Boots, view.Boot{
			MAC: traces[i].MAC, Name: page.Names[traces[i].MAC], Steps: bootdoctor.Last(traces[i].Steps), Diagnosis: diagnosis,
		})
	}

	return nil
}
