package ui

import (
	"net/http"
	"slices"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/lookup"
)

// mostBootEvents is as many as are told at once.
const mostBootEvents = 1000

func (u *UI) getNetboot(c *fiber.Ctx) error {
	answer := route.Netboot{Checks: u.asked(c), Files: []route.BootFile{}}

	if answer.Checks == nil {
		answer.Checks = []route.HealthCheck{}
	}

	if u.cfg.Netboot == nil {
		return c.JSON(answer)
	}

	facts := u.cfg.Netboot()
	answer.Served, answer.Interface, answer.Mode, answer.Address, answer.Pool = true, facts.Interface, facts.Mode, facts.Address, facts.Pool

	for _, f := range facts.Files {
		answer.Files = append(answer.Files, route.BootFile{Name: f.Name, Bytes: f.Size, SHA256: f.SHA256})
	}

	return c.JSON(answer)
}

func (u *UI) listLeases(c *fiber.Ctx) error {
	list := route.LeaseList{Leases: []route.Lease{}}

	err := u.look(c, func(r core.Reader) error {
		names, err := hostNames(r)
		if err != nil {
			return err
		}

		leases, err := lookup.Leases(r)

		for i := range leases {
			l := &leases[i]
			list.Leases = append(list.Leases, route.Lease{
				Addr: l.Addr, MAC: l.MAC, Name: names[l.MAC], InForce: l.Expires.After(u.cfg.Now()), Granted: l.Granted, Expires: l.Expires,
			})
		}

		return err
	})

	return shown(c, http.StatusOK, list, err)
}

func (u *UI) listBootEvents(c *fiber.Ctx) error {
	limit, err := number(c, "limit")
	if err != nil {
		return err
	}

	if limit == 0 {
		limit = stepsShown
	}

	limit = min(limit, mostBootEvents)
	list := route.BootEventList{Events: []route.BootEvent{}}

	err = u.look(c, func(r core.Reader) error {
		names, err := hostNames(r)
		if err != nil {
			return err
		}

		traces, err := lookup.Traces(r)

		for i := range traces {
			for _, step := range traces[i].Steps {
				list.Events = append(list.Events, route.BootEvent{Name: names[step.MAC], Step: step})
			}
		}

		return err
	})

	slices.SortStableFunc(list.Events, func(a, b route.BootEvent) int { return b.Step.Time.Compare(a.Step.Time) })
	list.Events = list.Events[:min(limit, len(list.Events))]

	return shown(c, http.StatusOK, list, err)
}

// hostNames are the names of the hosts by each MAC that they have.
func hostNames(r core.Reader) (map[core.MAC]string, error) {
	hosts, err := lookup.AllHosts(r)
	names := map[core.MAC]string{}

	for i := range hosts {
		names[hosts[i].MAC] = hosts[i].Name
		for _, alias := range hosts[i].Aliases {
			names[alias] = hosts[i].Name
		}
	}

	return names, err
}
