package ui

import (
	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/bootdoctor"
	"vetting/ui/lookup"
	"vetting/ui/view"
)

// welcomePage leads from an appliance that has just been started to the first host
// that is vetted. It keeps nothing: each step shows how things stand.
func (u *UI) welcomePage(c *fiber.Ctx) error {
	frame, err := u.frame(c, "First steps", "rack")
	if err != nil {
		return err
	}

	page := view.Welcome{Steered: u.cfg.Steering != nil, Frame: frame, Checks: u.asked(c), Quick: u.quickLines(c)}

	if u.cfg.Netboot != nil {
		facts := u.cfg.Netboot()
		page.Facts = &facts
	}

	if u.cfg.Notifier != nil {
		for _, target := range u.cfg.Notifier.Targets() {
			page.Notifiers = append(page.Notifiers, target.Name)
		}
	}

	if err := u.look(c, func(r core.Reader) error { return u.readWelcome(r, &page) }); err != nil {
		return err
	}

	return draw(c, view.ShowWelcome(&page))
}

func (u *UI) readWelcome(r core.Reader, page *view.Welcome) (err error) {
	const shown = 5

	if page.Rows, err = u.rows(r); err != nil {
		return err
	}

	if page.Heard, _, err = lookup.Sightings(r, false, lookup.Page{Limit: shown}); err != nil {
		return err
	}

	traces, err := lookup.Traces(r)
	if err != nil {
		return err
	}

	names := map[core.MAC]string{}
	for i := range page.Rows {
		names[page.Rows[i].Host.MAC] = page.Rows[i].Host.Name
	}

	for i := range traces[:min(len(traces), shown)] {
		diagnosis, err := lookup.Diagnosis(r, traces[i].MAC, u.cfg.Now())
		if err != nil {
			return err
		}

		page.Boots = append(page.Boots, view.Boot{
			MAC: traces[i].MAC, Name: names[traces[i].MAC], Steps: bootdoctor.Last(traces[i].Steps), Diagnosis: diagnosis,
		})
	}

	return nil
}
