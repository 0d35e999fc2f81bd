package ui

import (
	"net/http"
	"slices"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/cohort"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/text"
	"vetting/ui/view"
)

// modelsPage sets the hosts of the model that is asked for side by side, or of that with most
// hosts.
func (u *UI) modelsPage(c *fiber.Ctx) error {
	frame, err := u.frame(c, "Hosts of one model", "")
	if err != nil {
		return err
	}

	page := view.Models{Frame: frame}
	if page.Model, page.Choices, page.Table, err = u.sisters(c); err != nil {
		return err
	}

	return draw(c, view.ShowModels(&page))
}

// compareModel is modelsPage for programs.
func (u *UI) compareModel(c *fiber.Ctx) error {
	model, choices, table, err := u.sisters(c)
	answer := route.NewModelComparison(model, &table)

	for _, choice := range choices {
		answer.Models = append(answer.Models, route.ModelCount{Model: choice.Name, Hosts: choice.Hosts})
	}

	return shown(c, http.StatusOK, answer, err)
}

// sisters compares the hosts of the model that is asked for, or of that with most hosts, and
// lists the models that there are.
func (u *UI) sisters(c *fiber.Ctx) (model string, choices []view.ModelChoice, table cohort.Table, err error) {
	model = text.Line(c.Query("model"))

	err = u.look(c, func(r core.Reader) error {
		rows, err := u.rows(r)
		if err != nil {
			return err
		}

		of := map[string][]*view.HostRow{}

		for i := range rows {
			found, err := u.vettedModel(r, &rows[i])
			if err != nil {
				return err
			}

			if found = text.Line(found); found != "" {
				of[found] = append(of[found], &rows[i])
			}
		}

		choices = modelChoices(of)

		if model == "" {
			model = most(choices)
		}

		hosts, err := measured(r, of[model])
		table = cohort.Compare(hosts)

		return err
	})

	return model, choices, table, err
}

// vettedModel is the model that the last run of a host that came to a verdict found; empty:
// none did.
func (u *UI) vettedModel(r core.Reader, row *view.HostRow) (string, error) {
	switch row.Last {
	case nil:
		return "", nil
	case row.Run:
		return row.Model, nil
	default:
		return u.shelf.Model(r, row.Last.ID)
	}
}

// modelChoices lists the models by name.
func modelChoices(of map[string][]*view.HostRow) (list []view.ModelChoice) {
	for name, rows := range of {
		list = append(list, view.ModelChoice{Name: name, Hosts: len(rows)})
	}

	slices.SortFunc(list, func(a, b view.ModelChoice) int { return text.Natural(a.Name, b.Name) })

	return list
}

// most is the model with most hosts, the first by name of several; empty: there is none.
func most(list []view.ModelChoice) (name string) {
	hosts := 0

	for _, c := range list {
		if c.Hosts > hosts {
			name, hosts = c.Name, c.Hosts
		}
	}

	return name
}

// measured reads what the last runs of hosts measured.
func measured(r core.Reader, rows []*view.HostRow) ([]cohort.Host, error) {
	hosts := make([]cohort.Host, len(rows))

	for i, row := range rows {
		figures, err := lookup.Figures(r, row.Last.ID)
		if err != nil {
			return nil, err
		}

		hosts[i] = cohort.Host{
			MAC: row.Host.MAC, Name: row.Host.Name, Run: row.Last.ID, Profile: row.Last.Profile.Name, At: row.Last.EndedAt, Figures: figures,
		}
	}

	return hosts, nil
}
